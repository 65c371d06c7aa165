/* Pressure leaves the host: a webhook is called and a program is run, for a container that runs out of
 * memory. */

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include "tests/system/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char policy[] = "quotas:\n  box: { match: { path: \"%s/box*\" }, memory: { limit: 48MiB } }\n";

struct receiver {
    struct daemon d;
    char bodies[200], ran[200], script[200]; /* files */
    int port;
    pid_t pid;
};

/* One POST on @fd: its body goes to the file as one line. */
static void receive(int fd, const char *file)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    struct buf text = BUF_NULL;
    char chunk[4096];
    size_t want = SIZE_MAX;
    while (text.len < want) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n <= 0)
            break;
        buf_append(&text, chunk, (size_t)n);
        const char *end = strstr(text.data, "\r\n\r\n"), *length = strcasestr(text.data, "content-length:");
        if (end && length)
            want = (size_t)(end + 4 - text.data) + strtoul(length + 15, NULL, 10);
    }
    const char *body = text.data ? strstr(text.data, "\r\n\r\n") : NULL;
    int out = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (body)
        dprintf(out, "%s\n", body + 4);
    close(out);
    if (write(fd, answer, sizeof answer - 1) < 0)
        _exit(1);
    buf_fini(&text);
}

static void listen_for_posts(struct receiver *r)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server, 16), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &len), 0);
    r->port = ntohs(address.sin_port);
    r->pid = fork();
    if (r->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int fd = accept(server, NULL, NULL);
            if (fd < 0)
                _exit(1);
            receive(fd, r->bodies);
            close(fd);
        }
    }
    close(server);
}

static bool file_has(const char *path, const char *a, const char *b)
{
    char *text;
    size_t len;
    if (fs_slurp(path, 1 << 20, &text, &len) < 0)
        return false;
    bool has = strstr(text, a) && strstr(text, b);
    free(text);
    return has;
}

static bool was_posted(void *argument)
{
    const struct receiver *r = argument;
    return file_has(r->bodies, "oom_kill", "/box");
}

static bool was_run(void *argument)
{
    const struct receiver *r = argument;
    return file_has(r->ran, "oom_kill unset", "/box");
}

static bool is_listed(void *argument)
{
    struct receiver *r = argument;
    char path[GROUP_PATH_MAX];
    str_format(path, sizeof path, "%s/box", r->d.root);
    json_t *c = container(&r->d, path);
    bool sampled = json_object_get(json_object_get(c, "sample"), "metrics") &&
                   json_string_value(json_object_get(c, "quota"));
    json_decref(c);
    return sampled;
}

static void oom_kill_calls_the_webhook_and_runs_the_program(void **state)
{
    struct receiver *r = *state;
    char path[GROUP_PATH_MAX];
    make_group(&r->d, "box", path);
    assert_true(wait_until(is_listed, r, 30));
    pid_t pid = run_grower(&r->d, path, 1 << 20, 50);
    waitpid(pid, NULL, 0);
    assert_true(wait_until(was_posted, r, 60));
    assert_true(wait_until(was_run, r, 60));
    remove_group(&r->d, path);
}

static int start(void **state)
{
    static struct receiver r;
    char settings[600], script[300];
    str_format(r.bodies, sizeof r.bodies, "/tmp/masu-test-alert-%d.posts", (int)getpid());
    str_format(r.ran, sizeof r.ran, "/tmp/masu-test-alert-%d.ran", (int)getpid());
    str_format(r.script, sizeof r.script, "/tmp/masu-test-alert-%d.sh", (int)getpid());
    str_format(script, sizeof script, "#!/bin/sh\necho \"$MASU_EVENT ${MASU_LEVEL-unset} $MASU_PATH\" >>%s\n",
               r.ran);
    assert_int_equal(fs_replace_at(AT_FDCWD, r.script, script, strlen(script), 0755), 0);
    listen_for_posts(&r);
    str_format(settings, sizeof settings, "webhook: http://127.0.0.1:%d/hook\nexec: %s\n", r.port, r.script);
    daemon_init(&r.d, "alert", policy, settings);
    daemon_start(&r.d);
    *state = &r;
    return 0;
}

static int stop(void **state)
{
    struct receiver *r = *state;
    daemon_fini(&r->d);
    end_child(r->pid);
    unlink(r->bodies);
    unlink(r->ran);
    unlink(r->script);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(oom_kill_calls_the_webhook_and_runs_the_program)};
    return cmocka_run_group_tests_name("alert", tests, start, stop);
}
