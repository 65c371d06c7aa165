#include "agent/courier_post.h"
#include "agent/courier_transport.h"
#include "base/str.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_S = 10, ANSWER_MAX = 65536, TARGET_SIZE = 1024, HOST_SIZE = 320, WHY_SIZE = 160 };

struct post {
    struct event_base *base;
    struct evdns_base *dns; /* resolves without blocking */
    struct evhttp_uri *uri;
    struct transport *transport; /* NULL: plain */
    int port;
    post_fn *fn;
    void *owner;
    struct evhttp_connection *connection; /* of the POST under way, and after it until the next */
    bool busy;
};

static void finish(struct post *post, enum post_result result, const char *why)
{
    post->busy = false;
    if (post->fn)
        post->fn(post->owner, result, why);
}

/* What the receiver's status says about trying again (RFC 9110: 408, 429 and 5xx pass). */
static enum post_result judge(int status)
{
    if (status >= 200 && status < 300)
        return POST_DELIVERED;
    return status >= 400 && status < 500 && status != 408 && status != 429 ? POST_REFUSED : POST_FAILED;
}

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct post *post = arg;
    char why[WHY_SIZE];
    int status = request ? evhttp_request_get_response_code(request) : 0;

    if (!status) {
        transport_why(post->transport, evhttp_connection_get_bufferevent(post->connection), why, sizeof why);
        finish(post, POST_FAILED, why);
        return;
    }
    const char *line = evhttp_request_get_response_code_line(request);
    str_format(why, sizeof why, "%d %.100s", status, line ? line : "");
    finish(post, judge(status), why);
}

static int read_url(struct post *post, const char *url)
{
    post->uri = evhttp_uri_parse(url);
    const char *scheme = post->uri ? evhttp_uri_get_scheme(post->uri) : NULL;
    if (!scheme || !evhttp_uri_get_host(post->uri) || !*evhttp_uri_get_host(post->uri))
        return -EINVAL;
    bool tls = !strcasecmp(scheme, "https");
    if (!tls && strcasecmp(scheme, "http") != 0)
        return -EPROTONOSUPPORT;
    post->port = evhttp_uri_get_port(post->uri);
    if (post->port < 0)
        post->port = tls ? 443 : 80;
    return tls ? transport_open_tls(&post->transport) : 0;
}

int post_new(struct event_base *base, const char *url, post_fn *fn, void *owner, struct post **ret)
{
    struct post *post = calloc(1, sizeof *post);

    if (!post)
        return -ENOMEM;
    *post = (struct post){.base = base, .fn = fn, .owner = owner};
    int r = read_url(post, url);
    if (!r) {
        post->dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        r = post->dns ? 0 : -ENOMEM;
    }
    /* A host without the file needs no resolver as long as the address is a number. */
    if (!r)
        (void)evdns_base_resolv_conf_parse(post->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    if (r)
        post_free(post);
    else
        *ret = post;
    return r;
}

struct post *post_free(struct post *post)
{
    if (!post)
        return NULL;
    post->fn = NULL;
    if (post->connection)
        evhttp_connection_free(post->connection);
    if (post->dns)
        evdns_base_free(post->dns, 0);
    if (post->uri)
        evhttp_uri_free(post->uri);
    transport_close(post->transport);
    free(post);
    return NULL;
}

bool post_busy(const struct post *post)
{
    return post->busy;
}

/* evhttp_uri keeps the brackets of an IPv6 address, which neither the resolver nor a certificate knows. */
static void bare_host(const char *host, char *to, size_t size)
{
    str_copy(to, size, host + (host[0] == '['));
    if (host[0] == '[')
        to[strcspn(to, "]")] = '\0';
}

static int connect_anew(struct post *post)
{
    char host[HOST_SIZE];

    if (post->connection)
        evhttp_connection_free(post->connection);
    post->connection = NULL;
    bare_host(evhttp_uri_get_host(post->uri), host, sizeof host);
    struct bufferevent *bev = transport_connect(post->transport, post->base, host);
    if (!bev)
        return -ENOMEM;
    post->connection =
        evhttp_connection_base_bufferevent_new(post->base, post->dns, bev, host, (unsigned short)post->port);
    if (!post->connection) {
        bufferevent_free(bev);
        return -ENOMEM;
    }
    evhttp_connection_set_timeout(post->connection, TIMEOUT_S);
    evhttp_connection_set_max_body_size(post->connection, ANSWER_MAX);
    return 0;
}

static void put_headers(struct post *post, struct evhttp_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    char host[HOST_SIZE];

    str_copy(host, sizeof host, evhttp_uri_get_host(post->uri));
    if (evhttp_uri_get_port(post->uri) >= 0)
        str_format(host, sizeof host, "%s:%d", evhttp_uri_get_host(post->uri), post->port);
    evhttp_add_header(headers, "Host", host);
    evhttp_add_header(headers, "Content-Type", "application/json");
    evhttp_add_header(headers, "User-Agent", "masu/" MASU_VERSION);
    evhttp_add_header(headers, "Connection", "close");
}

int post_send(struct post *post, const char *body, size_t len)
{
    char target[TARGET_SIZE];
    const char *path = evhttp_uri_get_path(post->uri), *query = evhttp_uri_get_query(post->uri);
    int r = connect_anew(post);

    if (r)
        return r;
    struct evhttp_request *request = evhttp_request_new(on_answer, post);
    if (!request)
        return -ENOMEM;
    put_headers(post, request);
    str_format(target, sizeof target, "%s%s%s", path && *path ? path : "/", query ? "?" : "",
               query ? query : "");
    evbuffer_add(evhttp_request_get_output_buffer(request), body, len);
    post->busy = true;
    /* The request is the connection's from here on, also when this fails. */
    if (evhttp_make_request(post->connection, request, EVHTTP_REQ_POST, target)) {
        post->busy = false;
        return -ENOMEM;
    }
    return 0;
}
