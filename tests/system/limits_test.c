/* What an operator sees of limits: they hold, they come at birth, they survive a runtime's own writes, they
 * are given back. */

#include "base/clock.h"
#include "base/str.h"
#include "tests/system/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char policy[] = "quotas:\n"
                             "  web:\n"
                             "    match: { path: \"%s/web*\" }\n"
                             "    cpu: { bandwidth: 0.2, weight: 50 }\n"
                             "    memory: { limit: 64MiB }\n"
                             "    pids: 100\n";

static double cpu_seconds(struct daemon *d, const char *path)
{
    json_t *c = container(d, path);
    json_t *numbers = json_object_get(json_object_get(c, "sample"), "metrics");
    double seconds = json_number_value(json_object_get(numbers, "cpu_usage"));
    json_decref(c);
    return seconds;
}

static double sample_time(struct daemon *d, const char *path)
{
    json_t *c = container(d, path);
    double time = json_number_value(json_object_get(json_object_get(c, "sample"), "time"));
    json_decref(c);
    return time;
}

struct group_in {
    struct daemon *d;
    const char *path;
    const char *text;
};

/* cpu.cfs_quota_us on v1, the first word of cpu.max on v2. */
static long quota_usec(struct daemon *d, const char *path)
{
    char text[64];
    group_file(d, path, version_of(d, "cpu") == 2 ? "cpu.max" : "cpu.cfs_quota_us", text, sizeof text);
    return strncmp(text, "max", 3) == 0 ? -1 : strtol(text, NULL, 10);
}

static long memory_limit(struct daemon *d, const char *path)
{
    char text[64];
    group_file(d, path, version_of(d, "memory") == 2 ? "memory.max" : "memory.limit_in_bytes", text,
               sizeof text);
    return strtol(text, NULL, 10);
}

static bool is_held(void *argument)
{
    struct group_in *g = argument;
    return quota_usec(g->d, g->path) == 20000 && memory_limit(g->d, g->path) == 64 << 20;
}

static bool is_listed(void *argument)
{
    struct group_in *g = argument;
    json_t *c = container(g->d, g->path);
    bool sampled = json_object_get(json_object_get(c, "sample"), "metrics") != NULL;
    json_decref(c);
    return sampled;
}

static bool is_gone(void *argument)
{
    struct group_in *g = argument;
    json_t *c = container(g->d, g->path);
    bool gone = c == NULL;
    json_decref(c);
    return gone;
}

/* An emulated machine is itself held up by its host, while its clock runs on: MASU_CPU_TOLERANCE. */
static double cpu_tolerance(void)
{
    const char *text = getenv("MASU_CPU_TOLERANCE");
    return text ? strtod(text, NULL) : 0.02;
}

static void busy_loop_is_held_to_a_fifth_of_a_core(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX];
    make_group(d, "web1", path);
    struct group_in g = {d, path, NULL};
    assert_true(wait_until(is_held, &g, 30));
    assert_true(wait_until(is_listed, &g, 30));
    pid_t pid = run_burner(d, path);
    sleep(2);
    double used = cpu_seconds(d, path), time = sample_time(d, path);
    sleep(10);
    used = cpu_seconds(d, path) - used;
    time = sample_time(d, path) - time;
    end_child(pid);
    print_message("a busy loop used %.1f %% of a core over %.1f s\n", 100 * used / time, time);
    double tolerance = cpu_tolerance();
    assert_true(used / time > 0.2 - tolerance && used / time < 0.2 + tolerance);
    remove_group(d, path);
    assert_true(wait_until(is_gone, &g, 30));
}

static bool has_oom_event(void *argument)
{
    struct group_in *g = argument;
    return count_events(g->d, g->path, "oom_kill", NULL);
}

static bool has_drift_event(void *argument)
{
    struct group_in *g = argument;
    return count_events(g->d, g->path, "drift", NULL);
}

static void assert_only_kills_are_shown(struct daemon *d, const char *container)
{
    char *output;
    assert_int_equal(masu(d, &output, "events", container, "--type", "oom_kill,drift", NULL), 0);
    assert_non_null(strstr(output, "  oom_kill "));
    assert_null(strstr(output, "  born "));
    assert_null(strstr(output, "  pressure "));
    free(output);
}

static void grower_is_stopped_by_the_kernel_and_was_announced(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], *output;
    make_group(d, "web2", path);
    struct group_in g = {d, path, NULL};
    assert_true(wait_until(is_held, &g, 30));
    assert_int_equal(memory_limit(d, path), 64 << 20);
    assert_true(wait_until(is_listed, &g, 30));
    pid_t pid = run_grower(d, path, 1 << 20, 100);
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(wait_until(has_oom_event, &g, 30));
    assert_true(count_events(d, path, "pressure", "medium") || count_events(d, path, "pressure", "critical"));
    assert_true(count_events(d, path, "pressure", "oom"));
    assert_only_kills_are_shown(d, "web2");
    remove_group(d, path);
    assert_only_kills_are_shown(d, path); /* what is gone is known by its path */
    assert_int_equal(masu(d, &output, "events", "--type", "oom", NULL), 64);
    assert_non_null(strstr(output, "born, gone, pressure, oom_kill,"));
    free(output);
}

