/*
 * kill -9 of each role in turn, of masud itself too, twenty times each, under load. All come back, no row is
 * lost beyond the tick in flight, limits never lapse.
 */

#include "base/clock.h"
#include "base/str.h"
#include "exporters/journal.h"
#include "tests/system/harness.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { VICTIMS = 6, ROUNDS = 20 * VICTIMS, LOAD_GROUPS = 40 };

static const char policy[] = "quotas:\n"
                             "  load: { match: { path: \"%s/g*\" }, cpu: { bandwidth: 0.2 }, pids: 50 }\n";

/* Fewer where a machine is emulated: MASU_KILL_ROUNDS. */
static unsigned rounds(void)
{
    const char *text = getenv("MASU_KILL_ROUNDS");
    unsigned long wanted = text ? strtoul(text, NULL, 10) : ROUNDS;
    return wanted < ROUNDS ? (unsigned)wanted : ROUNDS;
}

/* In the order of a round; masud is killed too, and started again. */
static const char *const victims[VICTIMS] = {"core", "enforcer", "archiver", "gateway", "courier", "masud"};

struct comeback {
    struct daemon *d;
    const char *role;
    pid_t before;
};

static bool is_back(void *argument)
{
    struct comeback *c = argument;
    pid_t now = role_pid(c->d, c->role);
    return now > 0 && now != c->before;
}

static bool samples_flow(void *argument)
{
    struct daemon *d = argument;
    json_t *c = container(d, "/");
    double age = (double)clock_wall_ns() / 1e9 -
                 json_number_value(json_object_get(json_object_get(c, "sample"), "time"));
    json_decref(c);
    return age >= 0 && age < 2.5;
}

/* Looks at one group's quota all the time: exits 1 if it ever is another, 0 when told to stop. */
static volatile sig_atomic_t stopped;
static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static pid_t watch_limit(struct daemon *d, const char *path)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, on_stop);
    const char *file = version_of(d, "cpu") == 2 ? "cpu.max" : "cpu.cfs_quota_us";
    char text[64];
    while (!stopped) {
        group_file(d, path, file, text, sizeof text);
        if (strtol(text, NULL, 10) != 20000)
            _exit(1);
        usleep(1000);
    }
    _exit(0);
}

/* Births and deaths all the time, beside the groups that stay. */
static pid_t churn(struct daemon *d)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char path[GROUP_PATH_MAX], name[32];
    for (unsigned i = 0;; i = (i + 1) % 10) {
        str_format(name, sizeof name, "gchurn%u", i);
        make_group(d, name, path);
        usleep(30000);
        remove_group(d, path);
    }
}

/* The host's samples that the API showed just before each kill. */
static double seen[ROUNDS];

/* A sample whose tick is over for certain: what is in flight at the kill may be lost. */
static double last_whole_tick(struct daemon *d)
{
    for (;;) {
        double time = host_sample(d);
        if (time > 0 && (double)clock_wall_ns() / 1e9 - time > 0.3)
            return time;
        usleep(50000);
    }
}

/* A query of the archive is answered when the archiver runs and has read all of the bus. */
static bool archive_is_up_to_date(void *argument)
{
    json_t *events = api(argument, "/api/v1/events?limit=1");
    bool answered = events != NULL;
    json_decref(events);
    return answered;
}

static void note_row(struct frame_decoder *decoder, const struct journal_item *item, bool found[ROUNDS])
{
    struct frame_news news;
    if (frame_decode(decoder, &item->header, item->payload, &news) != 0 || !news.row || !news.identity ||
        news.identity->kind != SUBJECT_HOST)
        return;
    for (unsigned i = 0; i < ROUNDS; i++)
        if (fabs((double)news.row->wall_ns / 1e9 - seen[i]) < 0.001)
            found[i] = true;
}

/* Within a life of the bus the journal's sequences have no hole, and every sample that was shown before a
   kill is there. */
