/* What an operator sees when a policy meets a tree: nested quotas, groups that masu makes, a shrink that
 * cannot be carried out, policies that break at the worst moment, and groups that masu must leave alone. */

#include "base/str.h"
#include "cgroup/group.h"
#include "tests/system/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char nested[] = "quotas:\n"
                             "  outer: { match: { path: \"%s/outer\" }, cpu: { bandwidth: 0.5 } }\n"
                             "  inner: { match: { path: \"%s/outer/*\" }, cpu: { bandwidth: 0.2 } }\n";

static long cpu_quota(struct daemon *d, const char *path)
{
    char text[64];
    group_file(d, path, version_of(d, "cpu") == 2 ? "cpu.max" : "cpu.cfs_quota_us", text, sizeof text);
    return strncmp(text, "max", 3) == 0 ? -1 : strtol(text, NULL, 10);
}

static void set_cpu_quota(struct daemon *d, const char *path, long usec)
{
    char text[64];
    bool v2 = version_of(d, "cpu") == 2;
    str_format(text, sizeof text, v2 ? "%ld 100000" : "%ld", usec);
    group_write(d, path, v2 ? "cpu.max" : "cpu.cfs_quota_us", text);
}

static long memory_limit(struct daemon *d, const char *path)
{
    char text[64];
    group_file(d, path, version_of(d, "memory") == 2 ? "memory.max" : "memory.limit_in_bytes", text,
               sizeof text);
    return strncmp(text, "max", 3) == 0 ? -1 : strtol(text, NULL, 10);
}

struct held {
    struct daemon *d;
    const char *path;
    long usec;
};

static bool is_held(void *argument)
{
    struct held *h = argument;
    return cpu_quota(h->d, h->path) == h->usec;
}

/* Its settle window is over: from here on a foreign write is drift. */
static bool is_settled(void *argument)
{
    struct held *h = argument;
    json_t *c = container(h->d, h->path);
    json_t *settling = json_object_get(c, "settling");
    bool settled = json_is_true(json_object_get(c, "managed")) && json_is_false(settling);
    json_decref(c);
    return settled;
}

static void expect(struct daemon *d, int code, const char *command, const char *option)
{
    char *output;
    int got = masu(d, &output, command, option, NULL);
    if (got != code)
        fail_msg("masu %s: %d instead of %d: %s", command, got, code, output);
    free(output);
}

static void apply(struct daemon *d, const char *policy)
{
    daemon_set_policy(d, policy);
    expect(d, 0, "apply", NULL);
}

/* ---- nested groups ---- */

static void make_below(struct daemon *d, const char *name, char ret_path[GROUP_PATH_MAX])
{
    char parent[GROUP_PATH_MAX];
    str_copy(parent, sizeof parent, name);
    *strrchr(parent, '/') = '\0';
    char path[GROUP_PATH_MAX];
    str_format(path, sizeof path, "%s/%s", d->root, parent);
    if (version_of(d, "cpu") == 2)
        group_write(d, path, "cgroup.subtree_control", "+cpu");
    make_group(d, name, ret_path);
}

static void quotas_of_parent_and_child_hold_side_by_side(void **state)
{
    struct daemon *d = *state;
    char outer[GROUP_PATH_MAX], inner[GROUP_PATH_MAX];
    apply(d, nested);
    make_group(d, "outer", outer);
    struct held o = {d, outer, 50000}, i = {d, inner, 20000};
    assert_true(wait_until(is_held, &o, 10));
    make_below(d, "outer/inner", inner);
    assert_true(wait_until(is_held, &i, 10));
    assert_true(wait_until(is_settled, &i, 20));
    assert_int_equal(cpu_quota(d, outer), 50000);

    set_cpu_quota(d, inner, 30000);
    assert_true(wait_until(is_held, &i, 10));
    assert_int_equal(cpu_quota(d, outer), 50000);
    expect(d, 0, "plan", NULL);
    assert_true(count_events(d, inner, "drift", NULL));
    assert_false(count_events(d, outer, "drift", NULL));
    remove_group(d, outer);
}

/* ---- groups that masu makes ---- */

