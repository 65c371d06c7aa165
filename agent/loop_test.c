#include "agent/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STORY_MAX = 64 };

struct scene {
    struct loop *loop;
    char story[STORY_MAX]; /* a letter per callback */
    struct loop_watch watch;
    struct loop_timer timer, other;
    struct loop_job job;
    struct loop_signal signal;
    int fd;
    unsigned slices;
    unsigned what;
    uint64_t at_ns;
};

static void tell(struct scene *scene, char letter)
{
    size_t len = strlen(scene->story);
    if (len < STORY_MAX - 1)
        scene->story[len] = letter;
}

static int setup(void **state)
{
    static struct scene scene;
    scene = (struct scene){.loop = loop_new(), .fd = -1};
    *state = &scene;
    return scene.loop ? 0 : -1;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    loop_watch_fini(&scene->watch);
    loop_timer_fini(&scene->timer);
    loop_timer_fini(&scene->other);
    loop_job_fini(&scene->job);
    loop_signal_fini(&scene->signal);
    scene->loop = loop_free(scene->loop);
    fd_close(scene->fd);
    return 0;
}

static void stop_with_seven(void *owner)
{
    struct scene *scene = owner;
    tell(scene, 't');
    scene->at_ns = loop_now_ns(scene->loop);
    loop_stop(scene->loop, 7);
}

static void test_a_timer_never_fires_early_and_its_code_is_returned(void **state)
{
    struct scene *scene = *state;
    uint64_t due_ns = clock_mono_ns() + 1500 * NSEC_PER_USEC;
    assert_int_equal(loop_timer_init(&scene->timer, scene->loop, LOOP_NORMAL, stop_with_seven, scene), 0);
    loop_timer_arm_at(&scene->timer, due_ns);
    assert_true(scene->timer.armed);
    assert_int_equal(loop_run(scene->loop), 7);
    assert_true(scene->at_ns >= due_ns);
    assert_false(scene->timer.armed);
}

static void test_a_timer_in_the_past_fires_at_once(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(loop_timer_init(&scene->timer, scene->loop, LOOP_NORMAL, stop_with_seven, scene), 0);
    loop_timer_arm_at(&scene->timer, 1);
    assert_int_equal(loop_run(scene->loop), 7);
}

static void tell_early(void *owner)
{
    tell(owner, 'x');
}

static void test_a_disarmed_timer_is_silent(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(loop_timer_init(&scene->other, scene->loop, LOOP_URGENT, tell_early, scene), 0);
    assert_int_equal(loop_timer_init(&scene->timer, scene->loop, LOOP_NORMAL, stop_with_seven, scene), 0);
    loop_timer_arm_at(&scene->other, 1);
    loop_timer_disarm(&scene->other);
    loop_timer_arm_at(&scene->timer, clock_mono_ns() + NSEC_PER_MSEC);
    (void)loop_run(scene->loop);
    assert_string_equal(scene->story, "t");
}

static void on_birth(void *owner, int fd, unsigned what)
{
    struct scene *scene = owner;
    uint64_t count;
    assert_int_equal(what, LOOP_READ);
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    tell(scene, 'b');
}

static bool work_and_give_birth(void *owner, uint64_t until_ns)
{
    struct scene *scene = owner;
    tell(scene, 'j');
    assert_true(until_ns - loop_now_ns(scene->loop) == LOOP_SLICE_NS);
    if (++scene->slices == 2)
        assert_int_equal(eventfd_write(scene->fd, 1), 0);
    if (scene->slices < 4)
        return true;
    loop_stop(scene->loop, 0);
    return false;
}

static void test_a_birth_waits_for_one_slice_of_a_job_at_most(void **state)
{
    struct scene *scene = *state;
    scene->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_int_equal(
        loop_watch_init(&scene->watch, scene->loop, scene->fd, LOOP_READ, LOOP_URGENT, on_birth, scene), 0);
    assert_int_equal(loop_job_init(&scene->job, scene->loop, work_and_give_birth, scene), 0);
    loop_job_start(&scene->job);
    loop_job_start(&scene->job); /* a second start changes nothing */
    (void)loop_run(scene->loop);
    assert_string_equal(scene->story, "jjbjj");
}

struct many {
    struct scene *scene;
    struct loop_timer timers[3];
};

static void tell_and_give_birth(void *owner)
{
    struct many *many = owner;
    if (!many->scene->story[0])
        assert_int_equal(eventfd_write(many->scene->fd, 1), 0);
    tell(many->scene, 'n');
    if (strlen(many->scene->story) == 4)
        loop_stop(many->scene->loop, 0);
}

