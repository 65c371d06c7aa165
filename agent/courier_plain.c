#include "agent/courier_transport.h"
#include "base/str.h"
#include <errno.h>
#include <event2/bufferevent.h>

bool transport_has_tls(void)
{
    return false;
}

int transport_open_tls(struct transport **ret UNUSED)
{
    return -EPROTONOSUPPORT;
}

struct transport *transport_close(struct transport *transport UNUSED)
{
    return NULL;
}

struct bufferevent *transport_connect(struct transport *transport UNUSED, struct event_base *base,
                                      const char *host UNUSED)
{
    return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

void transport_why(struct transport *transport UNUSED, struct bufferevent *bev UNUSED, char *buf, size_t size)
{
    str_copy(buf, size, "no answer");
}
