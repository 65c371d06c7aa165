#include "agent/courier_transport.h"
#include "base/str.h"
#include <arpa/inet.h>
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

/* Says which host is meant, when it has a name: an address is not allowed there (RFC 6066, 3). */
static bool name_server(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    char name[256]; /* OpenSSL's macro casts const away */
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return true;
    return str_copy(name, sizeof name, host) && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct bufferevent *transport_connect(struct transport *transport, struct event_base *base, const char *host)
{
    if (!transport)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    SSL *ssl = SSL_new(context_of(transport));
    if (!ssl)
        return NULL;
    struct bufferevent *bev = NULL;
    if (name_server(ssl, host) && SSL_set1_host(ssl, host) == 1)
        bev =
            bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        SSL_free(ssl);
    else
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

void transport_why(struct transport *transport, struct bufferevent *bev, char *buf, size_t size)
{
    const SSL *ssl = transport && bev ? bufferevent_openssl_get_ssl(bev) : NULL;
    long verdict = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    if (verdict == X509_V_OK)
        str_copy(buf, size, "no answer");
    else
        str_format(buf, size, "its certificate is refused: %s", X509_verify_cert_error_string(verdict));
}
