#include "agent/courier_transport.h"
#include "base/str.h"
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>

/* An SSL_CTX goes by our name for it, so that its header stays in this file. */
static SSL_CTX *context_of(struct transport *transport)
{
    return (SSL_CTX *)(void *)transport;
}

bool transport_has_tls(void)
{
    return true;
}

int transport_open_tls(struct transport **ret)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (!context)
        return -ENOMEM;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_default_verify_paths(context) != 1) {
        SSL_CTX_free(context);
        return -EIO;
    }
    *ret = (struct transport *)(void *)context;
    return 0;
}

struct transport *transport_close(struct transport *transport)
{
    SSL_CTX_free(context_of(transport));
    return NULL;
}

struct bufferevent *transport_connect(struct transport *transport, struct event_base *base, const char *host)
{
    if (!transport)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    SSL *ssl = SSL_new(context_of(transport));
    if (!ssl)
        return NULL;
    struct bufferevent *bev = NULL;
    char name[256]; /* OpenSSL's macro casts const away */
    if (str_copy(name, sizeof name, host) && SSL_set_tlsext_host_name(ssl, name) == 1 &&
        SSL_set1_host(ssl, host) == 1)
        bev =
            bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        SSL_free(ssl);
    else
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}