static const char makes[] = "quotas:\n"
                            "  small: { cpu: { bandwidth: 0.2 }, memory: { limit: 64MiB }, pids: 50 }\n"
                            "groups:\n"
                            "  %s/made/deep: { quota: small }\n";

static bool is_made(void *argument)
{
    struct held *h = argument;
    char pids[32];
    group_file(h->d, h->path, "pids.max", pids, sizeof pids);
    return is_held(h) && memory_limit(h->d, h->path) == 64 << 20 && strcmp(pids, "50") == 0;
}

static bool plan_is_empty(void *argument)
{
    char *output;
    int code = masu(argument, &output, "plan", NULL);
    free(output);
    return code == 0;
}

static void group_that_the_policy_names_is_made_and_given_back(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], text[64], *output;
    str_format(path, sizeof path, "%s/made/deep", d->root);
    struct held made = {d, path, 20000};
    daemon_set_policy(d, makes);
    expect(d, 3, "plan", NULL);
    assert_int_equal(strlen(group_file(d, path, "cgroup.procs", text, sizeof text)), 0);
    expect(d, 0, "apply", NULL);
    assert_true(wait_until(is_made, &made, 10));
    assert_true(wait_until(plan_is_empty, d, 10));
    assert_int_equal(masu(d, &output, "explain", path, NULL), 0);
    assert_non_null(strstr(output, "the policy makes this group with it"));
    free(output);

    apply(d, "quotas: {}\n");
    assert_int_equal(cpu_quota(d, path), -1);
    assert_int_not_equal(memory_limit(d, path), 64 << 20);
    group_file(d, path, "pids.max", text, sizeof text);
    assert_string_equal(text, "max");
    expect(d, 0, "plan", NULL);
    str_format(path, sizeof path, "%s/made", d->root);
    remove_group(d, path);
}

static const char outside[] = "quotas:\n"
                              "  small: { pids: 50 }\n"
                              "groups:\n"
                              "  %s-outside/deep: { quota: small }\n";

static void group_outside_the_scope_is_refused_and_not_made(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], text[64], *output;
    daemon_set_policy(d, outside);
    assert_int_equal(masu(d, &output, "apply", NULL), 0);
    assert_non_null(strstr(output, "outside the 'scope'"));
    free(output);
    str_format(path, sizeof path, "%s-outside", d->root);
    assert_string_equal(group_file(d, path, "pids.current", text, sizeof text), "");
    apply(d, "quotas: {}\n");
}

/* ---- memory that cannot be taken back ---- */

static const char roomy[] = "quotas:\n"
                            "  fat: { match: { path: \"%s/fat\" }, memory: { limit: 128MiB, swap: 0 } }\n";
static const char tight[] = "quotas:\n"
                            "  fat: { match: { path: \"%s/fat\" }, memory: { limit: 16MiB, swap: 0 } }\n";

static long memory_usage(struct daemon *d, const char *path)
{
    char text[64];
    group_file(d, path, version_of(d, "memory") == 2 ? "memory.current" : "memory.usage_in_bytes", text,
               sizeof text);
    return strtol(text, NULL, 10);
}

static bool is_roomy(void *argument)
{
    struct held *h = argument;
    return memory_limit(h->d, h->path) == 128 << 20;
}

static bool is_fat(void *argument)
{
    struct held *h = argument;
    return memory_usage(h->d, h->path) > 48 << 20;
}

static void shrink_below_usage_goes_as_far_as_it_can_and_kills_nobody(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], *output;
    if (!has_memory(d))
        skip();
    apply(d, roomy);
    make_group(d, "fat", path);
    struct held fat = {d, path, 0};
    assert_true(wait_until(is_roomy, &fat, 10));
    pid_t pid = run_grower(d, path, 4 << 20, 20);
    assert_true(wait_until(is_fat, &fat, 20));
    kill(pid, SIGSTOP);
    long used = memory_usage(d, path);

    daemon_set_policy(d, tight);
    assert_int_equal(masu(d, &output, "apply", NULL), 1);
    assert_non_null(strstr(output, "take"));
    free(output);
    assert_int_equal(kill(pid, 0), 0);
    assert_true(memory_limit(d, path) < 128 << 20);
    assert_true(memory_limit(d, path) >= used - (16 << 20));
    assert_true(count_events(d, path, "limit_failed", NULL));
    assert_false(count_events(d, path, "drift", NULL));
    end_child(pid);
    expect(d, 0, "apply", NULL);
    assert_int_equal(memory_limit(d, path), 16 << 20);
    remove_group(d, path);
}