static void assert_journal_is_whole(struct daemon *d)
{
    struct frame_decoder *decoder = frame_decoder_new();
    bool found[ROUNDS] = {false};
    char dir[200];
    str_format(dir, sizeof dir, "%s/state/journal", d->dir);
    struct journal_iter *iter;
    assert_int_equal(journal_iter_open(dir, 0, &iter), 0);
    struct journal_item item;
    uint64_t life = 0, last = 0, frames = 0, lives = 0;
    int r;
    while ((r = journal_iter_next(iter, &item)) > 0) {
        if (r == JOURNAL_SEGMENT && item.segment->life != life) {
            life = item.segment->life;
            last = 0;
            lives++;
        }
        if (r != JOURNAL_FRAME)
            continue;
        note_row(decoder, &item, found);
        if (item.header.sequence == 0)
            continue;
        if (last && item.header.sequence != last + 1)
            fail_msg("frames %lu to %lu are lost", (unsigned long)last + 1,
                     (unsigned long)item.header.sequence - 1);
        last = item.header.sequence;
        frames++;
    }
    frame_decoder_free(decoder);
    for (unsigned i = 0; i < ROUNDS && seen[i] > 0; i++)
        if (!found[i])
            fail_msg("the sample shown before kill %u (%.3f) is not in the journal", i, seen[i]);
    assert_int_equal(r, JOURNAL_END);
    assert_int_equal(journal_iter_skipped_bytes(iter), 0);
    journal_iter_close(iter);
    print_message("the journal holds %lu frames of %lu lives, none missing\n", (unsigned long)frames,
                  (unsigned long)lives);
    assert_int_equal(lives, 1 + rounds() / ARRAY_LEN(victims)); /* masud is the last of a round */
}

static void kill_role(struct daemon *d, const char *role)
{
    struct comeback c = {d, role, role_pid(d, role)};
    assert_true(c.before > 0);
    assert_int_equal(kill(c.before, SIGKILL), 0);
    if (!wait_until(is_back, &c, 60))
        fail_msg("%s (pid %d) did not come back", role, (int)c.before);
}

static bool quota_holds(void *argument)
{
    struct comeback *c = argument;
    char text[64];
    group_file(c->d, c->role, version_of(c->d, "cpu") == 2 ? "cpu.max" : "cpu.cfs_quota_us", text,
               sizeof text);
    return strtol(text, NULL, 10) == 20000;
}

static void every_role_comes_back_and_nothing_is_lost(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], first[GROUP_PATH_MAX], name[32];
    pid_t burners[2];
    for (unsigned i = 0; i < LOAD_GROUPS; i++) {
        str_format(name, sizeof name, "g%u", i);
        make_group(d, name, path);
        if (i == 0)
            str_copy(first, sizeof first, path);
    }
    struct comeback held = {d, first, 0};
    assert_true(wait_until(quota_holds, &held, 60));
    burners[0] = run_burner(d, first);
    burners[1] = run_burner(d, path);
    pid_t watcher = watch_limit(d, first), churner = churn(d);

    for (unsigned round = 0; round < rounds(); round++) {
        const char *victim = victims[round % ARRAY_LEN(victims)];
        seen[round] = last_whole_tick(d);
        /* The bus dies with masud. An emulated machine may hold up the archiver for longer than a tick. */
        if (getenv("MASU_KILL_ROUNDS"))
            assert_true(wait_until(archive_is_up_to_date, d, 60));
        if (strcmp(victim, "masud") == 0) {
            daemon_kill(d);
            daemon_start(d);
        } else {
            kill_role(d, victim);
        }
        assert_true(wait_until(samples_flow, d, 60));
    }
    end_child(churner);
    int status;
    kill(watcher, SIGTERM);
    waitpid(watcher, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    end_child(burners[0]);
    end_child(burners[1]);

    /* A new group is still held. */
    make_group(d, "gafter", path);
    struct comeback after = {d, path, 0};
    assert_true(wait_until(quota_holds, &after, 30));
    assert_true(wait_until(archive_is_up_to_date, d, 60));
    daemon_stop(d);
    assert_journal_is_whole(d);
}

static bool archiver_is_told_stopped(void *argument)
{
    json_t *status = api(argument, "/api/v1/status"), *process;
    size_t i;
    bool told = false;
    json_array_foreach(json_object_get(status, "processes"), i, process) told |=
        strcmp(json_string_value(json_object_get(process, "role")), "archiver") == 0 &&
        json_is_true(json_object_get(process, "stopped"));
    json_decref(status);
    return told;
}

static bool archiver_goes_on(void *argument)
{
    return !archiver_is_told_stopped(argument);
}

static void a_role_that_stands_still_is_told(void **state)
{
    struct daemon *d = *state;
    pid_t pid = role_pid(d, "archiver");
    assert_true(pid > 0);
    assert_true(wait_until(archiver_goes_on, d, 10));
    assert_int_equal(kill(pid, SIGSTOP), 0);
    bool told = wait_until(archiver_is_told_stopped, d, 10);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_true(told);
    assert_true(wait_until(archiver_goes_on, d, 10));
}

static int start(void **state)
{
    static struct daemon d;
    daemon_init(&d, "kill", policy, NULL);
    daemon_start(&d);
    *state = &d;
    return 0;
}

static int stop(void **state)
{
    daemon_fini(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_role_that_stands_still_is_told),
        cmocka_unit_test(every_role_comes_back_and_nothing_is_lost),
    };
    return cmocka_run_group_tests_name("kill", tests, start, stop);
}
