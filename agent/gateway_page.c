#include "agent/gateway_routes.h"
#include "base/map.h"
#include "base/str.h"
#include "dashboard/dashboard.h"
#include <string.h>

/* The page brings its scripts and styles within itself and talks to where it came from, to nobody else. */
static const char content_policy[] =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void route_page(struct exchange *exchange)
{
    struct evhttp_request *request = exchange->request;
    const char *known = evhttp_find_header(evhttp_request_get_input_headers(request), "If-None-Match");
    char tag[32];

    str_format(tag, sizeof tag, "\"%016llx\"",
               (unsigned long long)map_hash(dashboard_html, dashboard_html_len));
    reply_header(request, "ETag", tag);
    reply_header(request, "Cache-Control", "no-cache");
    reply_header(request, "Content-Security-Policy", content_policy);
    reply_header(request, "Referrer-Policy", "no-referrer");
    if (known && strstr(known, tag))
        evhttp_send_reply(request, 304, NULL, NULL);
    else
        reply_bytes(request, "text/html; charset=utf-8", dashboard_html, dashboard_html_len);
}