/* ---- policies that break ---- */

struct comeback {
    struct daemon *d;
    pid_t before;
};

static bool core_is_back(void *argument)
{
    struct comeback *c = argument;
    pid_t now = role_pid(c->d, "core");
    json_t *host = container(c->d, "/");
    json_decref(host);
    return now > 0 && now != c->before && host;
}

static void restart_core(struct daemon *d)
{
    struct comeback c = {d, role_pid(d, "core")};
    assert_int_equal(kill(c.before, SIGKILL), 0);
    assert_true(wait_until(core_is_back, &c, 30));
}

static void broken_policy_at_a_restart_lets_no_limit_lapse(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], *output;
    apply(d, nested);
    make_group(d, "outer", path);
    struct held outer = {d, path, 50000};
    assert_true(wait_until(is_held, &outer, 10));
    daemon_set_policy(d, "quotas: { outer: { match: { path: \"%s/outer\" }, cpu: { bandwith: 1 } } }\n");
    restart_core(d);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(cpu_quota(d, path), 50000);
        usleep(100000);
    }
    assert_int_equal(masu(d, &output, "apply", NULL), 1);
    assert_non_null(strstr(output, "bandwidth"));
    free(output);
    assert_int_equal(cpu_quota(d, path), 50000);
    apply(d, "quotas: { outer: { match: { path: \"%s/outer\" }, cpu: { bandwidth: 0.3 } } }\n");
    assert_int_equal(cpu_quota(d, path), 30000);
    remove_group(d, path);
}

static bool was_rejected(void *argument)
{
    json_t *answer = api(argument, "/api/v1/events?limit=500"), *event;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(answer, "events"), i, event)
    {
        const char *text = json_string_value(json_object_get(event, "text"));
        found |=
            text && strstr(text, "rejected, the one before stays in force") && strstr(text, "no policy file");
    }
    json_decref(answer);
    return found;
}

/* The harness's policy is a file; here a directory takes its name and the file moves into it. */
static void policy_into_directory(struct daemon *d, char *file, size_t size)
{
    char aside[192];
    str_format(aside, sizeof aside, "%s.aside", d->policy);
    assert_int_equal(rename(d->policy, aside), 0);
    assert_int_equal(mkdir(d->policy, 0755), 0);
    str_format(file, size, "%s/10.yaml", d->policy);
    assert_int_equal(rename(aside, file), 0);
}

static void directory_that_is_emptied_lets_no_limit_lapse(void **state)
{
    (void)state;
    struct daemon d;
    char path[GROUP_PATH_MAX], file[192], aside[192], *output;
    daemon_init(&d, "emptied", nested, NULL);
    policy_into_directory(&d, file, sizeof file);
    str_format(aside, sizeof aside, "%s.off", file);
    daemon_start(&d);
    make_group(&d, "outer", path);
    struct held outer = {&d, path, 50000}, given_back = {&d, path, -1};
    assert_true(wait_until(is_held, &outer, 10));

    assert_int_equal(rename(file, aside), 0);
    assert_int_equal(masu(&d, &output, "apply", NULL), 1);
    assert_non_null(strstr(output, "no policy file (*.yaml) is left"));
    free(output);
    assert_int_equal(kill(d.pid, SIGHUP), 0);
    assert_true(wait_until(was_rejected, &d, 10));
    assert_int_equal(cpu_quota(&d, path), 50000);

    restart_core(&d);
    assert_int_equal(masu(&d, &output, "apply", NULL), 1);
    assert_non_null(strstr(output, "no policy file is there any more"));
    free(output);
    assert_int_equal(cpu_quota(&d, path), 50000);

    expect(&d, 0, "release", "--all");
    assert_true(wait_until(is_held, &given_back, 10));
    expect(&d, 0, "apply", NULL);
    assert_int_equal(rename(aside, file), 0);
    expect(&d, 0, "apply", NULL);
    assert_int_equal(cpu_quota(&d, path), 50000);
    daemon_fini(&d);
}

