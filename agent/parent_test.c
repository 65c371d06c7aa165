/*
 * Needs root and masu's users. The household with tiny roles: the test is its own masud, masu-archiver and
 * masu-gateway, and waits for lines of the story that they write.
 */

#include "agent/parent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/parent_member.h"
#include "agent/parent_test_roles.h"
#include "agent/role_main.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct stage {
    char root[64];
    struct settings settings;
    pid_t masud;
};

enum { PATIENCE_S = 60 };

static bool again(uint64_t since_ns)
{
    (void)usleep(10000);
    return clock_mono_ns() - since_ns < PATIENCE_S * NSEC_PER_SEC;
}

static pid_t masud_start(const struct stage *stage, const char *log)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    int fd = log ? open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    if (fd >= 0)
        (void)dup2(fd, STDERR_FILENO);
    log_init("masud", LOG_INFO);
    int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    const struct spawn_files files = {.fds = {self, self, self}};
    _exit(parent_run(&stage->settings, &files));
}

static unsigned story_count(const struct stage *stage, const char *line)
{
    char path[SETTING_PATH_MAX + 16], *text;
    size_t len;
    unsigned count = 0;
    (void)str_format(path, sizeof path, "%s/story", stage->settings.run_dir);
    if (fs_slurp(path, 1048576, &text, &len) < 0)
        return 0;
    for (const char *at = text; (at = strstr(at, line)); at++)
        count++;
    free(text);
    return count;
}

static void wait_story(const struct stage *stage, const char *line, unsigned count)
{
    uint64_t since_ns = clock_mono_ns();
    while (story_count(stage, line) < count)
        if (!again(since_ns))
            fail_msg("never told %u times: %s", count, line);
}

/* The living child of @parent with that role on its command line; 0 when there is none. */
static pid_t find_role(pid_t parent, const char *role)
{
    char path[96], text[4096];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    if (fs_read_at(AT_FDCWD, path, text, sizeof text) < 0)
        return 0;
    for (char *save, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char line[256];
        (void)snprintf(path, sizeof path, "/proc/%s/cmdline", word);
        ssize_t len = fs_read_at(AT_FDCWD, path, line, sizeof line);
        if (len > (ssize_t)strlen(role) && strcmp(line + (size_t)len - strlen(role) - 1, role) == 0)
            return (pid_t)atoi(word);
    }
    return 0;
}

static pid_t wait_role(const struct stage *stage, const char *role, pid_t other_than)
{
    uint64_t since_ns = clock_mono_ns();
    for (;;) {
        pid_t pid = find_role(stage->masud, role);
        if (pid && pid != other_than)
            return pid;
        if (!again(since_ns))
            fail_msg("no %s", role);
    }
}

static void write_exec(struct stage *stage)
{
    (void)snprintf(stage->settings.exec, sizeof stage->settings.exec, "%s/notify", stage->root);
    FILE *file = fopen(stage->settings.exec, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "#!/bin/sh\necho \"exec $MASU_EVENT ${MASU_LEVEL-unset} ${MASU_LEVEL_BEFORE-unset} "
                  "$MASU_CONTAINER $MASU_PATH $MASU_TIME $MASU_TEXT\" >> %s/story\n",
                  stage->settings.run_dir);
    (void)fclose(file);
    assert_int_equal(chmod(stage->settings.exec, 0755), 0);
}

static int setup(void **state)
{
    static struct stage stage;
    stage = (struct stage){.root = "/tmp/masu-parent-XXXXXX"};
    settings_init(&stage.settings);
    if (!mkdtemp(stage.root) || chmod(stage.root, 0755) < 0)
        return -1;
    (void)snprintf(stage.settings.run_dir, sizeof stage.settings.run_dir, "%s/run", stage.root);
    (void)snprintf(stage.settings.state_dir, sizeof stage.settings.state_dir, "%s/state", stage.root);
    stage.settings.http_listen[0] = '\0';
    write_exec(&stage);
    stage.masud = masud_start(&stage, NULL);
    *state = &stage;
    return 0;
}

