#pragma once
/*
 * The event loop: the whole vocabulary by which masu waits. loop.c is the only file here that knows libevent
 * (the HTTP files of gateway and courier excepted, through loop_base). Three priorities; jobs run in slices
 * and are told when to stop.
 */

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>

struct event;
struct event_base;
struct loop; /* opaque */

enum loop_priority {
    LOOP_URGENT = 0, /* births, pressure, plan results */
    LOOP_NORMAL = 1, /* messages, timers */
    LOOP_IDLE = 2,   /* jobs: sampling, planning, rescans */
    LOOP_PRIORITIES,
};

enum {
    LOOP_READ = 1,
    LOOP_WRITE = 2,
    LOOP_EXCEPTIONAL = 4 /* EPOLLPRI, alone: not with the others in one watch */
};

typedef void loop_fd_fn(void *owner, int fd, unsigned what);
typedef void loop_timer_fn(void *owner);
typedef void loop_signal_fn(void *owner, int signal);
/* Works until about @until_ns (monotonic); returns true when there is more to do. */
typedef bool loop_job_fn(void *owner, uint64_t until_ns);

struct loop_watch {
    struct loop *loop;
    struct event *event;
    loop_fd_fn *fn;
    void *owner;
    int fd, inner_fd;
};
struct loop_timer {
    struct loop *loop;
    struct event *event;
    loop_timer_fn *fn;
    void *owner;
    uint64_t at_ns;
    bool armed;
};
struct loop_job {
    struct loop *loop;
    struct event *event;
    loop_job_fn *fn;
    void *owner;
    bool running;
};
struct loop_signal {
    struct loop *loop;
    struct event *event;
    loop_signal_fn *fn;
    void *owner;
};

struct loop_stats {
    uint64_t turns;               /* callbacks */
    uint64_t longest_turn_ns;     /* longest callback since loop_stats_reset */
    uint64_t longest_turn_cpu_ns; /* most CPU time that one took: without what others on this CPU did */
};

#define LOOP_SLICE_NS UINT64_C(1000000)

struct loop *loop_new(void); /* NULL: out of memory */
struct loop *loop_free(struct loop *loop);
int loop_run(struct loop *loop); /* until loop_stop; the code given to it */
void loop_stop(struct loop *loop, int code);
uint64_t loop_now_ns(const struct loop *loop); /* monotonic, constant during a callback */
struct loop_stats loop_stats(const struct loop *loop);
void loop_stats_reset(struct loop *loop);
struct event_base *loop_base(struct loop *loop);

/* Each init: 0 or -errno (-ENOMEM; -EPERM: the descriptor cannot be polled). fini is legal on a zeroed
   struct, twice, and in the object's own callback (a job then returns false). Descriptors are borrowed: fini
   before closing them. */
MUST_USE int loop_watch_init(struct loop_watch *watch, struct loop *loop, int fd, unsigned what,
                             enum loop_priority priority, loop_fd_fn *fn, void *owner);
void loop_watch_fini(struct loop_watch *watch);
MUST_USE int loop_timer_init(struct loop_timer *timer, struct loop *loop, enum loop_priority priority,
                             loop_timer_fn *fn, void *owner);
void loop_timer_arm_at(struct loop_timer *timer,
                       uint64_t mono_ns); /* absolute; in the past: as soon as possible */
void loop_timer_disarm(struct loop_timer *timer);
void loop_timer_fini(struct loop_timer *timer);
MUST_USE int loop_job_init(struct loop_job *job, struct loop *loop, loop_job_fn *fn, void *owner);
void loop_job_start(struct loop_job *job); /* runs in slices of LOOP_SLICE_NS until fn returns false */
void loop_job_fini(struct loop_job *job);
MUST_USE int loop_signal_init(struct loop_signal *signal, struct loop *loop, int number, loop_signal_fn *fn,
                              void *owner);
void loop_signal_fini(struct loop_signal *signal);
