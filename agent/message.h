#pragma once
/* The words that masu's processes say to each other. Generated from agent/message.def: enum message_type. */

#include "base/attrs.h"
#include "base/channel.h"
#include "model/event.h"
#include <stdbool.h>
#include <stdint.h>

enum role_id {
    ROLE_PARENT,
    ROLE_CORE,
    ROLE_ENFORCER,
    ROLE_ARCHIVER,
    ROLE_GATEWAY,
    ROLE_COURIER,
    ROLE_READER,
    ROLE_N
};
#define ROLE_BIT(role) (1U << (role))

enum message_type {
    MESSAGE_NONE = 0,
#define MESSAGE(id, ...) MESSAGE_##id,
#include "agent/message.def"
#undef MESSAGE
    MESSAGE_N,
};
const char *message_name(uint32_t type); /* "PLAN_DONE", "?" when there is no such message */
/* Whether @from may say this to @to, with a body of exactly the size and no more descriptors than message.def
   says. Roles are handed only messages that fit. */
bool message_fits(const struct channel_message *message, enum role_id from, enum role_id to);

struct message_hello {
    char build_id[41];
    int32_t pid;
    int32_t role; /* enum role_id */
};

enum give_what {
    GIVE_SETTINGS = 1, /* sealed memfd: struct settings */
    GIVE_BUS = 2,      /* core: writable; others: read-only */
    GIVE_WAKE = 3,     /* eventfd; readers poll it, core writes to all: .role says whose */
    GIVE_LISTEN_UNIX = 4,
    GIVE_LISTEN_TCP = 5,
    GIVE_PEER = 6, /* a channel to .role; replaces the one held */
};
struct message_give {
    int32_t what;
    int32_t role;
};

struct message_ran {
    int32_t role, pid;
    int32_t status; /* of wait(2) */
    uint32_t restarts;
};

struct message_roles {
    struct {
        int32_t pid; /* 0: not running now */
        uint32_t uid;
        uint32_t restarts;
        uint64_t started_wall_ns;
    } roles[ROLE_N];
};

struct message_exec {
    struct event event; /* the parent runs settings.exec, the event's fields in its environment */
};

enum query_kind { QUERY_HISTORY = 1, QUERY_GRAPH = 2, QUERY_EVENTS = 3 };
struct message_query {
    int32_t kind;              /* enum query_kind */
    int32_t metric;            /* enum metric_id */
    char key[GROUP_PATH_MAX];  /* archive key (model/group.h) */
    char path[GROUP_PATH_MAX]; /* of the live subject, "" when it is gone: tells two of one key apart */
    char title[GROUP_NAME_MAX];
    int64_t from_s, to_s; /* Unix time; step is the archive's */
    uint32_t width, height;
    uint32_t svg;               /* else PNG */
    uint32_t limit;             /* events: at most this many, the newest */
    uint64_t after;             /* events: with a greater number than this */
    struct event_filter filter; /* events: of those that fit */
};
/* A reader's answer on its channel: MESSAGE_RESPONSE with a sealed memfd: image bytes, or JSON text. */

enum request_kind {
    REQUEST_PLAN = 1,
    REQUEST_APPLY = 2,
    REQUEST_RELEASE = 3, /* --all */
    REQUEST_EXPLAIN = 4, /* .path */
    REQUEST_RELOAD = 5,
};
struct message_request {
    int32_t kind;
    char path[GROUP_PATH_MAX];
};

enum response_status {
    RESPONSE_OK = 0,
    RESPONSE_DENIED = 1,  /* the client may not */
    RESPONSE_INVALID = 2, /* the policy on disk is wrong: payload is text, one diag per line */
    RESPONSE_MISSING = 3, /* no such group */
    RESPONSE_FAILED = 4,  /* payload is text */
};
struct message_response {
    int32_t status;
    int32_t kind; /* request_kind */
    /* payload: PLAN, APPLY, RELEASE: encoded plan, after it encoded outcomes for the latter two, each
       preceded by its length (uint64_t); EXPLAIN: text */
};

struct message_plan_done {
    int32_t error; /* 0: all rows done; else of the first that failed; everything of its group was undone */
    uint32_t written;
};
