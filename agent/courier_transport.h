#pragma once
/* What carries a POST: plain or TLS. courier_tls.c where the build has OpenSSL, else courier_plain.c. */

#include "base/attrs.h"
#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct bufferevent;
struct transport; /* opaque; NULL is plain */

bool transport_has_tls(void);
/* What TLS connections share. 0 with *ret, or -errno. */
MUST_USE int transport_open_tls(struct transport **ret);
struct transport *transport_close(struct transport *transport);
/* A bufferevent for one connection, certificates checked against @host. NULL: out of memory. */
struct bufferevent *transport_connect(struct transport *transport, struct event_base *base, const char *host);
/* Why a connection that gave no answer did not: "its certificate is refused: …", or "no answer". */
void transport_why(struct transport *transport, struct bufferevent *bev, char *buf, size_t size);
