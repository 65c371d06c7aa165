/* A receiver on the loopback interface, in the same loop. */

#include "agent/courier_post.h"
#include "agent/courier_transport.h"
#include "base/str.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct event_base *base;
static struct evhttp *receiver;
static uint16_t port;
static int answer_status;
static char received[256], received_path[64], result_why[128];
static enum post_result result;

static void on_request(struct evhttp_request *request, void *arg UNUSED)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_copyout(body, received, sizeof received - 1) > 0 ? evbuffer_get_length(body) : 0;

    received[len] = '\0';
    str_copy(received_path, sizeof received_path, evhttp_request_get_uri(request));
    evhttp_send_reply(request, answer_status, "Said", NULL);
}

static void on_result(void *owner UNUSED, enum post_result outcome, const char *why)
{
    result = outcome;
    str_copy(result_why, sizeof result_why, why);
    event_base_loopbreak(base);
}

static int setup(void **state UNUSED)
{
    base = event_base_new();
    receiver = evhttp_new(base);
    evhttp_set_gencb(receiver, on_request, NULL);
    struct evhttp_bound_socket *socket = evhttp_bind_socket_with_handle(receiver, "127.0.0.1", 0);
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    assert_non_null(socket);
    assert_int_equal(getsockname(evhttp_bound_socket_get_fd(socket), (struct sockaddr *)&address, &len), 0);
    port = ntohs(address.sin_port);
    received[0] = received_path[0] = result_why[0] = '\0';
    return 0;
}

static int teardown(void **state UNUSED)
{
    if (receiver)
        evhttp_free(receiver);
    event_base_free(base);
    return 0;
}

/* POSTs to the receiver, which answers @status, and waits for the result. */
static void post_and_wait(int status)
{
    char url[64];
    struct post *post = NULL;

    answer_status = status;
    str_format(url, sizeof url, "http://127.0.0.1:%u/hook?a=1", port);
    assert_int_equal(post_new(base, url, on_result, NULL, &post), 0);
    assert_int_equal(post_send(post, "{\"x\":1}", 7), 0);
    assert_true(post_busy(post));
    event_base_dispatch(base);
    assert_false(post_busy(post));
    post_free(post);
}

static void an_event_taken_by_the_receiver_is_delivered(void **state UNUSED)
{
    post_and_wait(200);
    assert_int_equal(result, POST_DELIVERED);
    assert_string_equal(received, "{\"x\":1}");
    assert_string_equal(received_path, "/hook?a=1");
}

static void a_receiver_in_trouble_is_tried_again(void **state UNUSED)
{
    post_and_wait(503);
    assert_int_equal(result, POST_FAILED);
    assert_string_equal(result_why, "503 Said");
    post_and_wait(429);
    assert_int_equal(result, POST_FAILED);
}

static void what_the_receiver_will_never_take_is_not_tried_again(void **state UNUSED)
{
    post_and_wait(404);
    assert_int_equal(result, POST_REFUSED);
}

static void nobody_there_is_a_failure_too(void **state UNUSED)
{
    evhttp_free(receiver);
    receiver = NULL;
    post_and_wait(200);
    assert_int_equal(result, POST_FAILED);
}

static void only_addresses_that_can_be_reached_are_taken(void **state UNUSED)
{
    struct post *post = NULL;

    assert_int_equal(post_new(base, "ftp://example.org/", on_result, NULL, &post), -EPROTONOSUPPORT);
    assert_int_equal(post_new(base, "http:///hook", on_result, NULL, &post), -EINVAL);
    assert_int_equal(post_new(base, "https://example.org/", on_result, NULL, &post),
                     transport_has_tls() ? 0 : -EPROTONOSUPPORT);
    post_free(post);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_event_taken_by_the_receiver_is_delivered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_receiver_in_trouble_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_receiver_will_never_take_is_not_tried_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nobody_there_is_a_failure_too, setup, teardown),
        cmocka_unit_test_setup_teardown(only_addresses_that_can_be_reached_are_taken, setup, teardown),
    };
    return cmocka_run_group_tests_name("courier_post", tests, NULL, NULL);
}
