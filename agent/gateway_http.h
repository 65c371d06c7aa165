#pragma once
/* Requests and replies over evhttp: what the routes work with. */

#include "base/attrs.h"
#include "model/event.h"
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct gateway_listener;

enum { EXCHANGE_ARGS_MAX = 2 };

/* A request while its route's handler runs; the evhttp_request lives on until it is replied to. */
struct exchange {
    struct gateway *gateway;
    struct evhttp_request *request;
    bool local;                    /* came by the unix socket */
    char *args[EXCHANGE_ARGS_MAX]; /* what {…} of the pattern matched, percent-decoded */
    struct evkeyvalq query;
};

/* Serves on a copy of @fd. 0 or -errno. */
MUST_USE int gateway_http_open(struct gateway_listener *listener, int fd);
void gateway_http_close(struct gateway_listener *listener);

/* The query parameter, or NULL. */
const char *exchange_query(const struct exchange *exchange, const char *name);
/* What a number may be, and what it is when it is not given. */
struct number_bounds {
    uint64_t least, most, fallback;
};
/* False: a 400 was replied. */
bool exchange_number(struct exchange *exchange, const char *name, const struct number_bounds *bounds,
                     uint64_t *ret);
/* Whether every parameter is one of @known, names that spaces part. False: a 400 was replied. */
bool exchange_check_query(struct exchange *exchange, const char *known);

/* path= and type= of events. False: a 400 was replied. */
bool exchange_event_filter(struct exchange *exchange, struct event_filter *ret);

/* Each sends the whole reply. reply_json takes @body; NULL means out of memory. */
void reply_json(struct evhttp_request *request, int status, json_t *body);
void reply_error(struct evhttp_request *request, int status, const char *format, ...) PRINTF_LIKE(3, 4);
void reply_bytes(struct evhttp_request *request, const char *type, const void *bytes, size_t len);
void reply_header(struct evhttp_request *request, const char *name, const char *value);

/* A request that is replied to later, and may lose its client until then. */
struct held {
    struct evhttp_request *request; /* NULL: taken, or the client went away */
    void (*on_gone)(void *owner);   /* the client went away; called once, the request is already released */
    void *owner;
};
void held_init(struct held *held, struct evhttp_request *request, void (*on_gone)(void *owner), void *owner);
/* The request, to reply now, or NULL; on_gone is not called any more. */
struct evhttp_request *held_take(struct held *held);
/* Hangs up at once; on_gone is not called. */
void held_drop(struct held *held);
/* Whether the client has hung up by now. */
bool held_left(const struct held *held);
/* Bytes that the client has not taken yet. */
size_t held_unsent(const struct held *held);
