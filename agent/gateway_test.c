/* Stories of the gateway, told by its clients. */

#include "agent/gateway_stage.h"
#include "base/fs.h"
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

static const char *name_at(json_t *list, size_t i)
{
    return json_string_value(json_object_get(json_array_get(list, i), "name"));
}

static void containers_are_listed_page_by_page_the_host_first(void **state UNUSED)
{
    stage_show_three();
    json_t *first = stage_body(stage_get("GET /api/v1/containers?limit=2&fields=name"));
    json_t *list = json_object_get(first, "containers");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(name_at(list, 0), "here");
    assert_string_equal(name_at(list, 1), "web");
    assert_int_equal(json_object_size(json_array_get(list, 1)), 1);

    char line[128];
    str_format(line, sizeof line, "GET /api/v1/containers?limit=2&cursor=%s",
               json_string_value(json_object_get(first, "next")));
    json_t *second = stage_body(stage_get(line));
    list = json_object_get(second, "containers");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(name_at(list, 0), "db");
    assert_true(json_is_null(json_object_get(second, "next")));
    json_decref(first);
    json_decref(second);
}

static void a_container_is_found_by_its_encoded_path_until_it_goes(void **state UNUSED)
{
    stage_show_three();
    json_t *object = stage_body(stage_get("GET /api/v1/containers/%2Flxc%2Fweb"));
    assert_string_equal(json_string_value(json_object_get(object, "path")), "/lxc/web");
    json_decref(object);
    bus_view_clear(gate.bus, 1);
    stage_assert_refused(stage_get("GET /api/v1/containers/%2Flxc%2Fweb"), 404, "'/lxc/web'");
    stage_show(1, SUBJECT_GROUP, "/lxc/other", "other");
    stage_assert_refused(stage_get("GET /api/v1/containers/%2Flxc%2Fweb"), 404, "'/lxc/web'");
}

static void wrong_addresses_and_methods_are_told_apart(void **state UNUSED)
{
    stage_assert_refused(stage_get("GET /api/v1/nothing"), 404, "GET /api/v1");
    char *reply = stage_get("DELETE /api/v1/status");
    assert_non_null(strstr(reply, "\r\nAllow: GET\r\n"));
    stage_assert_refused(reply, 405, "GET");
    stage_assert_refused(stage_get("GET /api/v1/apply"), 405, "POST");
    stage_assert_refused(stage_get("GET /api/v1/containers/%zz"), 400, "percent");
    stage_assert_refused(stage_get("GET /api/v1/containers?limit=many"), 400, "limit is 'many'");
    stage_assert_refused(stage_get("GET /api/v1/containers?fields=nmae"), 400, "fields is 'nmae'");
    stage_assert_refused(stage_get("GET /api/v1/containers?limit=0"), 400, "a number from 1 to 5000");
    stage_assert_refused(stage_get("GET /api/v1/containers?limit=5001"), 400, "a number from 1 to 5000");
    stage_assert_refused(stage_get("GET /api/v1/events?limit=0"), 400, "a number from 1 to 10000");
}

static void a_parameter_that_nobody_reads_is_refused(void **state UNUSED)
{
    stage_assert_refused(stage_get("GET /api/v1/containers?limit=2&field=name"), 400,
                         "there is no parameter 'field' here; expected some of: fields limit cursor");
    stage_assert_refused(stage_get("GET /api/v1/events?types=born"), 400, "path type after limit");
    stage_assert_refused(stage_get("GET /api/v1/events?lim=3"), 400, "'lim'");
    stage_assert_refused(stage_get("GET /api/v1/status?x=1"), 400, "'x' here, nor any other");
    char *reply = stage_get("GET /metrics?module=any"); /* scrapers add what they like */
    assert_int_equal(stage_status(reply), 200);
    free(reply);
}

