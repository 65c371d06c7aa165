#pragma once
/*
 * A channel on a loop: received messages arrive at a callback, letters that do not fit the socket wait in a
 * bounded queue. For channels outside the role table (a query's answer) use it directly; for peers use
 * role_send.
 */

#include "agent/loop.h"
#include "base/channel.h"

enum { LINK_QUEUE_MAX = 256 };

struct link; /* opaque */

struct link_handlers {
    /* Descriptors still in the message are closed after the call. The link may be freed in it. */
    void (*on_message)(void *owner, struct channel_message *message);
    /* The peer closed, or the channel broke. Called once; nothing is sent or received any more. The link may
     * be freed in it. */
    void (*on_closed)(void *owner);
};

/* Takes @fd on success. 0 or -ENOMEM. */
MUST_USE int link_new(struct loop *loop, int fd, const struct link_handlers *handlers, void *owner,
                      struct link **ret);
struct link *link_free(struct link *link); /* drops what is queued, closes the channel */

struct link_letter {
    uint32_t type; /* enum message_type */
    uint64_t id;
    const void *body; /* borrowed */
    size_t len;
    const int *fds; /* borrowed; duplicated when the letter has to wait */
    unsigned fd_count;
};
enum link_result { LINK_SENT = 0, LINK_CLOSED = 1, LINK_FULL = 2 };
/* enum link_result (LINK_SENT also when queued) or -errno (-EMSGSIZE, -ENOMEM, -EMFILE). */
MUST_USE int link_send(struct link *link, const struct link_letter *letter);
unsigned link_queued(const struct link *link);