static int end_of(pid_t pid)
{
    int status;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static int teardown(void **state)
{
    const struct stage *stage = *state;
    char command[128];
    if (stage->masud) {
        (void)kill(stage->masud, SIGTERM);
        (void)end_of(stage->masud);
    }
    (void)snprintf(command, sizeof command, "rm -rf %s", stage->root);
    return system(command);
}

static void wait_ready(const struct stage *stage)
{
    wait_story(stage, "enforcer answered\n", 1);
    wait_story(stage, "gateway says hello\n", 1);
    wait_story(stage, "gateway says the reader answered\n", 1);
    wait_story(stage,
               "exec pressure critical none web /lxc/web 1700000000.012345 some 40 %; $(touch /tmp/never)\n",
               1);
    wait_story(stage, "exec oom_kill unset unset web /lxc/web 1700000000.012345 ", 1);
}

static void test_the_roles_start_and_find_their_peers(void **state)
{
    const struct stage *stage = *state;
    wait_ready(stage);
    assert_int_equal(story_count(stage, "ran"), 0);
}

static void test_a_killed_role_comes_back_and_its_peers_are_connected_anew(void **state)
{
    const struct stage *stage = *state;
    static const struct {
        const char *role;
        struct {
            const char *line;
            unsigned count;
        } told[2];
    } acts[] = {
        {"enforcer", {{"enforcer answered\n", 2}}},
        {"core", {{"enforcer answered\n", 3}, {"gateway says hello\n", 2}}},
        {"gateway", {{"gateway says hello\n", 3}, {"gateway says the reader answered\n", 2}}},
        {"archiver",
         {{"gateway says the reader answered\n", 3}, {"gateway says archiver's restarts are 1\n", 1}}},
        {"courier", {{"exec pressure critical none web", 2}}},
    };
    wait_ready(stage);
    for (unsigned i = 0; i < ARRAY_LEN(acts); i++) {
        char line[64];
        pid_t pid = wait_role(stage, acts[i].role, 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        (void)wait_role(stage, acts[i].role, pid);
        (void)snprintf(line, sizeof line, "%s ran 1\n", acts[i].role);
        wait_story(stage, line, 1);
        for (unsigned t = 0; t < ARRAY_LEN(acts[i].told) && acts[i].told[t].line; t++)
            wait_story(stage, acts[i].told[t].line, acts[i].told[t].count);
    }
}

static void test_sighup_reaches_core(void **state)
{
    const struct stage *stage = *state;
    wait_ready(stage);
    assert_int_equal(kill(stage->masud, SIGHUP), 0);
    wait_story(stage, "reload\n", 1);
}

static void assert_gone(const pid_t *pids, unsigned count)
{
    uint64_t since_ns = clock_mono_ns();
    for (unsigned i = 0; i < count; i++)
        while (kill(pids[i], 0) == 0)
            if (!again(since_ns))
                fail_msg("pid %d outlived masud", (int)pids[i]);
}

static unsigned find_all(const struct stage *stage, pid_t pids[ROLE_N])
{
    unsigned count = 0;
    for (unsigned i = 0; i < ROLE_N; i++)
        if (member_kept((enum role_id)i))
            pids[count++] = wait_role(stage, roles[i].name, 0);
    return count;
}

static void test_sigterm_stops_core_before_those_it_needs_and_leaves_nothing(void **state)
{
    struct stage *stage = *state;
    pid_t pids[ROLE_N];
    wait_ready(stage);
    unsigned count = find_all(stage, pids);
    assert_int_equal(kill(stage->masud, SIGTERM), 0);
    assert_int_equal(end_of(stage->masud), 0);
    stage->masud = 0;
    assert_gone(pids, count);
    wait_story(stage, "core stops\nenforcer stops\n", 1);
    char path[SETTING_PATH_MAX + 16];
    (void)str_format(path, sizeof path, "%s/masu.sock", stage->settings.run_dir);
    assert_false(fs_exists_at(AT_FDCWD, path));
}

static void test_nothing_outlives_a_killed_masud_and_the_next_one_starts(void **state)
{
    struct stage *stage = *state;
    pid_t pids[ROLE_N];
    wait_ready(stage);
    unsigned count = find_all(stage, pids);
    assert_int_equal(kill(stage->masud, SIGKILL), 0);
    (void)end_of(stage->masud);
    stage->masud =
        masud_start(stage, NULL); /* at once: the stale socket and the dying roles are in its way */
    wait_story(stage, "gateway says hello\n", 2);
    assert_gone(pids, count);
}

static void test_a_second_masud_is_refused_with_the_pid_of_the_first(void **state)
{
    const struct stage *stage = *state;
    char log[96], *text, expected[128];
    size_t len;
    wait_ready(stage);
    (void)snprintf(log, sizeof log, "%s/log", stage->root);
    int status = end_of(masud_start(stage, log));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(fs_slurp(log, 65536, &text, &len), 0);
    (void)snprintf(expected, sizeof expected, "is in use by masud, pid %d", (int)stage->masud);
    assert_non_null(strstr(text, expected));
    free(text);
    assert_true(kill(stage->masud, 0) == 0);
    (void)wait_role(stage, "core", 0);
}

static void test_a_state_directory_has_one_masud(void **state)
{
    const struct stage *stage = *state;
    struct stage other = *stage;
    char log[96], *text;
    size_t len;
    wait_ready(stage);
    (void)snprintf(log, sizeof log, "%s/log", stage->root);
    (void)snprintf(other.settings.run_dir, sizeof other.settings.run_dir, "%s/other", stage->root);
    int status = end_of(masud_start(&other, log));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(fs_slurp(log, 65536, &text, &len), 0);
    assert_non_null(strstr(text, "/state': is in use by another masud"));
    free(text);
    (void)wait_role(stage, "archiver", 0);
}

static void assert_notified(int fd, const char *expected)
{
    char text[64] = "";
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_S * 1000), 1);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_string_equal(text, expected);
}

