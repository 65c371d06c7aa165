#include "agent/gateway_stage.h"
#include "agent/bus.h"
#include "agent/message.h"
#include "agent/role.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/memfd.h"
#include "base/str.h"
#include "model/plan.h"
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BUS_BYTES = 1 << 20, REPLY_MAX = 4 << 20 };

struct stage gate;

static void stop_gateway(void *owner, int number UNUSED)
{
    loop_stop(owner, 0);
}

static struct role_context *child_context;

static void on_core_message(void *owner UNUSED, struct channel_message *message)
{
    child_context->handlers.on_message(child_context->owner, ROLE_CORE, message);
}

static void on_closed(void *owner UNUSED) {}

static _Noreturn void run_gateway(int core_fd, int archiver_fd)
{
    static const struct link_handlers handlers = {.on_message = on_core_message, .on_closed = on_closed};
    static struct settings settings;
    static struct role_context context;
    struct loop_signal terminated = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    settings_init(&settings);
    context = (struct role_context){.role = ROLE_GATEWAY,
                                    .loop = loop_new(),
                                    .settings = &settings,
                                    .bus_fd = gate.bus_read_fd,
                                    .wake_fd = gate.wake_fd,
                                    .listen_unix_fd = gate.unix_fd,
                                    .listen_tcp_fd = gate.tcp_fd};
    child_context = &context;
    signal(SIGPIPE, SIG_IGN);
    if (link_new(context.loop, core_fd, &handlers, NULL, &context.links[ROLE_CORE]) ||
        link_new(context.loop, archiver_fd, &handlers, NULL, &context.links[ROLE_ARCHIVER]) ||
        loop_signal_init(&terminated, context.loop, SIGTERM, stop_gateway, context.loop))
        _exit(1);
    int code = gateway_main(&context);
    loop_signal_fini(&terminated);
    link_free(context.links[ROLE_CORE]);
    link_free(context.links[ROLE_ARCHIVER]);
    loop_free(context.loop);
    exit(code); /* not _exit: a leak is told at the end */
}

static int listener(int family, struct sockaddr *address, socklen_t len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, address, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, address, &len), 0);
    return fd;
}

int stage_open(void **state UNUSED)
{
    int core[2], archiver[2];

    gate.unix_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    str_format(gate.unix_address.sun_path, sizeof gate.unix_address.sun_path, "/tmp/masu-gateway-test.%d",
               getpid());
    unlink(gate.unix_address.sun_path);
    gate.unix_fd = listener(AF_UNIX, (struct sockaddr *)&gate.unix_address, sizeof gate.unix_address);
    gate.tcp_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    gate.tcp_fd = listener(AF_INET, (struct sockaddr *)&gate.tcp_address, sizeof gate.tcp_address);
    assert_int_equal(bus_create(BUS_BYTES, &gate.bus_fd, &gate.bus_read_fd), 0);
    assert_int_equal(bus_writer_open(gate.bus_fd, &gate.bus), 0);
    gate.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(channel_pair(core), 0);
    assert_int_equal(channel_pair(archiver), 0);
    gate.core_fd = core[0];
    gate.archiver_fd = archiver[0];
    gate.pid = fork();
    assert_true(gate.pid >= 0);
    if (!gate.pid) {
        close(core[0]);
        close(archiver[0]);
        run_gateway(core[1], archiver[1]);
    }
    close(core[1]);
    close(archiver[1]);
    close(gate.unix_fd);
    close(gate.tcp_fd);
    return 0;
}

int stage_close(void **state UNUSED)
{
    int status;

    kill(gate.pid, SIGTERM);
    assert_int_equal(waitpid(gate.pid, &status, 0), gate.pid);
    assert_int_equal(status, 0);
    bus_writer_close(gate.bus);
    close(gate.bus_fd);
    close(gate.bus_read_fd);
    close(gate.wake_fd);
    close(gate.core_fd);
    close(gate.archiver_fd);
    unlink(gate.unix_address.sun_path);
    return 0;
}

int stage_client(bool local)
{
    int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (local)
        assert_int_equal(connect(fd, (struct sockaddr *)&gate.unix_address, sizeof gate.unix_address), 0);
    else
        assert_int_equal(connect(fd, (struct sockaddr *)&gate.tcp_address, sizeof gate.tcp_address), 0);
    return fd;
}

void stage_say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void stage_ask(int fd, const char *line, const char *headers)
{
    char request[2048];

    assert_true(str_format(request, sizeof request,
                           "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", line, headers));
    stage_say(fd, request);
}

