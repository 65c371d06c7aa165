/* Needs root and masu's users: a role's process holds what its row says and nothing else. The test is its own
 * executable. */

#include "agent/spawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/bus.h"
#include "agent/role_main.h"
#include "base/fs.h"
#include "base/memfd.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a role without privileges managed to do: its exit code. */
enum {
    DID_WRITE_CGROUPFS = 1 << 0,
    DID_MAKE_GROUP = 1 << 1,
    DID_WRITE_BUS = 1 << 2,
    DID_REOPEN_BUS = 1 << 3,
    DID_MAP_BUS = 1 << 4,
    DID_BECOME_ROOT = 1 << 5,
};

static int try_everything(struct role_context *context)
{
    static const char *const groups[] = {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/cgroup.procs",
                                         "/sys/fs/cgroup/unified/cgroup.procs"};
    static const char *const made[] = {"/sys/fs/cgroup/masu-test-agent",
                                       "/sys/fs/cgroup/memory/masu-test-agent",
                                       "/sys/fs/cgroup/unified/masu-test-agent"};
    int did = 0;
    for (unsigned i = 0; i < ARRAY_LEN(groups); i++) {
        if (open(groups[i], O_WRONLY | O_CLOEXEC) >= 0)
            did |= DID_WRITE_CGROUPFS;
        if (mkdir(made[i], 0700) == 0) {
            did |= DID_MAKE_GROUP;
            (void)rmdir(made[i]);
        }
    }
    char bus[64];
    (void)snprintf(bus, sizeof bus, "/proc/self/fd/%d", context->bus_fd);
    if (write(context->bus_fd, "x", 1) >= 0)
        did |= DID_WRITE_BUS;
    if (open(bus, O_RDWR | O_CLOEXEC) >= 0)
        did |= DID_REOPEN_BUS;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, context->bus_fd, 0) != MAP_FAILED)
        did |= DID_MAP_BUS;
    if (setuid(0) == 0)
        did |= DID_BECOME_ROOT;
    return did;
}

struct spawned {
    pid_t pid;
    int control;
};

static struct spawned spawn_one(enum role_id role)
{
    int ends[2];
    struct spawn_user user;
    assert_int_equal(channel_pair(ends), 0);
    assert_int_equal(spawn_user_find(roles[role].user, &user), 0);
    int file = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    int lock = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct spawned spawned = {.control = ends[0]};
    const struct spawn spawn = {
        .role = &roles[role], .user = user, .file_fd = file, .control_fd = ends[1], .lock_fd = lock};
    assert_int_equal(spawn_role(&spawn, &spawned.pid), 0);
    fd_close(file);
    fd_close(lock);
    fd_close(ends[1]);
    return spawned;
}

static void hear_hello(const struct spawned *spawned)
{
    struct channel_message message;
    struct pollfd wait = {.fd = spawned->control, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 30000), 1);
    assert_int_equal(channel_receive(spawned->control, &message), CHANNEL_OK);
    assert_int_equal(message.type, MESSAGE_HELLO);
    struct message_hello hello;
    memcpy(&hello, message.body, sizeof hello);
    assert_int_equal(hello.pid, spawned->pid);
}

static int end_of(const struct spawned *spawned)
{
    int status;
    fd_close(spawned->control);
    assert_int_equal(waitpid(spawned->pid, &status, 0), spawned->pid);
    return status;
}

/* The text after "KEY:" of /proc/PID/status, blanks trimmed. */
static const char *status_of(pid_t pid, const char *key)
{
    static char text[8192];
    char path[64], line_start[32];
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    assert_true(fs_read_at(AT_FDCWD, path, text, sizeof text) > 0);
    (void)snprintf(line_start, sizeof line_start, "\n%s:", key);
    char *value = strstr(text, line_start);
    assert_non_null(value);
    value += strlen(line_start);
    value += strspn(value, "\t ");
    value[strcspn(value, "\n")] = '\0';
    return value;
}

static uint64_t capabilities_of(pid_t pid, const char *key)
{
    return strtoull(status_of(pid, key), NULL, 16);
}

static void assert_no_other_descriptor(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            assert_true(atoi(entry->d_name) <= ROLE_LOCK_FD);
    (void)closedir(directory);
}

static void test_roles_that_face_the_network_or_the_archive_hold_nothing(void **state)
{
    static const enum role_id plain[] = {ROLE_ARCHIVER, ROLE_GATEWAY, ROLE_COURIER, ROLE_READER};
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(plain); i++) {
        struct spawn_user user;
        char ids[64];
        assert_int_equal(spawn_user_find(roles[plain[i]].user, &user), 0);
        struct spawned spawned = spawn_one(plain[i]);
        hear_hello(&spawned);
        (void)snprintf(ids, sizeof ids, "%u\t%u\t%u\t%u", user.uid, user.uid, user.uid, user.uid);
        assert_string_equal(status_of(spawned.pid, "Uid"), ids);
        (void)snprintf(ids, sizeof ids, "%u\t%u\t%u\t%u", user.gid, user.gid, user.gid, user.gid);
        assert_string_equal(status_of(spawned.pid, "Gid"), ids);
        assert_string_equal(status_of(spawned.pid, "Groups"), "");
        assert_true(capabilities_of(spawned.pid, "CapEff") == 0);
        assert_true(capabilities_of(spawned.pid, "CapPrm") == 0);
        assert_true(capabilities_of(spawned.pid, "CapInh") == 0);
        assert_true(capabilities_of(spawned.pid, "CapAmb") == 0);
        assert_true(capabilities_of(spawned.pid, "CapBnd") == 0);
        assert_string_equal(status_of(spawned.pid, "NoNewPrivs"), "1");
        assert_no_other_descriptor(spawned.pid);
        assert_int_equal(end_of(&spawned), 0);
    }
}

