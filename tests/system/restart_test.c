/* What a core that died knew is known to the next one: who lives and since when, and what was left alone. */

#include "base/str.h"
#include "tests/system/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

static const char policy[] =
    "quotas:\n"
    "  web: { match: { path: \"%s/web*\" }, cpu: { bandwidth: 0.2 }, pids: 50, drift: report }\n";

struct place {
    struct daemon *d;
    const char *path;
    pid_t core;
};

static bool is_settled(void *argument)
{
    const struct place *p = argument;
    json_t *c = container(p->d, p->path);
    const json_t *limits = json_object_get(c, "limits");
    bool settled = json_integer_value(json_object_get(limits, "pids")) == 50 &&
                   json_is_false(json_object_get(c, "settling"));
    json_decref(c);
    return settled;
}

static bool is_left_alone(void *argument)
{
    const struct place *p = argument;
    json_t *c = container(p->d, p->path);
    const char *key = json_string_value(json_array_get(json_object_get(c, "adopted"), 0));
    bool left = key && strcmp(key, "pids") == 0;
    json_decref(c);
    return left;
}

static bool is_not_listed(void *argument)
{
    const struct place *p = argument;
    json_t *c = container(p->d, p->path);
    json_decref(c);
    return !c;
}

/* The next core has sampled, so its first scan is over and its first plan made. */
static bool next_core_works(void *argument)
{
    const struct place *p = argument;
    json_t *status = api(p->d, "/api/v1/status");
    bool works = role_pid(p->d, "core") > 0 && role_pid(p->d, "core") != p->core &&
                 json_integer_value(json_object_get(json_object_get(status, "sampling"), "ticks")) >= 3;
    json_decref(status);
    return works;
}

static double born(struct daemon *d, const char *path)
{
    json_t *c = container(d, path);
    double time = json_number_value(json_object_get(c, "born"));
    json_decref(c);
    return time;
}

static bool is_told_gone(void *argument)
{
    const struct place *p = argument;
    return count_events(p->d, p->path, "gone", NULL) == 1;
}

/* @removed goes away while core is not there to see it. */
static void core_dies(struct daemon *d, const char *removed)
{
    struct place p = {d, removed, role_pid(d, "core")};
    assert_true(p.core > 0);
    assert_int_equal(kill(p.core, SIGSTOP), 0);
    if (removed)
        remove_group(d, removed);
    assert_int_equal(kill(p.core, SIGKILL), 0);
    assert_true(wait_until(next_core_works, &p, 60));
}

static void what_lives_on_keeps_its_past_and_what_went_away_is_told(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], other[GROUP_PATH_MAX], text[64];
    make_group(d, "web1", path);
    make_group(d, "web2", other);
    struct place kept = {d, path, 0}, lost = {d, other, 0};
    assert_true(wait_until(is_settled, &kept, 30));
    assert_true(wait_until(is_settled, &lost, 30));
    group_write(d, path, "pids.max", "70");
    assert_true(wait_until(is_left_alone, &kept, 30));
    double since = born(d, path);
    assert_int_equal(count_events(d, path, "drift", NULL), 1);

    core_dies(d, other);
    assert_true(wait_until(is_not_listed, &lost, 30));
    assert_true(wait_until(is_told_gone, &lost, 30));
    assert_true(born(d, path) == since);
    assert_true(is_left_alone(&kept));
    assert_string_equal(group_file(d, path, "pids.max", text, sizeof text), "70");
    assert_int_equal(count_events(d, path, "drift", NULL), 1);
    remove_group(d, path);
}

static void what_was_released_stays_released(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], text[64], *output;
    make_group(d, "web3", path);
    struct place p = {d, path, 0};
    assert_true(wait_until(is_settled, &p, 30));
    assert_int_equal(masu(d, &output, "release", "--all", NULL), 0);
    free(output);
    assert_string_equal(group_file(d, path, "pids.max", text, sizeof text), "max");

    core_dies(d, NULL);
    sleep(1);
    assert_string_equal(group_file(d, path, "pids.max", text, sizeof text), "max");
    json_t *status = api(d, "/api/v1/status");
    assert_true(json_is_true(json_object_get(json_object_get(status, "policy"), "released")));
    json_decref(status);
    assert_int_equal(masu(d, &output, "apply", NULL), 0);
    free(output);
    assert_string_equal(group_file(d, path, "pids.max", text, sizeof text), "50");
    remove_group(d, path);
}

static int start(void **state)
{
    static struct daemon d;
    daemon_init(&d, "restart", policy, NULL);
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
        cmocka_unit_test(what_lives_on_keeps_its_past_and_what_went_away_is_told),
        cmocka_unit_test(what_was_released_stays_released),
    };
    return cmocka_run_group_tests_name("restart", tests, start, stop);
}
