/* What each process may and may not do, asked of the running ones. */

#include "base/fs.h"
#include "base/str.h"
#include "tests/system/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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
    "quotas:\n  web:\n    match: { path: \"%s/web\" }\n    cpu: { bandwidth: 0.5 }\n";

static void status_line(pid_t pid, const char *key, char *buf, size_t size)
{
    char path[64], text[8192];
    str_format(path, sizeof path, "/proc/%d/status", (int)pid);
    buf[0] = '\0';
    if (fs_read_at(AT_FDCWD, path, text, sizeof text) < 0)
        return;
    char *at = strstr(text, key);
    if (!at)
        return;
    at += strlen(key);
    at += strspn(at, ":\t ");
    at[strcspn(at, "\n")] = '\0';
    str_copy(buf, size, at);
}

static bool is_powerless(pid_t pid)
{
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    char text[64];
    for (unsigned i = 0; i < ARRAY_LEN(sets); i++) {
        status_line(pid, sets[i], text, sizeof text);
        if (strcmp(text, "0000000000000000") != 0)
            return false;
    }
    status_line(pid, "NoNewPrivs", text, sizeof text);
    if (strcmp(text, "1") != 0)
        return false;
    status_line(pid, "\nUid", text, sizeof text);
    return strtoul(text, NULL, 10) != 0;
}

static void cmdline(pid_t pid, char *buf, size_t size)
{
    char path[64];
    str_format(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    ssize_t n = fs_read_at(AT_FDCWD, path, buf, size);
    for (ssize_t i = 0; i + 1 < n; i++)
        if (!buf[i])
            buf[i] = ' ';
    if (n <= 0)
        buf[0] = '\0';
}

static const char *const outsiders[] = {"archiver", "gateway", "courier"};

static void roles_that_meet_the_network_or_librrd_hold_no_capability(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(outsiders); i++) {
        pid_t pid = role_pid(*state, outsiders[i]);
        assert_true(pid > 0);
        assert_true(is_powerless(pid));
    }
}

static void each_process_shows_its_role_and_is_a_child_of_masud(void **state)
{
    static const char *const all[] = {"core", "enforcer", "archiver", "gateway", "courier"};
    struct daemon *d = *state;
    char text[1024], parent[32];
    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        char wanted[64];
        pid_t pid = role_pid(d, all[i]);
        cmdline(pid, text, sizeof text);
        str_format(wanted, sizeof wanted, "--role %s", all[i]);
        assert_non_null(strstr(text, wanted));
        status_line(pid, "PPid", parent, sizeof parent);
        assert_int_equal(atol(parent), d->pid);
    }
}

