#pragma once
/*
 * A client's request that another process answers: it is held, paired with the answer, and given up after a
 * while. Replies happen exactly once; a client that goes away takes its ask with it.
 */

#include "agent/gateway_http.h"
#include "agent/link.h"
#include "agent/loop.h"
#include "agent/message.h"
#include "base/list.h"

struct ask;
/* The answer arrived and is good: reply with it. @bytes may be NULL when @len is 0. */
typedef void ask_reply_fn(const struct ask *ask, struct evhttp_request *request, const void *bytes,
                          size_t len);

enum { ASK_TYPE_MAX = 32 };

struct ask {
    struct list_link link; /* gateway->asks */
    struct gateway *gateway;
    uint64_t id;
    enum role_id whom;
    struct held held;
    struct loop_timer timeout;
    struct link *answer; /* the reader's channel; NULL when the answer comes by the peer's */
    ask_reply_fn *reply;
    char type[ASK_TYPE_MAX];   /* of a reply that is passed on as it is */
    char path[GROUP_PATH_MAX]; /* what was asked about */
};

/* Holds the request. NULL: a 503 was replied. */
struct ask *ask_new(struct exchange *exchange, enum role_id whom, uint64_t timeout_ns, ask_reply_fn *reply);
/* The request stays unanswered no more: replies with an error and frees. */
void ask_fail(struct ask *ask, int status, const char *format, ...) PRINTF_LIKE(3, 4);
/* Replies by the answer and frees. */
void ask_answer(struct ask *ask, struct channel_message *message);
/* An answer that came by the peer's own channel: finds its ask by id; an unknown one is too late and ignored.
 */
void ask_answer_by_id(struct gateway *gateway, struct channel_message *message);
/* The peer was started anew: what was asked of it on its channel gets no answer. */
void ask_fail_all(struct gateway *gateway, enum role_id whom);