static void test_a_birth_overtakes_messages_that_are_ready_already(void **state)
{
    struct scene *scene = *state;
    struct many many = {.scene = scene};
    scene->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_int_equal(
        loop_watch_init(&scene->watch, scene->loop, scene->fd, LOOP_READ, LOOP_URGENT, on_birth, scene), 0);
    for (unsigned i = 0; i < ARRAY_LEN(many.timers); i++) {
        assert_int_equal(
            loop_timer_init(&many.timers[i], scene->loop, LOOP_NORMAL, tell_and_give_birth, &many), 0);
        loop_timer_arm_at(&many.timers[i], 1);
    }
    (void)loop_run(scene->loop);
    assert_string_equal(scene->story, "nbnn");
    for (unsigned i = 0; i < ARRAY_LEN(many.timers); i++)
        loop_timer_fini(&many.timers[i]);
}

static bool sleep_five(void *owner, uint64_t until_ns)
{
    struct scene *scene = owner;
    (void)until_ns;
    (void)usleep(5000);
    loop_stop(scene->loop, 0);
    return false;
}

static void test_the_longest_callback_is_measured(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(loop_job_init(&scene->job, scene->loop, sleep_five, scene), 0);
    loop_job_start(&scene->job);
    (void)loop_run(scene->loop);
    assert_int_equal(loop_stats(scene->loop).turns, 1);
    assert_true(loop_stats(scene->loop).longest_turn_ns >= 5 * NSEC_PER_MSEC);
    assert_true(loop_stats(scene->loop).longest_turn_cpu_ns < 5 * NSEC_PER_MSEC); /* it slept */
    loop_stats_reset(scene->loop);
    assert_int_equal(loop_stats(scene->loop).longest_turn_ns, 0);
}

static void on_exceptional(void *owner, int fd, unsigned what)
{
    struct scene *scene = owner;
    char byte;
    scene->what = what;
    assert_int_equal(recv(fd, &byte, 1, MSG_OOB), 1);
    tell(scene, 'e');
    loop_stop(scene->loop, 0);
}

/* Out-of-band data of a unix socket raises EPOLLPRI, as PSI triggers and cgroup event files do. */
static void test_an_exceptional_condition_is_told_as_such(void **state)
{
    struct scene *scene = *state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    scene->fd = ends[0];
    assert_int_equal(loop_watch_init(&scene->watch, scene->loop, ends[0], LOOP_EXCEPTIONAL, LOOP_URGENT,
                                     on_exceptional, scene),
                     0);
    assert_int_equal(loop_timer_init(&scene->timer, scene->loop, LOOP_NORMAL, stop_with_seven, scene), 0);
    loop_timer_arm_at(&scene->timer, clock_mono_ns() + 10 * NSEC_PER_SEC);
    assert_int_equal(send(ends[1], "!", 1, MSG_OOB), 1);
    assert_int_equal(loop_run(scene->loop), 0);
    assert_string_equal(scene->story, "e");
    assert_int_equal(scene->what, LOOP_EXCEPTIONAL);
    fd_close(ends[1]);
}

static void on_hup(void *owner, int number)
{
    struct scene *scene = owner;
    assert_int_equal(number, SIGUSR2);
    tell(scene, 's');
    loop_stop(scene->loop, 0);
}

static void test_a_signal_arrives_as_a_callback(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(loop_signal_init(&scene->signal, scene->loop, SIGUSR2, on_hup, scene), 0);
    assert_int_equal(raise(SIGUSR2), 0);
    (void)loop_run(scene->loop);
    assert_string_equal(scene->story, "s");
}

static void test_a_plain_file_cannot_be_watched(void **state)
{
    struct scene *scene = *state;
    scene->fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(loop_watch_init(&scene->watch, scene->loop, scene->fd, LOOP_EXCEPTIONAL, LOOP_URGENT,
                                     on_exceptional, scene),
                     -EPERM);
    loop_watch_fini(&scene->watch);
}

static void on_timer_forget(void *owner)
{
    struct scene *scene = owner;
    loop_timer_fini(&scene->timer);
    loop_stop(scene->loop, 3);
}

static void test_a_timer_may_be_undone_in_its_own_callback(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(loop_timer_init(&scene->timer, scene->loop, LOOP_NORMAL, on_timer_forget, scene), 0);
    loop_timer_arm_at(&scene->timer, 1);
    assert_int_equal(loop_run(scene->loop), 3);
}

static void test_a_stop_before_the_run_is_kept(void **state)
{
    struct scene *scene = *state;
    loop_stop(scene->loop, 5);
    assert_int_equal(loop_run(scene->loop), 5);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_a_timer_never_fires_early_and_its_code_is_returned),
        STORY(test_a_timer_in_the_past_fires_at_once),
        STORY(test_a_disarmed_timer_is_silent),
        STORY(test_a_birth_waits_for_one_slice_of_a_job_at_most),
        STORY(test_a_birth_overtakes_messages_that_are_ready_already),
        STORY(test_the_longest_callback_is_measured),
        STORY(test_an_exceptional_condition_is_told_as_such),
        STORY(test_a_signal_arrives_as_a_callback),
        STORY(test_a_plain_file_cannot_be_watched),
        STORY(test_a_timer_may_be_undone_in_its_own_callback),
        STORY(test_a_stop_before_the_run_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
