/* Bad input: one clear message, the old policy stays in force, exit codes as documented; groups that vanish
 * at each step. */

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "tests/system/harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char policy[] =
    "quotas:\n  web:\n    match: { path: \"%s/web*\" }\n    cpu: { bandwidth: 0.2 }\n    pids: 70\n";

static long quota_usec(struct daemon *d, const char *path)
{
    char text[64];
    group_file(d, path, version_of(d, "cpu") == 2 ? "cpu.max" : "cpu.cfs_quota_us", text, sizeof text);
    return strtol(text, NULL, 10);
}

struct held {
    struct daemon *d;
    const char *path;
};

static bool holds(void *argument)
{
    struct held *h = argument;
    return quota_usec(h->d, h->path) == 20000;
}

/* "masu check" of a file with @text: its exit code; the output to @ret_output. */
static int check(struct daemon *d, const char *text, size_t len, char **ret_output)
{
    char file[200];
    str_format(file, sizeof file, "%s/checked.yaml", d->dir);
    assert_int_equal(fs_replace_at(AT_FDCWD, file, text, len, 0644), 0);
    return masu(d, ret_output, "check", file, NULL);
}

static void each_mistake_is_told_with_its_place_and_a_way_out(void **state)
{
    static const struct {
        const char *text, *place, *word;
    } mistakes[] = {
        {"quotas:\n  a:\n    memry: { limit: 1GiB }\n", ":3:5:", "memory"},
        {"quotas:\n  a:\n    memory: { limit: 512 }\n", ":3:", "512MiB"},
        {"quotas:\n  a:\n    cpu: { bandwidth: fast }\n", ":3:", "1.5"},
        {"quotas:\n  a:\n    extends: b\n", ":3:", "b"},
        {"quotas:\n  a: [ 1, 2 ]\n", ":2:", "a"},
        {"quotas:\n\ta: 1\n", ":2:", "tab"},
        {"quotas:\n  a: { pids: 10 }\n  a: { pids: 20 }\n", ":3:", "a"},
        {"quotas:\n  a: &x { pids: 10 }\n  b: *x\n", ":2:", "extends"},
        {"quotas:\n  a:\n    network: { class: \"10:1\" }\n", ":3:", "not supported"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(mistakes); i++) {
        char *output;
        int code = check(*state, mistakes[i].text, strlen(mistakes[i].text), &output);
        if (code != 2 || !strstr(output, mistakes[i].place) || !strstr(output, mistakes[i].word))
            fail_msg("exit %d, said '%s' to:\n%s", code, output, mistakes[i].text);
        free(output);
    }
}

static void good_policy_is_valid(void **state)
{
    char *output;
    const char text[] = "quotas:\n  a: { cpu: { bandwidth: 150% }, memory: { limit: 2GiB } }\n";
    assert_int_equal(check(*state, text, strlen(text), &output), 0);
    free(output);
}

static void ten_megabytes_and_alias_bombs_are_refused_at_once(void **state)
{
    struct buf big = BUF_NULL;
    char *output;
    buf_puts(&big, "quotas:\n");
    for (unsigned i = 0; big.len < 10 << 20; i++)
        buf_printf(&big, "  q%u: { pids: 10 }\n", i);
    assert_int_equal(check(*state, big.data, big.len, &output), 2);
    assert_non_null(strstr(output, "1MiB"));
    free(output);
    buf_clear(&big);
    buf_puts(&big, "a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (char c = 'b'; c < 'k'; c++)
        buf_printf(&big, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1, c - 1, c - 1, c - 1,
                   c - 1, c - 1, c - 1, c - 1, c - 1);
    uint64_t begin_ns = clock_mono_ns();
    assert_int_equal(check(*state, big.data, big.len, &output), 2);
    assert_true(clock_mono_ns() - begin_ns < 10 * NSEC_PER_SEC); /* not exponential: it would take hours */
    free(output);
    buf_fini(&big);
}

static void what_this_kernel_lacks_is_refused_with_its_reason(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], *output;
    make_group(d, "web-lack", path);
    struct held held = {d, path};
    assert_true(wait_until(holds, &held, 30));
    daemon_set_policy(
        d, "quotas:\n  web:\n    match: { path: \"%s/web*\" }\n    cpu: { bandwidth: 0.2 }\n    pids: 70\n"
           "    io: { /dev/masu-no-such-disk: { read: 1MB/s } }\n");
    assert_int_equal(masu(d, &output, "plan", NULL), 0);
    if (!strstr(output, "/dev/masu-no-such-disk"))
        fail_msg("the plan says nothing of the disk:\n%s", output);
    free(output);
    assert_int_equal(quota_usec(d, path), 20000);
    daemon_set_policy(d, policy);
    remove_group(d, path);
}

static bool complains(void *argument)
{
    json_t *status = api(argument, "/api/v1/status");
    const char *error = json_string_value(json_object_get(json_object_get(status, "policy"), "error"));
    bool places_it = error && strstr(error, "policy.yaml:");
    json_decref(status);
    return places_it;
}

static bool is_content(void *argument)
{
    json_t *status = api(argument, "/api/v1/status");
    bool content = json_is_null(json_object_get(json_object_get(status, "policy"), "error"));
    json_decref(status);
    return content;
}

static void assert_status_says(struct daemon *d, const char *words)
{
    char *output;
    assert_int_equal(masu(d, &output, "status", NULL), 0);
    if (!strstr(output, words))
        fail_msg("no '%s' in:\n%s", words, output);
    free(output);
}

static void broken_policy_at_reload_stays_out(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX];
    make_group(d, "web-reload", path);
    struct held held = {d, path};
    assert_true(wait_until(holds, &held, 30));
    daemon_set_policy(d, "quotas: [ this is no policy\n");
    kill(d->pid, SIGHUP);
    assert_true(wait_until(complains, d, 30));
    assert_int_equal(quota_usec(d, path), 20000);
    assert_status_says(d, "was rejected, the last good one holds: ");
    remove_group(d, path);

    make_group(d, "web-after", path); /* the old policy holds for new groups too */
    assert_true(wait_until(holds, &held, 30));
    daemon_set_policy(d, policy);
    kill(d->pid, SIGHUP);
    assert_true(wait_until(is_content, d, 30));
    remove_group(d, path);
}