static void test_roles_of_root_hold_their_row_and_no_more(void **state)
{
    static const enum role_id root[] = {ROLE_CORE, ROLE_ENFORCER};
    (void)state;
    uint64_t ours = capabilities_of(getpid(), "CapEff") & capabilities_of(getpid(), "CapBnd");
    for (unsigned i = 0; i < ARRAY_LEN(root); i++) {
        struct spawned spawned = spawn_one(root[i]);
        hear_hello(&spawned);
        uint64_t expected = roles[root[i]].capabilities & ours;
        assert_true(expected != 0);
        assert_true(capabilities_of(spawned.pid, "CapEff") == expected);
        assert_true(capabilities_of(spawned.pid, "CapPrm") == expected);
        assert_true(capabilities_of(spawned.pid, "CapBnd") == expected);
        assert_true(capabilities_of(spawned.pid, "CapInh") == 0);
        assert_string_equal(status_of(spawned.pid, "NoNewPrivs"), "1");
        assert_no_other_descriptor(spawned.pid);
        assert_int_equal(end_of(&spawned), 0);
    }
}

static void give(const struct spawned *spawned, enum give_what what, int fd)
{
    const struct message_give body = {.what = (int32_t)what};
    assert_int_equal(channel_send(spawned->control, MESSAGE_GIVE, 0, &body, sizeof body, &fd, 1), CHANNEL_OK);
}

static void test_a_role_without_privileges_can_write_neither_cgroupfs_nor_the_bus(void **state)
{
    static struct settings settings;
    (void)state;
    int bus, bus_read;
    assert_int_equal(bus_create(1048576, &bus, &bus_read), 0);
    settings_init(&settings);
    int settings_fd = memfd_seal_bytes("test", &settings, sizeof settings);
    assert_true(settings_fd >= 0);
    static const enum role_id plain[] = {ROLE_ARCHIVER, ROLE_GATEWAY, ROLE_COURIER};
    for (unsigned i = 0; i < ARRAY_LEN(plain); i++) {
        struct spawned spawned = spawn_one(plain[i]);
        hear_hello(&spawned);
        give(&spawned, GIVE_SETTINGS, settings_fd);
        give(&spawned, GIVE_BUS, bus_read);
        assert_int_equal(channel_send(spawned.control, MESSAGE_GO, 0, NULL, 0, NULL, 0), CHANNEL_OK);
        int status;
        assert_int_equal(waitpid(spawned.pid, &status, 0), spawned.pid);
        fd_close(spawned.control);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0); /* DID_… */
    }
    fd_close(settings_fd);
    fd_close(bus);
    fd_close(bus_read);
}

static void test_the_command_line_shows_the_role(void **state)
{
    (void)state;
    struct spawned spawned = spawn_one(ROLE_COURIER);
    hear_hello(&spawned);
    char path[64], line[256];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)spawned.pid);
    ssize_t len = fs_read_at(AT_FDCWD, path, line, sizeof line);
    static const char expected[] = "masu-gateway\0--role\0courier";
    assert_int_equal(len, sizeof expected);
    assert_memory_equal(line, expected, sizeof expected);
    (void)snprintf(path, sizeof path, "/proc/%d/comm", (int)spawned.pid);
    assert_true(fs_read_at(AT_FDCWD, path, line, sizeof line) > 0);
    assert_string_equal(line, "masu-courier\n");
    assert_int_equal(end_of(&spawned), 0);
}

static void test_an_unknown_user_is_told(void **state)
{
    (void)state;
    struct spawn_user user;
    assert_int_equal(spawn_user_find("masu-no-such-user", &user), -ENOENT);
    assert_int_equal(spawn_user_find(NULL, &user), 0);
    assert_int_equal(user.uid, 0);
}

int main(int argc, char **argv)
{
    static role_entry *const entries[ROLE_N] = {
        [ROLE_CORE] = try_everything,    [ROLE_ENFORCER] = try_everything, [ROLE_ARCHIVER] = try_everything,
        [ROLE_GATEWAY] = try_everything, [ROLE_COURIER] = try_everything,  [ROLE_READER] = try_everything,
    };
    if (argc > 1)
        return role_main(argc, argv, entries);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles_that_face_the_network_or_the_archive_hold_nothing),
        cmocka_unit_test(test_roles_of_root_hold_their_row_and_no_more),
        cmocka_unit_test(test_a_role_without_privileges_can_write_neither_cgroupfs_nor_the_bus),
        cmocka_unit_test(test_the_command_line_shows_the_role),
        cmocka_unit_test(test_an_unknown_user_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
