/* Stories of the stream, told by its clients. */

#include "agent/gateway_stage.h"
#include "base/str.h"
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void the_stream_tells_ticks_and_events(void **state UNUSED)
{
    struct event event = {
        .sequence = 7, .type = EVENT_OOM_KILL, .path = "/lxc/web", .name = "web", .text = "killed 'java'"};
    struct buf frames = BUF_NULL;
    int fd = stage_client(true);

    stage_show_three();
    stage_ask(fd, "GET /api/v1/stream?fields=name", "");
    char *hello = NULL;
    stage_wait(fd); /* the reply has begun: the client is among the readers */
    frame_put_event(&frames, bus_writer_next_sequence(gate.bus), &event);
    bus_publish(gate.bus, &frames);
    stage_tick();
    hello = stage_hear(fd, "]}");
    assert_int_equal(stage_status(hello), 200);
    assert_non_null(strstr(hello, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(hello, "event: event\nid: 7\ndata: {\"number\":7,"));
    assert_non_null(strstr(hello, "event: tick\ndata: {\"time\":"));
    assert_non_null(
        strstr(hello, "\"host\":{\"name\":\"here\"},\"containers\":[{\"name\":\"web\"},{\"name\":\"db\"}]}"));
    free(hello);
    buf_fini(&frames);
}

static void a_client_that_comes_back_hears_what_it_missed(void **state UNUSED)
{
    struct buf frames = BUF_NULL;

    for (uint64_t number = 101; number <= 103; number++) {
        struct event event = {.sequence = number, .type = EVENT_OOM_KILL, .path = "/lxc/web"};
        frame_put_event(&frames, bus_writer_next_sequence(gate.bus) + number - 101, &event);
    }
    bus_publish(gate.bus, &frames);
    buf_fini(&frames);
    for (unsigned i = 0; i < 2; i++) {
        int fd = stage_client(true);
        stage_ask(fd, i ? "GET /api/v1/stream?ticks=off" : "GET /api/v1/stream?ticks=off&after=101",
                  i ? "Last-Event-ID: 101\r\n" : "");
        char *heard = stage_hear(fd, "\nid: 103\n");
        assert_non_null(strstr(heard, "\nid: 102\n"));
        assert_null(strstr(heard, "\nid: 101\n"));
        free(heard);
    }
}

static void put_birth(struct buf *frames, uint64_t place, const char *path)
{
    struct event event = {.sequence = 201 + place, .type = EVENT_BORN};

    str_copy(event.path, sizeof event.path, path);
    frame_put_event(frames, bus_writer_next_sequence(gate.bus) + place, &event);
}

/* What is told as it happens, and what is told of before. */
static void a_client_hears_the_events_it_wants_alone(void **state UNUSED)
{
    struct buf frames = BUF_NULL;
    int fds[2] = {stage_client(true), -1};

    stage_ask(fds[0], "GET /api/v1/stream?ticks=off&path=%2Flxc%2F*", "");
    stage_wait(fds[0]);
    put_birth(&frames, 0, "/lxc/web");
    put_birth(&frames, 1, "/docker/web");
    put_birth(&frames, 2, "/lxc/db");
    bus_publish(gate.bus, &frames);
    stage_tick();
    buf_fini(&frames);
    fds[1] = stage_client(true);
    stage_ask(fds[1], "GET /api/v1/stream?ticks=off&after=200&path=%2Flxc%2F*&type=born", "");
    for (unsigned i = 0; i < 2; i++) {
        char *heard = stage_hear(fds[i], "\nid: 203\n");
        assert_non_null(strstr(heard, "\nid: 201\n"));
        assert_null(strstr(heard, "\nid: 202\n"));
        free(heard);
    }
}

/* A client that never reads is hung up on; the others hear every tick meanwhile. */
static void a_client_that_does_not_read_is_dropped(void **state UNUSED)
{
    enum { MANY = 2000 };
    int lazy = stage_client(true), small = 4096;

    setsockopt(lazy, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (uint32_t i = 0; i < MANY; i++) {
        char path[32];
        str_format(path, sizeof path, "/many/%u", i);
        stage_show(i, SUBJECT_GROUP, path, path);
    }
    stage_ask(lazy, "GET /api/v1/stream", "");
    stage_wait(lazy);
    for (unsigned i = 0; i < 6; i++) {
        int eager = stage_client(true);
        stage_ask(eager, "GET /api/v1/stream", "");
        stage_wait(eager);
        stage_tick();
        char *heard = stage_hear(eager, "]}\n");
        assert_non_null(strstr(heard, "/many/1999"));
        free(heard);
    }
    struct pollfd wait = {.fd = lazy, .events = POLLRDHUP};
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    close(lazy);
    for (uint32_t i = 0; i < MANY; i++)
        bus_view_clear(gate.bus, i);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_tells_ticks_and_events),
        cmocka_unit_test(a_client_that_comes_back_hears_what_it_missed),
        cmocka_unit_test(a_client_hears_the_events_it_wants_alone),
        cmocka_unit_test(a_client_that_does_not_read_is_dropped),
    };
    return cmocka_run_group_tests_name("stream", tests, stage_open, stage_close);
}