static void assert_maps_lack(pid_t pid, const char *const *names, unsigned count)
{
    char path[64], *text;
    size_t len;
    str_format(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text = malloc(1 << 20);
    len = fread(text, 1, (1 << 20) - 1, file);
    text[len] = '\0';
    fclose(file);
    for (unsigned i = 0; i < count; i++)
        if (strstr(text, names[i]))
            fail_msg("pid %d maps %s", (int)pid, names[i]);
    free(text);
}

static void root_maps_no_graphics_no_http(void **state)
{
    static const char *const unwanted[] = {"librrd",         "libpango", "libcairo", "libX11",
                                           "libevent_extra", "libcurl",  "libssl"};
    struct daemon *d = *state;
    const pid_t roots[] = {d->pid, role_pid(d, "core"), role_pid(d, "enforcer")};
    for (unsigned i = 0; i < ARRAY_LEN(roots); i++)
        assert_maps_lack(roots[i], unwanted, ARRAY_LEN(unwanted));
}

/* Runs @attempt as the user of @pid, with no rights: its result is the exit status. */
static int as_user_of(pid_t pid, int (*attempt)(void *argument), void *argument)
{
    char text[64];
    status_line(pid, "\nUid", text, sizeof text);
    uid_t uid = (uid_t)strtoul(text, NULL, 10);
    status_line(pid, "\nGid", text, sizeof text);
    gid_t gid = (gid_t)strtoul(text, NULL, 10);
    pid_t child = fork();
    if (child == 0) {
        if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
            _exit(99);
        _exit(attempt(argument));
    }
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

struct target {
    char path[512];
};

static int open_for_writing(void *argument)
{
    struct target *target = argument;
    int fd = open(target->path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 ? 0 : errno;
}

/* Whether @pid holds a file of cgroupfs, or the bus, open for writing: one that it was left by mistake. */
static bool writes_where_it_must_not(pid_t pid)
{
    char path[64], link[512], target[512], info[512];
    bool writes = false;
    str_format(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return true;
    for (const struct dirent *e; (e = readdir(dir));) {
        str_format(link, sizeof link, "%s/%s", path, e->d_name);
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        bool bus = str_starts(target, "/memfd:") && strstr(target, "bus");
        if (!bus && !str_starts(target, "/sys/fs/cgroup"))
            continue;
        str_format(link, sizeof link, "/proc/%d/fdinfo/%s", (int)pid, e->d_name);
        const char *flags = fs_read_at(AT_FDCWD, link, info, sizeof info) > 0 ? strstr(info, "flags:") : NULL;
        writes |= !flags || (strtoul(flags + 6, NULL, 8) & O_ACCMODE) != O_RDONLY;
    }
    closedir(dir);
    return writes;
}

static void outsiders_cannot_write_cgroupfs(void **state)
{
    struct daemon *d = *state;
    for (unsigned i = 0; i < ARRAY_LEN(outsiders); i++)
        for (unsigned h = 0; h < d->host.count; h++) {
            struct target target;
            str_format(target.path, sizeof target.path, "%s%s/cgroup.procs", d->host.hierarchies[h].mount,
                       d->root);
            assert_int_equal(as_user_of(role_pid(d, outsiders[i]), open_for_writing, &target), EACCES);
            assert_false(writes_where_it_must_not(role_pid(d, outsiders[i])));
        }
}

/* The descriptor of the bus in @pid: its number, or -1. */
static int bus_fd_of(pid_t pid)
{
    char path[64], link[512], target[256];
    str_format(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int found = -1;
    for (const struct dirent *e; found < 0 && (e = readdir(dir));) {
        str_format(link, sizeof link, "%s/%s", path, e->d_name);
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        if (str_starts(target, "/memfd:") && strstr(target, "bus"))
            found = atoi(e->d_name);
    }
    closedir(dir);
    return found;
}

static void outsiders_hold_the_bus_read_only_and_cannot_reopen_it(void **state)
{
    struct daemon *d = *state;
    for (unsigned i = 0; i < ARRAY_LEN(outsiders); i++) {
        pid_t pid = role_pid(d, outsiders[i]);
        int fd = bus_fd_of(pid);
        assert_true(fd >= 0);
        char path[64], text[512];
        str_format(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, fd);
        assert_true(fs_read_at(AT_FDCWD, path, text, sizeof text) > 0);
        const char *flags = strstr(text, "flags:");
        assert_non_null(flags);
        assert_int_equal(strtoul(flags + 6, NULL, 8) & O_ACCMODE, O_RDONLY);
        str_format(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        CLEANUP_FD int bus = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(bus >= 0);
        assert_int_equal(fcntl(bus, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW);

        /* The file itself is root's and 0600: no way back to it by name. */
        struct target target;
        struct stat st;
        str_format(target.path, sizeof target.path, "/proc/%d/fd/%d", (int)pid, fd);
        assert_int_equal(stat(target.path, &st), 0);
        assert_int_equal(st.st_uid, 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(as_user_of(pid, open_for_writing, &target), EACCES);
    }
}

static pid_t find_reader(pid_t parent)
{
    DIR *dir = opendir("/proc");
    pid_t found = 0;
    char text[512], ppid[32];
    for (const struct dirent *e; !found && (e = readdir(dir));) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid <= 0)
            continue;
        cmdline(pid, text, sizeof text);
        status_line(pid, "PPid", ppid, sizeof ppid);
        if (strstr(text, "--role reader") && strtol(ppid, NULL, 10) == parent)
            found = pid;
    }
    closedir(dir);
    return found;
}

/* It lives for some milliseconds: it is stopped, so that it can be looked at. */
static pid_t catch_reader(struct daemon *d)
{
    char state[32];
    for (int i = 0; i < 20000; i++) {
        pid_t reader = find_reader(d->pid);
        if (!reader || kill(reader, SIGSTOP) < 0)
            continue;
        for (int tries = 0; tries < 200; tries++) {
            status_line(reader, "\nState", state, sizeof state);
            if (!state[0])
                break;
            if (state[0] == 'T' && is_powerless(reader)) /* before its rights fell it is not yet the reader */
                return reader;
            if (state[0] == 'T')
                break;
            usleep(1000);
        }
        kill(reader, SIGCONT);
    }
    return 0;
}

static void a_reader_has_no_rights_either(void **state)
{
    struct daemon *d = *state;
    pid_t asker = fork();
    if (asker == 0)
        for (;;) {
            long status;
            free(http_get(d, "/api/v1/events?limit=1000", &status, NULL));
        }
    pid_t reader = catch_reader(d);
    bool writes = reader && writes_where_it_must_not(reader);
    struct target target;
    str_format(target.path, sizeof target.path, "%s%s/cgroup.procs", d->host.hierarchies[0].mount, d->root);
    int opened = reader ? as_user_of(reader, open_for_writing, &target) : 0;
    if (reader)
        kill(reader, SIGCONT);
    end_child(asker);
    assert_true(reader > 0);
    assert_false(writes);
    assert_int_equal(opened, EACCES);
}

static int start(void **state)
{
    static struct daemon d;
    daemon_init(&d, "walls", policy, NULL);
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
        cmocka_unit_test(each_process_shows_its_role_and_is_a_child_of_masud),
        cmocka_unit_test(roles_that_meet_the_network_or_librrd_hold_no_capability),
        cmocka_unit_test(root_maps_no_graphics_no_http),
        cmocka_unit_test(outsiders_cannot_write_cgroupfs),
        cmocka_unit_test(outsiders_hold_the_bus_read_only_and_cannot_reopen_it),
        cmocka_unit_test(a_reader_has_no_rights_either),
    };
    return cmocka_run_group_tests_name("walls", tests, start, stop);
}
