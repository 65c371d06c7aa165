/*
 * The loop over libevent.
 *
 * Priorities hold between callbacks, not only between turns: after each callback below LOOP_URGENT the kernel
 * is asked again (max_dispatch_interval of one callback), so a birth waits for one slice of a job at most,
 * never for a queue of them. A job is an event that activates itself again; between two of its slices
 * everything else that is ready has run.
 *
 * EPOLLPRI is the way in which the kernel tells of PSI triggers and of changed cgroup event files, and
 * libevent does not know it. Such a descriptor goes into an epoll descriptor of its own, which is readable
 * while the condition holds. A PSI trigger forgets its event when it is polled (kernel/sched/psi.c
 * psi_trigger_poll), which the outer epoll_wait already did: so the callback is run upon the inner
 * descriptor's readiness alone, and nothing is read from it.
 */

#include "agent/loop.h"

#include "base/clock.h"
#include "base/fs.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/epoll.h>

struct loop {
    struct event_base *base;
    struct loop_stats stats;
    uint64_t now_ns; /* 0 outside callbacks */
    uint64_t cpu_ns; /* CPU time used before this callback */
    int code;
    bool stopped;
};

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    /* Precise: timerfd and CLOCK_MONOTONIC instead of the coarse clock and whole milliseconds of epoll_wait.
     */
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NO_CACHE_TIME);
    (void)event_config_set_max_dispatch_interval(config, NULL, 1, LOOP_NORMAL);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base && event_base_priority_init(base, LOOP_PRIORITIES) < 0) {
        event_base_free(base);
        return NULL;
    }
    return base;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->base = base_new();
    return loop->base ? loop : loop_free(loop);
}

struct loop *loop_free(struct loop *loop)
{
    if (loop && loop->base)
        event_base_free(loop->base);
    free(loop);
    return NULL;
}

int loop_run(struct loop *loop)
{
    if (!loop->stopped)
        (void)event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
    loop->stopped = false;
    return loop->code;
}

void loop_stop(struct loop *loop, int code)
{
    loop->code = code;
    loop->stopped = true;
    (void)event_base_loopbreak(loop->base);
}

uint64_t loop_now_ns(const struct loop *loop)
{
    return loop->now_ns ? loop->now_ns : clock_mono_ns();
}

struct loop_stats loop_stats(const struct loop *loop)
{
    return loop->stats;
}

void loop_stats_reset(struct loop *loop)
{
    loop->stats = (struct loop_stats){0};
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static void turn_begin(struct loop *loop)
{
    loop->now_ns = clock_mono_ns();
    loop->cpu_ns = clock_cpu_ns();
}

static void turn_end(struct loop *loop)
{
    uint64_t took_ns = clock_mono_ns() - loop->now_ns, cpu_ns = clock_cpu_ns() - loop->cpu_ns;
    loop->now_ns = 0;
    loop->stats.turns++;
    if (took_ns > loop->stats.longest_turn_ns)
        loop->stats.longest_turn_ns = took_ns;
    if (cpu_ns > loop->stats.longest_turn_cpu_ns)
        loop->stats.longest_turn_cpu_ns = cpu_ns;
}

static struct event *event_make(struct loop *loop, int fd, short what, int priority, event_callback_fn fn,
                                void *arg)
{
    struct event *event = event_new(loop->base, fd, what, fn, arg);
    if (event && event_priority_set(event, priority) < 0) {
        event_free(event);
        return NULL;
    }
    return event;
}

static void event_drop(struct event **event)
{
    if (*event)
        event_free(*event);
    *event = NULL;
}

/* Whatever a callback does to its own object, the loop outlives it: nothing else is touched after the call.
 */

static void on_fd(evutil_socket_t fd, short events, void *arg)
{
    struct loop_watch *watch = arg;
    struct loop *loop = watch->loop;
    unsigned what = watch->inner_fd >= 0
                        ? LOOP_EXCEPTIONAL
                        : (events & EV_READ ? LOOP_READ : 0U) | (events & EV_WRITE ? LOOP_WRITE : 0U);
    (void)fd;
    turn_begin(loop);
    watch->fn(watch->owner, watch->fd, what);
    turn_end(loop);
}

static int inner_open(int fd)
{
    int inner = epoll_create1(EPOLL_CLOEXEC);
    if (inner < 0)
        return -errno;
    struct epoll_event wanted = {.events = EPOLLPRI};
    if (epoll_ctl(inner, EPOLL_CTL_ADD, fd, &wanted) < 0) {
        int error = -errno;
        fd_close(inner);
        return error;
    }
    return inner;
}

int loop_watch_init(struct loop_watch *watch, struct loop *loop, int fd, unsigned what,
                    enum loop_priority priority, loop_fd_fn *fn, void *owner)
{
    assert(what == LOOP_EXCEPTIONAL || !(what & LOOP_EXCEPTIONAL));
    *watch = (struct loop_watch){.loop = loop, .fn = fn, .owner = owner, .fd = fd, .inner_fd = -1};
    int polled = fd;
    short events =
        (short)((what & LOOP_READ ? EV_READ : 0) | (what & LOOP_WRITE ? EV_WRITE : 0) | EV_PERSIST);
    if (what & LOOP_EXCEPTIONAL) {
        polled = inner_open(fd);
        if (polled < 0) {
            *watch = (struct loop_watch){0};
            return polled;
        }
        watch->inner_fd = polled;
        events = EV_READ | EV_PERSIST;
    }
    watch->event = event_make(loop, polled, events, (int)priority, on_fd, watch);
    errno = ENOMEM;
    if (watch->event && event_add(watch->event, NULL) == 0)
        return 0;
    int error = -errno;
    loop_watch_fini(watch);
    return error;
}

void loop_watch_fini(struct loop_watch *watch)
{
    if (!watch->loop)
        return;
    event_drop(&watch->event);
    fd_close(watch->inner_fd);
    *watch = (struct loop_watch){0};
}

static void timer_wait(struct loop_timer *timer)
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t wait_ns = timer->at_ns > now_ns ? timer->at_ns - now_ns : 0;
    uint64_t wait_us = (wait_ns + NSEC_PER_USEC - 1) / NSEC_PER_USEC;
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};
    (void)event_add(timer->event, &wait);
}

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
    struct loop_timer *timer = arg;
    struct loop *loop = timer->loop;
    (void)fd, (void)events;
    if (clock_mono_ns() < timer->at_ns) {
        timer_wait(timer);
        return;
    }
    timer->armed = false;
    turn_begin(loop);
    timer->fn(timer->owner);
    turn_end(loop);
}