/* ---- what masu leaves alone ---- */

static void group_that_masu_runs_in_is_left_alone_unless_it_is_named(void **state)
{
    struct daemon *d = *state;
    char keeper[GROUP_PATH_MAX], other[GROUP_PATH_MAX], *output;
    apply(d, "quotas: { all: { match: { path: \"%s/*\" }, cpu: { bandwidth: 0.9 } } }\n");
    make_group(d, "keeper", keeper);
    struct held k = {d, keeper, 90000}, o = {d, other, 90000};
    assert_true(wait_until(is_held, &k, 10)); /* nobody of masu is in it yet */
    apply(d, "quotas: {}\n");
    assert_int_equal(group_attach(&d->host, keeper, d->pid), GROUP_OK);
    restart_core(d); /* the new one is masud's child, so it starts in the group */

    apply(d, "quotas: { all: { match: { path: \"%s/*\" }, cpu: { bandwidth: 0.9 } } }\n");
    make_group(d, "other", other);
    assert_true(wait_until(is_held, &o, 10));
    assert_int_equal(cpu_quota(d, keeper), -1);
    assert_int_equal(masu(d, &output, "explain", keeper, NULL), 0);
    assert_non_null(strstr(output, "masu's own group"));
    free(output);
    apply(d, "quotas: { all: { match: { path: \"%s/keeper\" }, cpu: { bandwidth: 0.9 } } }\n");
    assert_int_equal(cpu_quota(d, keeper), 90000);
    apply(d, "quotas: {}\n");
    remove_group(d, other);
}

static bool tells_of_drift(void *argument)
{
    struct held *h = argument;
    return count_events(h->d, h->path, "drift", NULL);
}

static void enforce_off_plans_and_writes_nothing(void **state)
{
    (void)state;
    struct daemon d;
    char path[GROUP_PATH_MAX], *output;
    daemon_init(&d, "observe", nested, "enforce: off\n");
    daemon_start(&d);
    make_group(&d, "outer", path);
    struct held outer = {&d, path, 0};
    assert_true(wait_until(is_settled, &outer, 20));
    assert_int_equal(masu(&d, &output, "plan", NULL), 3);
    assert_non_null(strstr(output, "0.5"));
    free(output);
    assert_int_equal(masu(&d, &output, "apply", NULL), 1);
    assert_non_null(strstr(output, "enforce: off"));
    free(output);
    assert_int_equal(cpu_quota(&d, path), -1);

    /* What somebody else writes is told, and never said to be put back. */
    group_write(&d, path, version_of(&d, "cpu") == 2 ? "cpu.max" : "cpu.cfs_quota_us", "70000");
    assert_true(wait_until(tells_of_drift, &outer, 30));
    assert_int_equal(masu(&d, &output, "events", "--type", "drift,policy", NULL), 0);
    assert_non_null(strstr(output, "enforce is off"));
    assert_null(strstr(output, "put back"));
    assert_null(strstr(output, "was applied"));
    free(output);
    assert_int_equal(cpu_quota(&d, path), 70000);
    daemon_fini(&d);
}

static int start(void **state)
{
    static struct daemon d;
    daemon_init(&d, "policy", nested, NULL);
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
        cmocka_unit_test(quotas_of_parent_and_child_hold_side_by_side),
        cmocka_unit_test(group_that_the_policy_names_is_made_and_given_back),
        cmocka_unit_test(group_outside_the_scope_is_refused_and_not_made),
        cmocka_unit_test(shrink_below_usage_goes_as_far_as_it_can_and_kills_nobody),
        cmocka_unit_test(broken_policy_at_a_restart_lets_no_limit_lapse),
        cmocka_unit_test(group_that_masu_runs_in_is_left_alone_unless_it_is_named),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(directory_that_is_emptied_lets_no_limit_lapse),
        cmocka_unit_test(enforce_off_plans_and_writes_nothing),
    };
    return cmocka_run_group_tests_name("policy", tests, start, stop) +
           cmocka_run_group_tests_name("alone", alone, NULL, NULL);
}