static void a_head_gets_the_length_and_no_body(void **state UNUSED)
{
    char *whole = stage_get("GET /api/v1/metrics"), *head = stage_get("HEAD /api/v1/metrics");
    char length[64];

    str_format(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(strstr(whole, "\r\n\r\n") + 4));
    assert_non_null(strstr(head, length));
    assert_string_equal(strstr(head, "\r\n\r\n"), "\r\n\r\n");
    free(whole);
    free(head);
}

static void a_page_of_another_site_cannot_reach_the_port_by_a_name(void **state UNUSED)
{
    int fd = stage_client(false);

    stage_say(fd, "GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    stage_assert_refused(stage_hear(fd, NULL), 403, "Host");
    fd = stage_client(false);
    stage_say(fd, "GET /api/v1/status HTTP/1.1\r\nHost: [evil.example\r\nConnection: close\r\n\r\n");
    stage_assert_refused(stage_hear(fd, NULL), 403, "Host");
    static const char *const ours[] = {"127.0.0.1:9780", "[::1]:9780", "localhost"};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        char request[128];
        str_format(request, sizeof request, "GET /api/v1 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                   ours[i]);
        fd = stage_client(false);
        stage_say(fd, request);
        char *reply = stage_hear(fd, NULL);
        assert_int_equal(stage_status(reply), 200);
        free(reply);
    }
}

static void the_port_changes_nothing(void **state UNUSED)
{
    stage_assert_refused(stage_get_with(false, "POST /api/v1/apply", "Content-Length: 0\r\n"), 403,
                         "unix socket");
    stage_assert_refused(stage_get_with(false, "POST /api/v1/release", "Content-Length: 0\r\n"), 403,
                         "unix socket");
}

static void a_plan_is_asked_of_core_and_told_in_words(void **state UNUSED)
{
    struct buf payload = stage_plan_bytes();
    int fd = stage_client(false);

    stage_ask(fd, "GET /api/v1/plan", "");
    struct channel_message *message = stage_hear_message(gate.core_fd);
    assert_int_equal(message->type, MESSAGE_REQUEST);
    assert_int_equal(((struct message_request *)(void *)message->body)->kind, REQUEST_PLAN);
    assert_int_equal(message->fd_count, 0);
    stage_answer(gate.core_fd, message->id, RESPONSE_OK, &payload);
    json_t *plan = stage_body(stage_hear(fd, NULL));
    assert_int_equal(json_integer_value(json_object_get(plan, "writes")), 1);
    json_t *row = json_array_get(json_object_get(plan, "rows"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "text")), "tasks limit unlimited → 200");
    json_decref(plan);
    buf_fini(&payload);
}

static void answers_find_their_asker_in_any_order(void **state UNUSED)
{
    struct buf first_text = BUF_NULL, second_text = BUF_NULL;
    int first = stage_client(true), second = stage_client(true);

    buf_puts(&first_text, "about web");
    buf_puts(&second_text, "about db");
    stage_ask(first, "GET /api/v1/containers/%2Flxc%2Fweb/explain", "");
    uint64_t first_id = stage_hear_message(gate.core_fd)->id;
    stage_ask(second, "GET /api/v1/containers/%2Flxc%2Fdb/explain", "");
    uint64_t second_id = stage_hear_message(gate.core_fd)->id;
    stage_answer(gate.core_fd, second_id, RESPONSE_OK, &second_text);
    stage_answer(gate.core_fd, 12345, RESPONSE_OK, &first_text); /* nobody asked this */
    stage_answer(gate.core_fd, first_id, RESPONSE_OK, &first_text);
    json_t *one = stage_body(stage_hear(first, NULL)), *two = stage_body(stage_hear(second, NULL));
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
    int fd = stage_client(true);

    buf_puts(&words, "only root may change limits");
    stage_ask(fd, "POST /api/v1/apply", "Content-Length: 0\r\n");
    struct channel_message *message = stage_hear_message(gate.core_fd);
    assert_int_equal(message->fd_count, 1);
    assert_int_equal(getsockopt(message->fds[0], SOL_SOCKET, SO_PEERCRED, &credentials, &len), 0);
    assert_int_equal(credentials.pid, getpid());
    stage_answer(gate.core_fd, message->id, RESPONSE_DENIED, &words);
    channel_message_fini(message);
    stage_assert_refused(stage_hear(fd, NULL), 403, "only root may change limits");
    buf_fini(&words);
}