static void test_the_service_manager_hears_of_ready_and_stopping(void **state)
{
    struct stage *stage = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)str_format(address.sun_path, sizeof address.sun_path, "%s/notify.sock", stage->root);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)kill(stage->masud, SIGTERM);
    (void)end_of(stage->masud);
    (void)setenv("NOTIFY_SOCKET", address.sun_path, 1);
    stage->masud = masud_start(stage, NULL);
    (void)unsetenv("NOTIFY_SOCKET");
    assert_notified(fd, "READY=1");
    (void)kill(stage->masud, SIGTERM);
    assert_notified(fd, "STOPPING=1");
    fd_close(fd);
}

static void assert_mode(const char *directory, const char *name, mode_t mode, uid_t uid)
{
    char path[SETTING_PATH_MAX + 32];
    struct stat st;
    (void)str_format(path, sizeof path, "%s%s", directory, name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
    assert_int_equal(st.st_uid, uid);
}

static void test_places_belong_to_whom_they_should(void **state)
{
    const struct stage *stage = *state;
    struct spawn_user masu;
    assert_int_equal(spawn_user_find("masu", &masu), 0);
    wait_ready(stage);
    assert_mode(stage->settings.run_dir, "", 0755, 0);
    assert_mode(stage->settings.run_dir, "/enforcer", 0700, 0);
    assert_mode(stage->settings.run_dir, "/masu.sock", 0666, 0);
    assert_mode(stage->settings.state_dir, "", 02750, masu.uid);
}

static void test_a_state_directory_that_masu_cannot_reach_is_told(void **state)
{
    struct stage *stage = *state;
    char log[96], *text, closed[96];
    size_t len;
    struct stage other = *stage;
    (void)snprintf(closed, sizeof closed, "%s/closed", stage->root);
    assert_int_equal(mkdir(closed, 0700), 0);
    (void)snprintf(other.settings.run_dir, sizeof other.settings.run_dir, "%s/run2", stage->root);
    (void)snprintf(other.settings.state_dir, sizeof other.settings.state_dir, "%s/state", closed);
    (void)snprintf(log, sizeof log, "%s/log", stage->root);
    int status = end_of(masud_start(&other, log));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(fs_slurp(log, 65536, &text, &len), 0);
    assert_non_null(strstr(text, "cannot be reached by the users masu and masu-gw"));
    free(text);
}

static void test_waits_double_until_a_life_was_long_enough(void **state)
{
    (void)state;
    uint64_t delay_ns = 0;
    static const unsigned expected_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    for (unsigned i = 0; i < ARRAY_LEN(expected_ms); i++) {
        delay_ns = member_delay_ns(delay_ns, 50 * NSEC_PER_MSEC);
        assert_int_equal(delay_ns / NSEC_PER_MSEC, expected_ms[i]);
    }
    assert_int_equal(member_delay_ns(delay_ns, 59 * NSEC_PER_SEC) / NSEC_PER_MSEC, 10000);
    assert_int_equal(member_delay_ns(delay_ns, 60 * NSEC_PER_SEC) / NSEC_PER_MSEC, 100);
    assert_int_equal(member_delay_ns(200 * NSEC_PER_MSEC, 2 * NSEC_PER_SEC) / NSEC_PER_MSEC, 100);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc > 1)
        return role_main(argc, argv, tiny_roles);
    const struct CMUnitTest tests[] = {
        STORY(test_the_roles_start_and_find_their_peers),
        STORY(test_a_killed_role_comes_back_and_its_peers_are_connected_anew),
        STORY(test_sighup_reaches_core),
        STORY(test_sigterm_stops_core_before_those_it_needs_and_leaves_nothing),
        STORY(test_nothing_outlives_a_killed_masud_and_the_next_one_starts),
        STORY(test_a_second_masud_is_refused_with_the_pid_of_the_first),
        STORY(test_a_state_directory_has_one_masud),
        STORY(test_the_service_manager_hears_of_ready_and_stopping),
        STORY(test_places_belong_to_whom_they_should),
        STORY(test_a_state_directory_that_masu_cannot_reach_is_told),
        cmocka_unit_test(test_waits_double_until_a_life_was_long_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