int loop_timer_init(struct loop_timer *timer, struct loop *loop, enum loop_priority priority,
                    loop_timer_fn *fn, void *owner)
{
    *timer = (struct loop_timer){.loop = loop, .fn = fn, .owner = owner};
    timer->event = event_make(loop, -1, 0, (int)priority, on_timer, timer);
    return timer->event ? 0 : -ENOMEM;
}

void loop_timer_arm_at(struct loop_timer *timer, uint64_t mono_ns)
{
    timer->at_ns = mono_ns;
    timer->armed = true;
    timer_wait(timer);
}

void loop_timer_disarm(struct loop_timer *timer)
{
    timer->armed = false;
    if (timer->event)
        (void)event_del(timer->event);
}

void loop_timer_fini(struct loop_timer *timer)
{
    event_drop(&timer->event);
    timer->armed = false;
}

static void on_job(evutil_socket_t fd, short events, void *arg)
{
    struct loop_job *job = arg;
    struct loop *loop = job->loop;
    (void)fd, (void)events;
    job->running = false;
    turn_begin(loop);
    bool more = job->fn(job->owner, loop->now_ns + LOOP_SLICE_NS);
    turn_end(loop);
    if (more)
        loop_job_start(job);
}

int loop_job_init(struct loop_job *job, struct loop *loop, loop_job_fn *fn, void *owner)
{
    *job = (struct loop_job){.loop = loop, .fn = fn, .owner = owner};
    job->event = event_make(loop, -1, 0, LOOP_IDLE, on_job, job);
    return job->event ? 0 : -ENOMEM;
}

void loop_job_start(struct loop_job *job)
{
    if (job->running)
        return;
    job->running = true;
    event_active(job->event, EV_TIMEOUT, 0);
}

void loop_job_fini(struct loop_job *job)
{
    event_drop(&job->event);
    job->running = false;
}

static void on_signal(evutil_socket_t number, short events, void *arg)
{
    struct loop_signal *signal = arg;
    struct loop *loop = signal->loop;
    (void)events;
    turn_begin(loop);
    signal->fn(signal->owner, (int)number);
    turn_end(loop);
}

int loop_signal_init(struct loop_signal *signal, struct loop *loop, int number, loop_signal_fn *fn,
                     void *owner)
{
    *signal = (struct loop_signal){.loop = loop, .fn = fn, .owner = owner};
    signal->event = event_make(loop, number, EV_SIGNAL | EV_PERSIST, LOOP_NORMAL, on_signal, signal);
    if (signal->event && event_add(signal->event, NULL) == 0)
        return 0;
    event_drop(&signal->event);
    return -ENOMEM;
}

void loop_signal_fini(struct loop_signal *signal)
{
    event_drop(&signal->event);
}
