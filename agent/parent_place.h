#pragma once
/* masud's places on this host: the run directory with its lock and socket, the state directory, the
 * listeners. */

#include "agent/spawn.h"

struct place {
    int lock_fd;  /* of the run directory; the roles have it too */
    int state_fd; /* the state directory, locked */
    int listen_unix_fd;
    int listen_tcp_fd; /* -1: http.listen is off */
};
#define PLACE_NULL ((struct place){.lock_fd = -1, .state_fd = -1, .listen_unix_fd = -1, .listen_tcp_fd = -1})

/* Makes what is missing and takes the lock. 0, or -1 after logging what is in the way. */
MUST_USE int place_open(const struct settings *settings, const struct spawn_user users[ROLE_N],
                        struct place *ret);
void place_close(const struct settings *settings, struct place *place); /* removes the socket */
