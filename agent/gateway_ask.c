#include "agent/gateway_ask.h"
#include "agent/gateway.h"
#include "base/clock.h"
#include "base/memfd.h"
#include "base/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The port may not take the places that root needs on the unix socket. */
enum { ASKS_MAX = 64, ASKS_TCP_MAX = 32, TEXT_MAX = 2048 };
#define ANSWER_MAX ((size_t)256 << 20)

static struct ask *ask_free(struct ask *ask)
{
    list_remove(&ask->link);
    ask->gateway->ask_count--;
    loop_timer_fini(&ask->timeout);
    link_free(ask->answer);
    free(ask);
    return NULL;
}

static void on_client_gone(void *owner)
{
    ask_free(owner);
}

static void on_timeout(void *owner)
{
    struct ask *ask = owner;

    ask_fail(ask, 504, "the %s did not answer in time", roles[ask->whom].name);
}

/* evhttp does not read while a request waits for its reply, so it does not see its client leave. */
static void forget_gone(struct gateway *gateway)
{
    struct ask *ask;

    LIST_FOR_EACH(ask, &gateway->asks, struct ask, link)
        if (held_left(&ask->held)) {
            held_drop(&ask->held);
            ask_free(ask);
        }
}

struct ask *ask_new(struct exchange *exchange, enum role_id whom, uint64_t timeout_ns, ask_reply_fn *reply)
{
    struct gateway *gateway = exchange->gateway;
    forget_gone(gateway);
    bool room = gateway->ask_count < (exchange->local ? ASKS_MAX : ASKS_TCP_MAX);
    struct ask *ask = room ? calloc(1, sizeof *ask) : NULL;

    if (!ask) {
        reply_error(exchange->request, 503, "too many requests wait for an answer; try again");
        return NULL;
    }
    *ask = (struct ask){.gateway = gateway, .id = ++gateway->last_ask_id, .whom = whom, .reply = reply};
    if (loop_timer_init(&ask->timeout, gateway->context->loop, LOOP_NORMAL, on_timeout, ask)) {
        free(ask);
        reply_error(exchange->request, 503, "out of memory");
        return NULL;
    }
    held_init(&ask->held, exchange->request, on_client_gone, ask);
    list_append(&gateway->asks, &ask->link);
    gateway->ask_count++;
    loop_timer_arm_at(&ask->timeout, clock_mono_ns() + timeout_ns);
    return ask;
}

void ask_fail(struct ask *ask, int status, const char *format, ...)
{
    struct evhttp_request *request = held_take(&ask->held);
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ask_free(ask);
    if (request)
        reply_error(request, status, "%s", text);
}

/* Answers other than OK, as HTTP says them. */
static const struct {
    int status;
    const char *fallback; /* when the answer brings no words */
} refusals[] = {
    [RESPONSE_DENIED] = {403, "only root may do this"},
    [RESPONSE_INVALID] = {422, "the policy on disk is not valid"},
    [RESPONSE_MISSING] = {404, "there is nothing of that name"},
    [RESPONSE_FAILED] = {500, "it failed"},
};

static void answer_with(struct ask *ask, const struct message_response *response,
                        const struct memfd_view *payload)
{
    const char *text = payload->bytes;
    size_t len = payload->len;

    if (response->status == RESPONSE_OK) {
        struct evhttp_request *request = held_take(&ask->held);
        if (request)
            ask->reply(ask, request, payload->bytes, payload->len);
        ask_free(ask);
        return;
    }
    if (response->status < 0 || response->status >= (int)ARRAY_LEN(refusals)) {
        ask_fail(ask, 502, "the %s answered what is not understood", roles[ask->whom].name);
        return;
    }
    while (len && (text[len - 1] == '\n' || !text[len - 1]))
        len--;
    if (len)
        ask_fail(ask, refusals[response->status].status, "%.*s", (int)(len < TEXT_MAX ? len : TEXT_MAX),
                 text);
    else
        ask_fail(ask, refusals[response->status].status, "%s", refusals[response->status].fallback);
}

void ask_answer(struct ask *ask, struct channel_message *message)
{
    struct message_response response;
    struct memfd_view payload = MEMFD_VIEW_NULL;

    if (message->type != MESSAGE_RESPONSE || message->len != sizeof response) {
        ask_fail(ask, 502, "the %s answered what is not understood", roles[ask->whom].name);
        return;
    }
    memcpy(&response, message->body, sizeof response);
    if (message->fd_count && memfd_map(message->fds[0], ANSWER_MAX, &payload)) {
        ask_fail(ask, 502, "the answer of the %s cannot be read", roles[ask->whom].name);
        return;
    }
    answer_with(ask, &response, &payload);
    memfd_view_fini(&payload);
}

void ask_answer_by_id(struct gateway *gateway, struct channel_message *message)
{
    struct ask *ask;

    LIST_FOR_EACH(ask, &gateway->asks, struct ask, link)
        if (ask->id == message->id) {
            ask_answer(ask, message);
            return;
        }
}

void ask_fail_all(struct gateway *gateway, enum role_id whom)
{
    struct ask *ask;

    LIST_FOR_EACH(ask, &gateway->asks, struct ask, link)
        if (ask->whom == whom && !ask->answer)
            ask_fail(ask, 503, "the %s ended before it answered; it is being started again",
                     roles[whom].name);
}
