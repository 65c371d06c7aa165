#pragma once
/*
 * The roles: masu's processes, one row each, and what a role's entry is handed. A role is started by the
 * parent, says hello, is given its descriptors, hears GO; only then is its entry called. The entry makes its
 * objects, sets its handlers with role_handle, runs loop_run(context->loop), undoes its objects and returns
 * the exit code. What was given is closed by the caller of the entry.
 */

#include "agent/link.h"
#include "agent/loop.h"
#include "agent/message.h"
#include "base/channel.h"
#include "model/setting.h"

enum role_file { ROLE_FILE_MASUD, ROLE_FILE_ARCHIVER, ROLE_FILE_GATEWAY, ROLE_FILES };
const char *role_file_name(enum role_file file); /* "masu-archiver" */

struct role {
    const char *name; /* "core": as --role takes it, as status shows it */
    enum role_file file;
    const char *user;      /* NULL: root */
    uint64_t capabilities; /* kept, as bits; what the bounding set lacks is left out silently */
    bool on_demand;        /* not kept running: started by a message (reader) */
    uint32_t stops_after;  /* ROLE_BITs: hears STOP when these have ended */
    int16_t oom_score_adj;
    int16_t nice; /* who must be prompt on a busy host goes first, who need not steps back */
    /* what it is given besides settings */
    bool bus_write, bus_read;
    bool wake;      /* has an eventfd of its own; core gets them all */
    bool listen;    /* the API's listeners */
    uint32_t peers; /* ROLE_BITs of the roles it has a channel to */
};
extern const struct role roles[ROLE_N];
int role_find(const char *name); /* enum role_id, or -1 */

/* All are optional. @owner is what role_handle was given. */
struct role_handlers {
    /* A message from a peer, or from the parent (ROLE_PARENT): RELOAD, RAN, ROLES, QUERY. The descriptors in
       it are closed after the call: fd_take those you keep. */
    void (*on_message)(void *owner, enum role_id from, struct channel_message *message);
    /* The channel to @peer was replaced (the peer was started anew: forget what was asked of it), or was made
       the first time after GO. Letters queued to the old one are dropped before the call. Also called when
       the channel broke: then role_has_peer is false until the next call. */
    void (*on_peer)(void *owner, enum role_id peer);
    /* STOP, SIGTERM, or the parent is gone: finish what is in flight, then loop_stop; context->stopping is
       set. Absent: loop_stop at once. A role that takes longer than ROLE_STOP_S is killed. */
    void (*on_stop)(void *owner);
};

enum { ROLE_STOP_S = 5 };

struct role_context {
    enum role_id role;
    struct loop *loop;
    const struct settings *settings;
    bool stopping;
    int bus_fd;  /* writable for core, O_RDONLY for archiver, gateway, courier; else -1 */
    int wake_fd; /* own eventfd (non-blocking): readable when core published; read it, then drain the bus;
                    else -1 */
    int wake_fds[ROLE_N]; /* core only: write 8 bytes of 1 to each that is not -1 after publishing (full:
                             EAGAIN is fine) */
    int listen_unix_fd;   /* gateway: non-blocking listeners; else -1 */
    int listen_tcp_fd;    /* -1 as well when http.listen is off */
    /* private to role.c */
    struct link *links[ROLE_N]; /* ROLE_PARENT: the control channel; reader: ROLE_GATEWAY is the channel of
                                   its query */
    struct role_handlers handlers;
    void *owner;
};

/* The entry of a role: core_main, enforcer_main, archiver_main, reader_main, gateway_main, courier_main. A
   reader hears its question as MESSAGE_QUERY from ROLE_PARENT and answers MESSAGE_RESPONSE to ROLE_GATEWAY.
   Returns the exit code. */
typedef int role_entry(struct role_context *context);
role_entry core_main, enforcer_main, archiver_main, reader_main, gateway_main, courier_main;

void role_handle(struct role_context *context, const struct role_handlers *handlers, void *owner);
bool role_has_peer(const struct role_context *context, enum role_id peer);

enum role_send_result {
    ROLE_SENT = 0,   /* sent, or queued (bounded) because the socket is full */
    ROLE_ABSENT = 1, /* no channel to that peer now: on_peer tells when there is */
    ROLE_FULL = 2,   /* the queue of LINK_QUEUE_MAX letters is full */
};
/* Sends to a peer, or to the parent (ROLE_PARENT). enum role_send_result, or -errno (-EMSGSIZE, -ENOMEM,
 * -EMFILE). */
MUST_USE int role_send(struct role_context *context, enum role_id to, const struct link_letter *letter);