static void a_policy_that_is_wrong_is_told_line_by_line(void **state UNUSED)
{
    struct buf words = BUF_NULL;
    int fd = stage_client(true);

    buf_puts(&words, "shop.yaml:3:5: unknown key\nshop.yaml:9:1: no unit\n");
    stage_ask(fd, "GET /api/v1/plan", "");
    stage_answer(gate.core_fd, stage_hear_message(gate.core_fd)->id, RESPONSE_INVALID, &words);
    stage_assert_refused(stage_hear(fd, NULL), 422, "shop.yaml:3:5: unknown key\nshop.yaml:9:1: no unit");
    buf_fini(&words);
}

static void a_client_that_leaves_early_hurts_nobody(void **state UNUSED)
{
    struct buf payload = stage_plan_bytes();
    int fd = stage_client(true);

    stage_ask(fd, "GET /api/v1/plan", "");
    uint64_t id = stage_hear_message(gate.core_fd)->id;
    close(fd);
    stage_answer(gate.core_fd, id, RESPONSE_OK, &payload);
    buf_fini(&payload);
    char *reply = stage_get("GET /api/v1/status");
    assert_int_equal(stage_status(reply), 200);
    free(reply);
}

static void history_is_the_readers_answer_as_it_is(void **state UNUSED)
{
    struct buf points = BUF_NULL;
    int fd = stage_client(true);

    stage_show_three();
    buf_puts(&points, "{\"points\":[]}");
    stage_ask(fd, "GET /api/v1/containers/%2Flxc%2Fweb/history?metric=memory_usage&from=1000&to=2000", "");
    struct channel_message *message = stage_hear_message(gate.archiver_fd);
    const struct message_query *query = (const void *)message->body;
    assert_int_equal(message->type, MESSAGE_QUERY);
    assert_string_equal(query->key, "lxc:web");
    assert_int_equal(query->metric, METRIC_MEMORY_USAGE);
    assert_int_equal(query->from_s, 1000);
    assert_int_equal(query->to_s, 2000);
    stage_answer(message->fds[0], 0, RESPONSE_OK, &points);
    channel_message_fini(message);
    char *reply = stage_hear(fd, NULL);
    assert_non_null(strstr(reply, "\r\nContent-Type: application/json\r\n"));
    assert_string_equal(strstr(reply, "\r\n\r\n") + 4, "{\"points\":[]}");
    free(reply);
    buf_fini(&points);
}

static void the_reader_is_asked_for_the_events_that_are_wanted(void **state UNUSED)
{
    int fd = stage_client(true);

    stage_ask(fd, "GET /api/v1/events?path=%2Flxc%2F*&type=pressure,oom_kill&limit=7", "");
    struct channel_message *message = stage_hear_message(gate.archiver_fd);
    const struct message_query *query = (const void *)message->body;
    assert_int_equal(query->kind, QUERY_EVENTS);
    assert_string_equal(query->filter.path, "/lxc/*");
    assert_int_equal(query->filter.types, 1U << EVENT_PRESSURE | 1U << EVENT_OOM_KILL);
    assert_int_equal(query->limit, 7);
    channel_message_fini(message);
    close(fd);
}

static void a_filter_of_events_that_cannot_be_is_refused(void **state UNUSED)
{
    stage_assert_refused(stage_get("GET /api/v1/events?type=oom"), 400,
                         "type is 'oom', expected one or several, with commas, of born, gone, pressure,");
    stage_assert_refused(stage_get("GET /api/v1/events?type=born,"), 400, "'born,'");
    stage_assert_refused(stage_get("GET /api/v1/events?path=%2Flxc%2F%5Bweb"), 400, "is not closed");
    stage_assert_refused(stage_get("GET /api/v1/stream?type=oom"), 400, "type is 'oom'");
}

