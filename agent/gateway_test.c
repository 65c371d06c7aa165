/* The gateway as a process of its own, with a bus made here; this side plays core, the archiver's reader and
 * the clients. */

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

enum { BUS_BYTES = 1 << 20, REPLY_MAX = 4 << 20, PATIENCE_MS = 20000 };

/* What the tests hold of the running gateway. */
static struct {
    struct bus_writer *bus;
    int bus_fd, bus_read_fd, wake_fd, unix_fd, tcp_fd, core_fd, archiver_fd;
    struct sockaddr_un unix_address;
    struct sockaddr_in tcp_address;
    pid_t pid;
} gate;

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
    _exit(code);
}

static int listener(int family, struct sockaddr *address, socklen_t len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, address, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, address, &len), 0);
    return fd;
}

static int start(void **state UNUSED)
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

static int stop(void **state UNUSED)
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

static int client(bool local)
{
    int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (local)
        assert_int_equal(connect(fd, (struct sockaddr *)&gate.unix_address, sizeof gate.unix_address), 0);
    else
        assert_int_equal(connect(fd, (struct sockaddr *)&gate.tcp_address, sizeof gate.tcp_address), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void ask_for(int fd, const char *line, const char *headers)
{
    char request[2048];

    assert_true(str_format(request, sizeof request,
                           "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", line, headers));
    say(fd, request);
}

static void wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
}

/* All that comes until the gateway hangs up, or until @until is in it; closes @fd. */
static char *hear(int fd, const char *until)
{
    struct buf reply = BUF_NULL;
    ssize_t n = 1;

    while (n > 0 && reply.len < REPLY_MAX && !(until && reply.data && strstr(reply.data, until))) {
        wait_readable(fd);
        char *at = buf_reserve(&reply, 65536);
        n = recv(fd, at, 65536, 0);
        if (n > 0)
            reply.len += (size_t)n;
        reply.data[reply.len] = '\0';
    }
    close(fd);
    return buf_take(&reply);
}

static char *get_with(bool local, const char *line, const char *headers)
{
    int fd = client(local);

    ask_for(fd, line, headers);
    return hear(fd, NULL);
}

static char *get(const char *line)
{
    return get_with(true, line, "");
}

static int status_of(const char *reply)
{
    return reply && str_starts(reply, "HTTP/1.1 ") ? atoi(reply + strlen("HTTP/1.1 ")) : 0;
}

/* The JSON of a reply; frees it. */
static json_t *body_of(char *reply)
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

static void assert_refused(char *reply, int status, const char *words)
{
    assert_int_equal(status_of(reply), status);
    json_t *object = body_of(reply);
    json_t *error = json_object_get(object, "error");
    assert_int_equal(json_integer_value(json_object_get(error, "status")), status);
    const char *message = json_string_value(json_object_get(error, "message"));
    if (!strstr(message, words))
        print_error("'%s' is not in '%s'\n", words, message);
    assert_non_null(strstr(message, words));
    json_decref(object);
}

static void show(uint32_t slot, enum subject_kind kind, const char *path, const char *name)
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

static void show_three(void)
{
    show(0, SUBJECT_HOST, "/", "here");
    show(1, SUBJECT_GROUP, "/lxc/web", "web");
    show(2, SUBJECT_INTERFACE, "eth0", "eth0");
    show(3, SUBJECT_GROUP, "/lxc/db", "db");
}

static void wake(void)
{
    assert_int_equal(eventfd_write(gate.wake_fd, 1), 0);
}

static void tick(void)
{
    bus_status_begin(gate.bus)->ticks++;
    bus_status_end(gate.bus);
    wake();
}

static const char *name_at(json_t *list, size_t i)
{
    return json_string_value(json_object_get(json_array_get(list, i), "name"));
}

static void containers_are_listed_page_by_page_the_host_first(void **state UNUSED)
{
    show_three();
    json_t *first = body_of(get("GET /api/v1/containers?limit=2&fields=name"));
    json_t *list = json_object_get(first, "containers");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(name_at(list, 0), "here");
    assert_string_equal(name_at(list, 1), "web");
    assert_int_equal(json_object_size(json_array_get(list, 1)), 1);

    char line[128];
    str_format(line, sizeof line, "GET /api/v1/containers?limit=2&cursor=%s",
               json_string_value(json_object_get(first, "next")));
    json_t *second = body_of(get(line));
    list = json_object_get(second, "containers");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(name_at(list, 0), "db");
    assert_true(json_is_null(json_object_get(second, "next")));
    json_decref(first);
    json_decref(second);
}

static void a_container_is_found_by_its_encoded_path_until_it_goes(void **state UNUSED)
{
    show_three();
    json_t *object = body_of(get("GET /api/v1/containers/%2Flxc%2Fweb"));
    assert_string_equal(json_string_value(json_object_get(object, "path")), "/lxc/web");
    json_decref(object);
    bus_view_clear(gate.bus, 1);
    assert_refused(get("GET /api/v1/containers/%2Flxc%2Fweb"), 404, "'/lxc/web'");
    show(1, SUBJECT_GROUP, "/lxc/other", "other");
    assert_refused(get("GET /api/v1/containers/%2Flxc%2Fweb"), 404, "'/lxc/web'");
}

static void wrong_addresses_and_methods_are_told_apart(void **state UNUSED)
{
    assert_refused(get("GET /api/v1/nothing"), 404, "GET /api/v1");
    char *reply = get("DELETE /api/v1/status");
    assert_non_null(strstr(reply, "\r\nAllow: GET\r\n"));
    assert_refused(reply, 405, "GET");
    assert_refused(get("GET /api/v1/apply"), 405, "POST");
    assert_refused(get("GET /api/v1/containers/%zz"), 400, "percent");
    assert_refused(get("GET /api/v1/containers?limit=many"), 400, "limit is 'many'");
    assert_refused(get("GET /api/v1/containers?fields=nmae"), 400, "fields is 'nmae'");
}

static void a_head_gets_the_length_and_no_body(void **state UNUSED)
{
    char *whole = get("GET /api/v1/metrics"), *head = get("HEAD /api/v1/metrics");
    char length[64];

    str_format(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(strstr(whole, "\r\n\r\n") + 4));
    assert_non_null(strstr(head, length));
    assert_string_equal(strstr(head, "\r\n\r\n"), "\r\n\r\n");
    free(whole);
    free(head);
}

static void a_page_of_another_site_cannot_reach_the_port_by_a_name(void **state UNUSED)
{
    int fd = client(false);

    say(fd, "GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_refused(hear(fd, NULL), 403, "Host");
    static const char *const ours[] = {"127.0.0.1:9780", "[::1]:9780", "localhost"};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        char request[128];
        str_format(request, sizeof request, "GET /api/v1 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                   ours[i]);
        fd = client(false);
        say(fd, request);
        char *reply = hear(fd, NULL);
        assert_int_equal(status_of(reply), 200);
        free(reply);
    }
}

static void the_port_changes_nothing(void **state UNUSED)
{
    assert_refused(get_with(false, "POST /api/v1/apply", "Content-Length: 0\r\n"), 403, "unix socket");
    assert_refused(get_with(false, "POST /api/v1/release", "Content-Length: 0\r\n"), 403, "unix socket");
}

/* Hears one message on a channel; fails when none comes. */
static struct channel_message *hear_message(int fd)
{
    static struct channel_message message;

    wait_readable(fd);
    assert_int_equal(channel_receive(fd, &message), CHANNEL_OK);
    return &message;
}

static void answer(int fd, uint64_t id, enum response_status status, const struct buf *payload)
{
    struct message_response response = {.status = status};
    int memfd = memfd_seal_bytes("answer", payload->data ? payload->data : "", payload->len);

    assert_true(memfd >= 0);
    assert_int_equal(channel_send(fd, MESSAGE_RESPONSE, id, &response, sizeof response, &memfd, 1),
                     CHANNEL_OK);
    close(memfd);
}

static struct buf plan_bytes(void)
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

static void a_plan_is_asked_of_core_and_told_in_words(void **state UNUSED)
{
    struct buf payload = plan_bytes();
    int fd = client(false);

    ask_for(fd, "GET /api/v1/plan", "");
    struct channel_message *message = hear_message(gate.core_fd);
    assert_int_equal(message->type, MESSAGE_REQUEST);
    assert_int_equal(((struct message_request *)(void *)message->body)->kind, REQUEST_PLAN);
    assert_int_equal(message->fd_count, 0);
    answer(gate.core_fd, message->id, RESPONSE_OK, &payload);
    json_t *plan = body_of(hear(fd, NULL));
    assert_int_equal(json_integer_value(json_object_get(plan, "writes")), 1);
    json_t *row = json_array_get(json_object_get(plan, "rows"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "text")), "tasks limit unlimited → 200");
    json_decref(plan);
    buf_fini(&payload);
}

static void answers_find_their_asker_in_any_order(void **state UNUSED)
{
    struct buf first_text = BUF_NULL, second_text = BUF_NULL;
    int first = client(true), second = client(true);

    buf_puts(&first_text, "about web");
    buf_puts(&second_text, "about db");
    ask_for(first, "GET /api/v1/containers/%2Flxc%2Fweb/explain", "");
    uint64_t first_id = hear_message(gate.core_fd)->id;
    ask_for(second, "GET /api/v1/containers/%2Flxc%2Fdb/explain", "");
    uint64_t second_id = hear_message(gate.core_fd)->id;
    answer(gate.core_fd, second_id, RESPONSE_OK, &second_text);
    answer(gate.core_fd, 12345, RESPONSE_OK, &first_text); /* nobody asked this */
    answer(gate.core_fd, first_id, RESPONSE_OK, &first_text);
    json_t *one = body_of(hear(first, NULL)), *two = body_of(hear(second, NULL));
    assert_string_equal(json_string_value(json_object_get(one, "text")), "about web");
    assert_string_equal(json_string_value(json_object_get(two, "path")), "/lxc/db");
    json_decref(one);
    json_decref(two);
    buf_fini(&first_text);
    buf_fini(&second_text);
}

static void who_wants_to_change_something_is_shown_to_core(void **state UNUSED)
{
    struct buf words = BUF_NULL;
    struct ucred credentials;
    socklen_t len = sizeof credentials;
    int fd = client(true);

    buf_puts(&words, "only root may change limits");
    ask_for(fd, "POST /api/v1/apply", "Content-Length: 0\r\n");
    struct channel_message *message = hear_message(gate.core_fd);
    assert_int_equal(message->fd_count, 1);
    assert_int_equal(getsockopt(message->fds[0], SOL_SOCKET, SO_PEERCRED, &credentials, &len), 0);
    assert_int_equal(credentials.pid, getpid());
    answer(gate.core_fd, message->id, RESPONSE_DENIED, &words);
    channel_message_fini(message);
    assert_refused(hear(fd, NULL), 403, "only root may change limits");
    buf_fini(&words);
}

static void a_policy_that_is_wrong_is_told_line_by_line(void **state UNUSED)
{
    struct buf words = BUF_NULL;
    int fd = client(true);

    buf_puts(&words, "shop.yaml:3:5: unknown key\nshop.yaml:9:1: no unit\n");
    ask_for(fd, "GET /api/v1/plan", "");
    answer(gate.core_fd, hear_message(gate.core_fd)->id, RESPONSE_INVALID, &words);
    assert_refused(hear(fd, NULL), 422, "shop.yaml:3:5: unknown key\nshop.yaml:9:1: no unit");
    buf_fini(&words);
}

static void a_client_that_leaves_early_hurts_nobody(void **state UNUSED)
{
    struct buf payload = plan_bytes();
    int fd = client(true);

    ask_for(fd, "GET /api/v1/plan", "");
    uint64_t id = hear_message(gate.core_fd)->id;
    close(fd);
    answer(gate.core_fd, id, RESPONSE_OK, &payload);
    buf_fini(&payload);
    char *reply = get("GET /api/v1/status");
    assert_int_equal(status_of(reply), 200);
    free(reply);
}

static void history_is_the_readers_answer_as_it_is(void **state UNUSED)
{
    struct buf points = BUF_NULL;
    int fd = client(true);

    show_three();
    buf_puts(&points, "{\"points\":[]}");
    ask_for(fd, "GET /api/v1/containers/%2Flxc%2Fweb/history?metric=memory_usage&from=1000&to=2000", "");
    struct channel_message *message = hear_message(gate.archiver_fd);
    const struct message_query *query = (const void *)message->body;
    assert_int_equal(message->type, MESSAGE_QUERY);
    assert_string_equal(query->key, "lxc:web");
    assert_int_equal(query->metric, METRIC_MEMORY_USAGE);
    assert_int_equal(query->from_s, 1000);
    assert_int_equal(query->to_s, 2000);
    answer(message->fds[0], 0, RESPONSE_OK, &points);
    channel_message_fini(message);
    char *reply = hear(fd, NULL);
    assert_non_null(strstr(reply, "\r\nContent-Type: application/json\r\n"));
    assert_string_equal(strstr(reply, "\r\n\r\n") + 4, "{\"points\":[]}");
    free(reply);
    buf_fini(&points);
}

static void a_reader_that_dies_is_told_at_once(void **state UNUSED)
{
    int fd = client(true);

    ask_for(fd, "GET /graph/lxc:web/memory_usage.png?last=2h&width=400", "");
    struct channel_message *message = hear_message(gate.archiver_fd);
    const struct message_query *query = (const void *)message->body;
    assert_int_equal(query->kind, QUERY_GRAPH);
    assert_string_equal(query->key, "lxc:web");
    assert_int_equal(query->to_s - query->from_s, 7200);
    assert_int_equal(query->width, 400);
    channel_message_fini(message);
    assert_refused(hear(fd, NULL), 502, "without an answer");
}

static void a_wrong_question_to_the_archive_is_not_asked(void **state UNUSED)
{
    assert_refused(get("GET /api/v1/containers/%2Fx/history"), 400, "metric= is missing");
    assert_refused(get("GET /api/v1/containers/%2Fx/history?metric=memory_ussage"), 404, "'memory_ussage'");
    assert_refused(get("GET /api/v1/containers/%2Fx/history?metric=pids&from=9&to=3"), 400,
                   "from is not before to");
    assert_refused(get("GET /graph/%2Fx/pids.gif"), 404, ".png or .svg");
    assert_refused(get("GET /graph/%2Fx/pids.png?last=soon"), 400, "last is 'soon'");
}

static void metrics_come_in_the_format_asked_for(void **state UNUSED)
{
    show_three();
    char *plain = get("GET /metrics"),
         *open = get_with(true, "GET /metrics", "Accept: application/openmetrics-text\r\n");

    assert_non_null(strstr(plain, "\r\nContent-Type: text/plain; version=0.0.4"));
    assert_non_null(strstr(
        plain,
        "masu_container_memory_usage_bytes{container=\"web\",path=\"/lxc/web\",runtime=\"lxc\"} 1048576\n"));
    assert_non_null(strstr(plain, "\nmasu_agent_ticks_total "));
    assert_null(strstr(plain, "# EOF"));
    assert_non_null(strstr(open, "\r\nContent-Type: application/openmetrics-text"));
    assert_non_null(strstr(open, "# EOF\n"));
    free(plain);
    free(open);
}

static void many_containers_are_streamed_whole(void **state UNUSED)
{
    enum { MANY = 3000 };
    unsigned lines = 0;

    for (uint32_t i = 0; i < MANY; i++) {
        char path[32];
        str_format(path, sizeof path, "/many/%u", i);
        show(i, SUBJECT_GROUP, path, path);
    }
    char *page = get("GET /metrics");
    for (const char *at = page; (at = strstr(at, "masu_container_memory_usage_bytes{")); at++)
        lines++;
    assert_int_equal(lines, MANY);
    free(page);
    for (uint32_t i = 0; i < MANY; i++)
        bus_view_clear(gate.bus, i);
}

static void the_stream_tells_ticks_and_events(void **state UNUSED)
{
    struct event event = {
        .sequence = 7, .type = EVENT_OOM_KILL, .path = "/lxc/web", .name = "web", .text = "killed 'java'"};
    struct buf frames = BUF_NULL;
    int fd = client(true);

    show_three();
    ask_for(fd, "GET /api/v1/stream?fields=name", "");
    char *hello = NULL;
    wait_readable(fd); /* the reply has begun: the client is among the readers */
    frame_put_event(&frames, bus_writer_next_sequence(gate.bus), &event);
    bus_publish(gate.bus, &frames);
    tick();
    hello = hear(fd, "]}");
    assert_int_equal(status_of(hello), 200);
    assert_non_null(strstr(hello, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(hello, "event: event\nid: 7\ndata: {\"number\":7,"));
    assert_non_null(strstr(hello, "event: tick\ndata: {\"time\":"));
    assert_non_null(
        strstr(hello, "\"host\":{\"name\":\"here\"},\"containers\":[{\"name\":\"web\"},{\"name\":\"db\"}]}"));
    free(hello);
    buf_fini(&frames);
}

/* A client that never reads is hung up on; the others hear every tick meanwhile. */
static void a_client_that_does_not_read_is_dropped(void **state UNUSED)
{
    enum { MANY = 2000 };
    int lazy = client(true), small = 4096;

    setsockopt(lazy, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (uint32_t i = 0; i < MANY; i++) {
        char path[32];
        str_format(path, sizeof path, "/many/%u", i);
        show(i, SUBJECT_GROUP, path, path);
    }
    ask_for(lazy, "GET /api/v1/stream", "");
    wait_readable(lazy);
    for (unsigned i = 0; i < 6; i++) {
        int eager = client(true);
        ask_for(eager, "GET /api/v1/stream", "");
        wait_readable(eager);
        tick();
        char *heard = hear(eager, "]}\n");
        assert_non_null(strstr(heard, "/many/1999"));
        free(heard);
    }
    struct pollfd wait = {.fd = lazy, .events = POLLRDHUP};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    close(lazy);
    for (uint32_t i = 0; i < MANY; i++)
        bus_view_clear(gate.bus, i);
}

static void the_front_page_may_load_nothing_from_elsewhere(void **state UNUSED)
{
    char *page = get_with(false, "GET /", "");
    const char *tag = strstr(page, "\r\nETag: ");
    char header[64];

    assert_int_equal(status_of(page), 200);
    assert_non_null(strstr(page, "\r\nContent-Security-Policy: default-src 'none';"));
    assert_non_null(strstr(page, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(tag);
    str_format(header, sizeof header, "If-None-Match: %.18s\r\n", tag + strlen("\r\nETag: "));
    char *again = get_with(false, "GET /", header);
    assert_int_equal(status_of(again), 304);
    free(page);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_are_listed_page_by_page_the_host_first),
        cmocka_unit_test(a_container_is_found_by_its_encoded_path_until_it_goes),
        cmocka_unit_test(wrong_addresses_and_methods_are_told_apart),
        cmocka_unit_test(a_head_gets_the_length_and_no_body),
        cmocka_unit_test(a_page_of_another_site_cannot_reach_the_port_by_a_name),
        cmocka_unit_test(the_port_changes_nothing),
        cmocka_unit_test(a_plan_is_asked_of_core_and_told_in_words),
        cmocka_unit_test(answers_find_their_asker_in_any_order),
        cmocka_unit_test(who_wants_to_change_something_is_shown_to_core),
        cmocka_unit_test(a_policy_that_is_wrong_is_told_line_by_line),
        cmocka_unit_test(a_client_that_leaves_early_hurts_nobody),
        cmocka_unit_test(history_is_the_readers_answer_as_it_is),
        cmocka_unit_test(a_reader_that_dies_is_told_at_once),
        cmocka_unit_test(a_wrong_question_to_the_archive_is_not_asked),
        cmocka_unit_test(metrics_come_in_the_format_asked_for),
        cmocka_unit_test(many_containers_are_streamed_whole),
        cmocka_unit_test(the_stream_tells_ticks_and_events),
        cmocka_unit_test(a_client_that_does_not_read_is_dropped),
        cmocka_unit_test(the_front_page_may_load_nothing_from_elsewhere),
    };
    return cmocka_run_group_tests_name("gateway", tests, start, stop);
}