static void broken_policy_at_the_start_leaves_limits_as_they_are(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX];
    make_group(d, "web-start", path);
    struct held held = {d, path};
    assert_true(wait_until(holds, &held, 30));
    daemon_stop(d);
    daemon_set_policy(d, "quotas: [ this is no policy\n");
    daemon_start(d);
    assert_true(wait_until(complains, d, 30));
    assert_int_equal(quota_usec(d, path), 20000);
    assert_status_says(d, "none loaded");
    assert_status_says(d, "was rejected, limits stay as they are until one can be read: ");
    daemon_set_policy(d, policy);
    kill(d->pid, SIGHUP);
    assert_true(wait_until(is_content, d, 30));
    remove_group(d, path);
}

static void groups_that_vanish_at_any_moment_are_no_trouble(void **state)
{
    struct daemon *d = *state;
    char name[32], path[GROUP_PATH_MAX];
    json_t *status = api(d, "/api/v1/status");
    long before = (long)json_integer_value(json_object_get(json_object_get(status, "enforcer"), "failed"));
    json_decref(status);
    /* Each lives a little longer than the one before: it is caught between every two steps of a birth. */
    for (unsigned i = 0; i < 150; i++) {
        str_format(name, sizeof name, "web-brief%u", i);
        make_group(d, name, path);
        usleep(i * 20);
        remove_group(d, path);
    }
    make_group(d, "web-last", path);
    struct held held = {d, path};
    assert_true(wait_until(holds, &held, 30));
    status = api(d, "/api/v1/status");
    assert_non_null(status);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "enforcer"), "failed")),
                     before);
    json_t *process;
    size_t i;
    json_array_foreach(json_object_get(status, "processes"), i, process)
        assert_int_equal(json_integer_value(json_object_get(process, "restarts")), 0);
    json_decref(status);
    remove_group(d, path);
}

struct drawn {
    struct daemon *d;
    char path[GROUP_PATH_MAX], file[200];
};