/* What runc does: it makes the group, waits a moment, and writes limits of its own. */
static void runtime_that_writes_later_does_not_win(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX];
    make_group(d, "web3", path);
    struct group_in g = {d, path, NULL};
    usleep(10000);
    if (version_of(d, "cpu") == 2)
        group_write(d, path, "cpu.max", "90000 100000");
    else
        group_write(d, path, "cpu.cfs_quota_us", "90000");
    usleep(100000);
    assert_true(wait_until(is_held, &g, 30));
    sleep(1);
    assert_int_equal(quota_usec(d, path), 20000);
    assert_false(count_events(d, path, "drift", NULL));
    remove_group(d, path);
}

static void write_by_somebody_else_is_drift_and_is_put_back(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX];
    make_group(d, "web4", path);
    struct group_in g = {d, path, NULL};
    assert_true(wait_until(is_held, &g, 30));
    sleep(2); /* the settle window is over */
    if (version_of(d, "cpu") == 2)
        group_write(d, path, "cpu.max", "70000 100000");
    else
        group_write(d, path, "cpu.cfs_quota_us", "70000");
    assert_true(wait_until(is_held, &g, 30));
    assert_true(wait_until(has_drift_event, &g, 30));
    remove_group(d, path);
}

static void plan_is_empty_on_an_unchanged_host_and_after_apply(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], *output;
    make_group(d, "web5", path);
    struct group_in g = {d, path, NULL};
    assert_true(wait_until(is_held, &g, 30));
    sleep(1);
    int code = masu(d, &output, "plan", NULL);
    if (code != 0)
        print_message("%s\n", output);
    assert_int_equal(code, 0);
    free(output);

    daemon_set_policy(d, "quotas:\n  web:\n    match: { path: \"%s/web*\" }\n"
                         "    cpu: { bandwidth: 0.4 }\n    memory: { limit: 64MiB }\n    pids: 100\n");
    assert_int_equal(masu(d, &output, "plan", NULL), 3);
    assert_non_null(strstr(output, "0.4"));
    free(output);
    assert_int_equal(quota_usec(d, path), 20000);
    assert_int_equal(masu(d, &output, "apply", NULL), 0);
    free(output);
    assert_int_equal(quota_usec(d, path), 40000);
    assert_int_equal(masu(d, &output, "plan", NULL), 0);
    free(output);
    daemon_set_policy(d, policy);
    assert_int_equal(masu(d, &output, "apply", NULL), 0);
    free(output);
    remove_group(d, path);
}

static void release_gives_back_what_was_found(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], *output;
    make_group(d, "web6", path);
    struct group_in g = {d, path, NULL};
    assert_true(wait_until(is_held, &g, 30));
    sleep(1);
    assert_int_equal(masu(d, &output, "release", "--all", NULL), 0);
    free(output);
    assert_int_equal(quota_usec(d, path), -1);
    assert_int_equal(masu(d, &output, "apply", NULL), 0);
    free(output);
    assert_int_equal(quota_usec(d, path), 20000);
    remove_group(d, path);
}

static void broken_policy_leaves_the_old_one_in_force(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], *output;
    make_group(d, "web7", path);
    struct group_in g = {d, path, NULL};
    assert_true(wait_until(is_held, &g, 30));
    daemon_set_policy(d, "quotas:\n  web:\n    match: { path: \"%s/web*\" }\n    cpu: { bandwith: 0.9 }\n");
    const char *const commands[] = {"plan", "apply"};
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        assert_int_equal(masu(d, &output, commands[i], NULL), 1);
        assert_non_null(strstr(output, ":4:"));
        assert_non_null(strstr(output, "bandwidth"));
        free(output);
    }
    assert_int_equal(masu(d, &output, "check", d->policy, NULL), 2);
    free(output);
    assert_int_equal(quota_usec(d, path), 20000);
    daemon_set_policy(d, policy);
    remove_group(d, path);
}

static int start(void **state)
{
    static struct daemon d;
    daemon_init(&d, "limits", policy, NULL);
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
        cmocka_unit_test(busy_loop_is_held_to_a_fifth_of_a_core),
        cmocka_unit_test(grower_is_stopped_by_the_kernel_and_was_announced),
        cmocka_unit_test(runtime_that_writes_later_does_not_win),
        cmocka_unit_test(write_by_somebody_else_is_drift_and_is_put_back),
        cmocka_unit_test(plan_is_empty_on_an_unchanged_host_and_after_apply),
        cmocka_unit_test(release_gives_back_what_was_found),
        cmocka_unit_test(broken_policy_leaves_the_old_one_in_force),
    };
    return cmocka_run_group_tests_name("limits", tests, start, stop);
}
