/* Real containers, LXC's and runc's: seen, named, held, sampled, graphed, gone. */

#include "base/fs.h"
#include "base/str.h"
#include "tests/system/harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char policy[] = "quotas:\n"
                             "  box:\n"
                             "    match: { container: \"masu-test-*\", runtime: [lxc, runc] }\n"
                             "    cpu: { bandwidth: 0.25 }\n"
                             "    memory: { limit: 64MiB }\n"
                             "    pids: 60\n";

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A command line of the test's own making, its output shown when it fails. */
static int run(const char *format, ...)
{
    char line[2048], quiet[2200];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    str_format(quiet, sizeof quiet, "{ %s; } >/tmp/masu-test-command.log 2>&1 </dev/null", line);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", quiet, (char *)NULL);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        char text[4096];
        if (fs_read_at(AT_FDCWD, "/tmp/masu-test-command.log", text, sizeof text) > 0)
            print_message("%s:\n%s\n", line, text);
        return -1;
    }
    unlink("/tmp/masu-test-command.log");
    return 0;
}

struct box {
    struct daemon *d;
    const char *name, *runtime;
    char path[GROUP_PATH_MAX]; /* filled when it is seen */
};

static json_t *find_box(struct box *box)
{
    json_t *answer = api(box->d, "/api/v1/containers"), *c, *found = NULL;
    size_t i;
    json_array_foreach(json_object_get(answer, "containers"), i,
                       c) if (strcmp(json_string_value(json_object_get(c, "name")), box->name) == 0 &&
                              strcmp(json_string_value(json_object_get(c, "runtime")), box->runtime) == 0)
    {
        found = json_incref(c);
        str_copy(box->path, sizeof box->path, json_string_value(json_object_get(c, "path")));
    }
    json_decref(answer);
    return found;
}

static bool is_named_held_and_sampled(void *argument)
{
    struct box *box = argument;
    json_t *c = find_box(box);
    const char *quota = json_string_value(json_object_get(c, "quota"));
    json_t *rates = json_object_get(json_object_get(c, "sample"), "rates");
    bool is = quota && strcmp(quota, "box") == 0 && json_object_get(rates, "cpu_usage");
    json_decref(c);
    return is;
}

static bool is_gone(void *argument)
{
    json_t *c = find_box(argument);
    json_decref(c);
    return c == NULL;
}

static bool limits_hold(void *argument)
{
    struct box *box = argument;
    char text[64];
    bool v2 = version_of(box->d, "cpu") == 2;
    group_file(box->d, box->path, v2 ? "cpu.max" : "cpu.cfs_quota_us", text, sizeof text);
    if (strtol(text, NULL, 10) != 25000)
        return false;
    v2 = version_of(box->d, "memory") == 2;
    group_file(box->d, box->path, v2 ? "memory.max" : "memory.limit_in_bytes", text, sizeof text);
    return strtol(text, NULL, 10) == 64 << 20;
}

static bool graph_comes(void *argument)
{
    struct box *box = argument;
    char file[200], *output;
    struct stat st;
    str_format(file, sizeof file, "%s/graph.png", box->d->dir);
    unlink(file);
    int code = masu(box->d, &output, "graph", box->name, "cpu_usage", "--last", "10m", "-o", file, NULL);
    free(output);
    return code == 0 && stat(file, &st) == 0 && st.st_size > 2000;
}

static void assert_life_of(struct box *box)
{
    assert_true(wait_until(is_named_held_and_sampled, box, 20));
    assert_true(wait_until(limits_hold, box, 10));
    assert_true(wait_until(graph_comes, box, 40));
}

static void lxc_container_lives_under_masu(void **state)
{
    struct daemon *d = *state;
    char name[64], dir[160];
    str_format(name, sizeof name, "masu-test-lxc-%d", (int)getpid());
    str_format(dir, sizeof dir, "%s/lxc", d->dir);
    assert_int_equal(fs_make_dirs(dir, 0755), 0);
    assert_int_equal(run("lxc-create -P %s -n %s -t busybox", dir, name), 0);
    assert_int_equal(run("sed -i '/^lxc.net/d' %s/%s/config && echo 'lxc.net.0.type = empty' >>%s/%s/config",
                         dir, name, dir, name),
                     0);
    assert_int_equal(
        run("lxc-start -P %s -n %s -d && lxc-wait -P %s -n %s -s RUNNING -t 20", dir, name, dir, name), 0);
    struct box box = {.d = d, .name = name, .runtime = "lxc"};
    assert_life_of(&box);
    assert_int_equal(run("lxc-stop -P %s -n %s -k", dir, name), 0);
    assert_true(wait_until(is_gone, &box, 20));
    assert_int_equal(run("lxc-destroy -P %s -n %s", dir, name), 0);
}

/* runc writes cpu and memory limits of its own a moment after it made the group. */
static void write_bundle(const char *bundle, const char *cgroup_path)
{
    char path[400];
    assert_int_equal(run("mkdir -p %s/rootfs/bin && cp /bin/busybox %s/rootfs/bin/ && ln -sf busybox "
                         "%s/rootfs/bin/sleep && "
                         "cd %s && rm -f config.json && runc spec",
                         bundle, bundle, bundle, bundle),
                     0);
    str_format(path, sizeof path, "%s/config.json", bundle);
    json_t *config = json_load_file(path, 0, NULL);
    assert_non_null(config);
    json_t *process = json_object_get(config, "process"), *linux_part = json_object_get(config, "linux");
    json_object_set_new(process, "terminal", json_false());
    json_object_set_new(process, "args", json_pack("[s,s]", "sleep", "1000"));
    json_object_del(process, "rlimits");
    json_object_set_new(linux_part, "cgroupsPath", json_string(cgroup_path));
    json_object_set_new(linux_part, "resources",
                        json_pack("{s:[{s:b,s:s}],s:{s:i,s:i},s:{s:i}}", "devices", "allow", 0, "access",
                                  "rwm", "cpu", "quota", 90000, "period", 100000, "memory", "limit",
                                  200 << 20));
    assert_int_equal(json_dump_file(config, path, JSON_INDENT(2)), 0);
    json_decref(config);
}

static void runc_container_lives_under_masu(void **state)
{
    struct daemon *d = *state;
    char name[64], bundle[200], cgroup_path[128];
    str_format(name, sizeof name, "masu-test-runc-%d", (int)getpid());
    str_format(bundle, sizeof bundle, "%s/bundle", d->dir);
    str_format(cgroup_path, sizeof cgroup_path, "%s/box", d->root);
    write_bundle(bundle, cgroup_path);
    assert_int_equal(run("runc run -d -b %s %s", bundle, name), 0);
    struct box box = {.d = d, .name = name, .runtime = "runc"};
    assert_life_of(&box);
    sleep(2);
    assert_true(limits_hold(&box));
    assert_int_equal(run("runc kill %s KILL; sleep 1; runc delete -f %s", name, name), 0);
    assert_true(wait_until(is_gone, &box, 20));
}

static int start(void **state)
{
    static struct daemon d;
    char scope[256];
    int pid = (int)getpid();
    str_format(scope, sizeof scope,
               "scope: [ \"/masu-test-containers-%d/**\", \"/lxc.payload.masu-test-lxc-%d/**\", "
               "\"/lxc/masu-test-lxc-%d/**\" ]\n",
               pid, pid, pid);
    daemon_init(&d, "containers", policy, scope);
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
        cmocka_unit_test(lxc_container_lives_under_masu),
        cmocka_unit_test(runc_container_lives_under_masu),
    };
    return cmocka_run_group_tests_name("containers", tests, start, stop);
}