enum { CROWD_MAX = 64 };
struct crowd { /* clients of the port whose questions a reader holds */
    int clients[CROWD_MAX], readers[CROWD_MAX];
    unsigned count;
};

/* Asks by the port until that is refused. */
static void crowd_come(struct crowd *crowd)
{
    for (crowd->count = 0; crowd->count < CROWD_MAX; crowd->count++) {
        int client = crowd->clients[crowd->count] = stage_client(false);
        stage_ask(client, "GET /graph/lxc:web/memory_usage.png", "");
        struct pollfd ends[] = {{.fd = gate.archiver_fd, .events = POLLIN}, {.fd = client, .events = POLLIN}};
        assert_true(poll(ends, ARRAY_LEN(ends), PATIENCE_MS) > 0);
        if (ends[1].revents) {
            stage_assert_refused(stage_hear(client, NULL), 503, "too many");
            return;
        }
        struct channel_message *message = stage_hear_message(gate.archiver_fd);
        crowd->readers[crowd->count] = fd_take(&message->fds[0]);
        channel_message_fini(message);
    }
}

static void crowd_leave(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->count; i++)
        close(crowd->clients[i]);
}

static void crowd_forget(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->count; i++)
        close(crowd->readers[i]);
}

static void clients_of_the_port_leave_room_for_root_and_for_who_comes_after(void **state UNUSED)
{
    struct crowd before, after;

    crowd_come(&before);
    assert_in_range(before.count, 1, CROWD_MAX - 1);
    int fd = stage_client(true);
    stage_ask(fd, "GET /graph/lxc:web/memory_usage.png", "");
    channel_message_fini(stage_hear_message(gate.archiver_fd));
    stage_assert_refused(stage_hear(fd, NULL), 502, "without an answer");
    crowd_leave(&before);
    crowd_come(&after); /* though nobody answered those who left */
    assert_int_equal(after.count, before.count);
    crowd_leave(&after);
    crowd_forget(&before);
    crowd_forget(&after);
}

static void a_reader_that_dies_is_told_at_once(void **state UNUSED)
{
    int fd = stage_client(true);

    stage_ask(fd, "GET /graph/lxc:web/memory_usage.png?last=2h&width=400", "");
    struct channel_message *message = stage_hear_message(gate.archiver_fd);
    const struct message_query *query = (const void *)message->body;
    assert_int_equal(query->kind, QUERY_GRAPH);
    assert_string_equal(query->key, "lxc:web");
    assert_int_equal(query->to_s - query->from_s, 7200);
    assert_int_equal(query->width, 400);
    channel_message_fini(message);
    stage_assert_refused(stage_hear(fd, NULL), 502, "without an answer");
}

static void a_wrong_question_to_the_archive_is_not_asked(void **state UNUSED)
{
    stage_assert_refused(stage_get("GET /api/v1/containers/%2Fx/history"), 400, "metric= is missing");
    stage_assert_refused(stage_get("GET /api/v1/containers/%2Fx/history?metric=memory_ussage"), 404,
                         "'memory_ussage'");
    stage_assert_refused(stage_get("GET /api/v1/containers/%2Fx/history?metric=pids&from=9&to=3"), 400,
                         "from is not before to");
    stage_assert_refused(stage_get("GET /graph/%2Fx/pids.gif"), 404, ".png or .svg");
    stage_assert_refused(stage_get("GET /graph/%2Fx/pids.png?last=soon"), 400, "last is 'soon'");
}