static bool graph_comes(void *argument)
{
    struct drawn *drawn = argument;
    char *output;
    unlink(drawn->file);
    int code =
        masu(drawn->d, &output, "graph", drawn->path, "pids", "--last", "10m", "-o", drawn->file, NULL);
    free(output);
    return code == 0 && access(drawn->file, R_OK) == 0;
}

static bool is_no_more(void *argument)
{
    struct drawn *drawn = argument;
    json_t *c = container(drawn->d, drawn->path);
    json_decref(c);
    return c == NULL;
}

static void what_is_gone_is_drawn_by_its_path_and_a_typing_error_is_told(void **state)
{
    struct drawn drawn = {.d = *state};
    char alive[GROUP_PATH_MAX], wrong[GROUP_PATH_MAX + 1], hint[GROUP_PATH_MAX + 32], *output;
    str_format(drawn.file, sizeof drawn.file, "%s/gone.png", drawn.d->dir);
    make_group(drawn.d, "alive", alive);
    make_group(drawn.d, "gone", drawn.path);
    assert_true(wait_until(graph_comes, &drawn, 60));
    remove_group(drawn.d, drawn.path);
    assert_true(wait_until(is_no_more, &drawn, 20));
    assert_true(graph_comes(&drawn));
    int code;
    json_t *history = masu_json(drawn.d, &code, "graph", drawn.path, "pids", NULL);
    assert_int_equal(code, 0);
    assert_true(json_array_size(json_object_get(history, "points")) > 0);
    json_decref(history);
    str_format(wrong, sizeof wrong, "%sx", alive);
    str_format(hint, sizeof hint, "did you mean '%s'?", alive);
    assert_int_equal(masu(drawn.d, &output, "graph", wrong, "pids", "-o", drawn.file, NULL), 1);
    assert_non_null(strstr(output, hint));
    free(output);
    remove_group(drawn.d, alive);
}

static void wrong_usage_and_missing_daemon_have_their_exit_codes(void **state)
{
    struct daemon *d = *state, away = *d;
    char *output;
    assert_int_equal(masu(d, &output, "frobnicate", NULL), 64);
    assert_non_null(strstr(output, "frobnicate"));
    free(output);
    assert_int_equal(masu(d, &output, "graph", NULL), 64);
    free(output);
    assert_int_equal(masu(d, &output, "events", "--limit", "0", NULL), 64);
    free(output);
    assert_int_equal(
        masu(d, &output, "graph", "no-such-container", "cpu_usage", "-o", "/tmp/masu-test-no.png", NULL), 1);
    assert_non_null(strstr(output, "no-such-container"));
    free(output);
    str_format(away.socket, sizeof away.socket, "%s/nobody.sock", d->dir);
    assert_int_equal(masu(&away, &output, "status", NULL), 1);
    assert_non_null(strstr(output, "is it running"));
    free(output);
}

static void only_root_changes_limits(void **state)
{
    struct daemon *d = *state;
    char *output;
    pid_t pid = fork();
    if (pid == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(99);
        int code = masu(d, &output, "apply", NULL);
        _exit(code == 1 && strstr(output, "root") ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 0);
    long http;
    char *body = http_get(d, "/api/v1/no/such/thing", &http, NULL);
    assert_int_equal(http, 404);
    assert_non_null(strstr(body, "error"));
    free(body);
}

static int start(void **state)
{
    static struct daemon d;
    daemon_init(&d, "input", policy, NULL);
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
        cmocka_unit_test(each_mistake_is_told_with_its_place_and_a_way_out),
        cmocka_unit_test(good_policy_is_valid),
        cmocka_unit_test(ten_megabytes_and_alias_bombs_are_refused_at_once),
        cmocka_unit_test(what_this_kernel_lacks_is_refused_with_its_reason),
        cmocka_unit_test(broken_policy_at_reload_stays_out),
        cmocka_unit_test(broken_policy_at_the_start_leaves_limits_as_they_are),
        cmocka_unit_test(groups_that_vanish_at_any_moment_are_no_trouble),
        cmocka_unit_test(what_is_gone_is_drawn_by_its_path_and_a_typing_error_is_told),
        cmocka_unit_test(wrong_usage_and_missing_daemon_have_their_exit_codes),
        cmocka_unit_test(only_root_changes_limits),
    };
    return cmocka_run_group_tests_name("input", tests, start, stop);
}