void stage_wait(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

char *stage_hear(int fd, const char *until)
{
    struct buf reply = BUF_NULL;
    ssize_t n = 1;

    while (n > 0 && reply.len < REPLY_MAX && !(until && reply.data && strstr(reply.data, until))) {
        stage_wait(fd);
        char *at = buf_reserve(&reply, 65536);
        n = recv(fd, at, 65536, 0);
        if (n > 0)
            reply.len += (size_t)n;
        reply.data[reply.len] = '\0';
    }
    close(fd);
    return buf_take(&reply);
}

char *stage_get_with(bool local, const char *line, const char *headers)
{
    int fd = stage_client(local);

    stage_ask(fd, line, headers);
    return stage_hear(fd, NULL);
}

char *stage_get(const char *line)
{
    return stage_get_with(true, line, "");
}

int stage_status(const char *reply)
{
    return reply && str_starts(reply, "HTTP/1.1 ") ? atoi(reply + strlen("HTTP/1.1 ")) : 0;
}

json_t *stage_body(char *reply)
{
    const char *body = strstr(reply, "\r\n\r\n");
    json_error_t error;

    assert_non_null(body);
    json_t *object = json_loads(body + 4, 0, &error);
    if (!object)
        print_error("%s in: %s\n", error.text, body);
    assert_non_null(object);
    free(reply);
    return object;
}

void stage_assert_refused(char *reply, int status, const char *words)
{
    assert_int_equal(stage_status(reply), status);
    json_t *object = stage_body(reply);
    json_t *error = json_object_get(object, "error");
    assert_int_equal(json_integer_value(json_object_get(error, "status")), status);
    const char *message = json_string_value(json_object_get(error, "message"));
    if (!strstr(message, words))
        print_error("'%s' is not in '%s'\n", words, message);
    assert_non_null(strstr(message, words));
    json_decref(object);
}

void stage_show(uint32_t slot, enum subject_kind kind, const char *path, const char *name)
{
    struct view *view = bus_view_begin(gate.bus, slot);

    *view = (struct view){.slot = slot, .identity.kind = (uint8_t)kind};
    str_copy(view->identity.path, sizeof view->identity.path, path);
    str_copy(view->identity.name, sizeof view->identity.name, name);
    str_copy(view->identity.runtime, sizeof view->identity.runtime, kind == SUBJECT_GROUP ? "lxc" : "host");
    view->row.wall_ns = NSEC_PER_SEC;
    row_set(&view->row, METRIC_MEMORY_USAGE, 1048576);
    bus_view_end(gate.bus, slot);
}

void stage_show_three(void)
{
    stage_show(0, SUBJECT_HOST, "/", "here");
    stage_show(1, SUBJECT_GROUP, "/lxc/web", "web");
    stage_show(2, SUBJECT_INTERFACE, "eth0", "eth0");
    stage_show(3, SUBJECT_GROUP, "/lxc/db", "db");
}

void stage_tick(void)
{
    bus_status_begin(gate.bus)->ticks++;
    bus_status_end(gate.bus);
    assert_int_equal(eventfd_write(gate.wake_fd, 1), 0);
}

struct channel_message *stage_hear_message(int fd)
{
    static struct channel_message message;

    stage_wait(fd);
    assert_int_equal(channel_receive(fd, &message), CHANNEL_OK);
    return &message;
}

void stage_answer(int fd, uint64_t id, enum response_status status, const struct buf *payload)
{
    struct message_response response = {.status = status};
    int memfd = memfd_seal_bytes("answer", payload->data ? payload->data : "", payload->len);

    assert_true(memfd >= 0);
    assert_int_equal(channel_send(fd, MESSAGE_RESPONSE, id, &response, sizeof response, &memfd, 1),
                     CHANNEL_OK);
    close(memfd);
}

struct buf stage_plan_bytes(void)
{
    struct plan plan = PLAN_NULL;
    struct buf encoded = BUF_NULL, payload = BUF_NULL;
    struct plan_row row = {
        .kind = PLAN_WRITE, .knob = KNOB_PIDS, .version = 2, .old_value = KNOB_UNLIMITED, .value = 200};

    row.path_off = plan_string(&plan, "/lxc/web");
    assert_int_equal(plan_add(&plan, &row), 0);
    plan_encode(&plan, &encoded);
    uint64_t len = encoded.len;
    buf_append(&payload, &len, sizeof len);
    buf_append(&payload, encoded.data, encoded.len);
    buf_fini(&encoded);
    plan_fini(&plan);
    return payload;
}