static void metrics_come_in_the_format_asked_for(void **state UNUSED)
{
    stage_show_three();
    char *plain = stage_get("GET /metrics"),
         *open = stage_get_with(true, "GET /metrics", "Accept: application/openmetrics-text\r\n");

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
        stage_show(i, SUBJECT_GROUP, path, path);
    }
    char *page = stage_get("GET /metrics");
    for (const char *at = page; (at = strstr(at, "masu_container_memory_usage_bytes{")); at++)
        lines++;
    assert_int_equal(lines, MANY);
    free(page);
    for (uint32_t i = 0; i < MANY; i++)
        bus_view_clear(gate.bus, i);
}

static void the_front_page_may_load_nothing_from_elsewhere(void **state UNUSED)
{
    char *page = stage_get_with(false, "GET /", "");
    const char *tag = strstr(page, "\r\nETag: ");
    char header[64];

    assert_int_equal(stage_status(page), 200);
    assert_non_null(strstr(page, "\r\nContent-Security-Policy: default-src 'none';"));
    assert_non_null(strstr(page, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(tag);
    str_format(header, sizeof header, "If-None-Match: %.18s\r\n", tag + strlen("\r\nETag: "));
    char *again = stage_get_with(false, "GET /", header);
    assert_int_equal(stage_status(again), 304);
    free(page);
    free(again);
}

static void the_handbook_names_every_route(void **state UNUSED)
{
    char *handbook;
    size_t len, i;
    const json_t *route;

    assert_int_equal(fs_slurp(MASU_SOURCE_DIR "/docs/api.md", 1 << 20, &handbook, &len), 0);
    json_t *answer = stage_body(stage_get("GET /api/v1"));
    json_array_foreach(json_object_get(answer, "routes"), i, route)
    {
        char words[128], *end;
        str_format(words, sizeof words, "`%s %s", json_string_value(json_object_get(route, "method")),
                   json_string_value(json_object_get(route, "path")));
        if ((end = strstr(words, "/{file}"))) /* the handbook shows what stands in it */
            *end = '\0';
        if (!strstr(handbook, words))
            print_error("docs/api.md has no %s\n", words);
        assert_non_null(strstr(handbook, words));
    }
    json_decref(answer);
    free(handbook);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_are_listed_page_by_page_the_host_first),
        cmocka_unit_test(a_container_is_found_by_its_encoded_path_until_it_goes),
        cmocka_unit_test(wrong_addresses_and_methods_are_told_apart),
        cmocka_unit_test(a_parameter_that_nobody_reads_is_refused),
        cmocka_unit_test(a_head_gets_the_length_and_no_body),
        cmocka_unit_test(a_page_of_another_site_cannot_reach_the_port_by_a_name),
        cmocka_unit_test(the_port_changes_nothing),
        cmocka_unit_test(a_plan_is_asked_of_core_and_told_in_words),
        cmocka_unit_test(answers_find_their_asker_in_any_order),
        cmocka_unit_test(who_wants_to_change_something_is_shown_to_core),
        cmocka_unit_test(a_policy_that_is_wrong_is_told_line_by_line),
        cmocka_unit_test(a_client_that_leaves_early_hurts_nobody),
        cmocka_unit_test(history_is_the_readers_answer_as_it_is),
        cmocka_unit_test(the_reader_is_asked_for_the_events_that_are_wanted),
        cmocka_unit_test(a_filter_of_events_that_cannot_be_is_refused),
        cmocka_unit_test(clients_of_the_port_leave_room_for_root_and_for_who_comes_after),
        cmocka_unit_test(a_reader_that_dies_is_told_at_once),
        cmocka_unit_test(a_wrong_question_to_the_archive_is_not_asked),
        cmocka_unit_test(metrics_come_in_the_format_asked_for),
        cmocka_unit_test(many_containers_are_streamed_whole),
        cmocka_unit_test(the_front_page_may_load_nothing_from_elsewhere),
        cmocka_unit_test(the_handbook_names_every_route),
    };
    return cmocka_run_group_tests_name("gateway", tests, stage_open, stage_close);
}
