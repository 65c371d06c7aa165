#pragma once
/* sd_notify's protocol (sd_notify(3), stable): one datagram to the socket that NOTIFY_SOCKET names. */

/* Remembers the socket and takes it out of the environment. */
void parent_notify_init(void);
/* "READY=1"; nothing when nobody wants to know. */
void parent_notify(const char *state);
