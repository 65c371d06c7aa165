#pragma once
/*
 * Messages over SOCK_SEQPACKET: a fixed header, up to CHANNEL_BODY_MAX bytes of body, up to
 * CHANNEL_FDS_MAX descriptors. Larger things travel as sealed memfds. Sockets are non-blocking.
 */

#include "base/attrs.h"
#include <stdint.h>

enum {
    CHANNEL_BODY_MAX = 16384,
    CHANNEL_FDS_MAX = 4,
};

struct channel_message {
    uint32_t type; /* a number of agent/message.def */
    uint32_t len;  /* bytes of body used */
    uint64_t id;   /* pairs a reply with its request; 0 when none is expected */
    uint8_t body[CHANNEL_BODY_MAX];
    int fds[CHANNEL_FDS_MAX]; /* received ones are owned by the receiver */
    unsigned fd_count;
};

enum channel_result {
    CHANNEL_OK = 0,
    CHANNEL_AGAIN = 1,  /* would block: full when sending, empty when receiving */
    CHANNEL_CLOSED = 2, /* the peer is gone */
};

/* A connected pair, non-blocking, close-on-exec. 0 or -errno. */
MUST_USE int channel_pair(int ret_fds[2]);
/* Sends @fds (borrowed) with the body. enum channel_result or -errno (-EMSGSIZE: body too large). */
MUST_USE int channel_send(int fd, uint32_t type, uint64_t id, const void *body, size_t len, const int *fds,
                          unsigned fd_count);
/* Receives one message. enum channel_result or -errno; -EBADMSG for a malformed or cut one (its descriptors
 * closed). */
MUST_USE int channel_receive(int fd, struct channel_message *ret);
/* Closes the descriptors that a message still holds. */
void channel_message_fini(struct channel_message *message);
