#pragma once
/* The API's routes, one row each. */

#include "agent/gateway_http.h"

typedef void route_fn(struct exchange *exchange);

/* The handlers, each in the file of its subject. */
route_fn route_help, route_metric_table;                                      /* gateway_routes.c */
route_fn route_containers, route_container, route_interfaces;                 /* gateway_views.c */
route_fn route_status;                                                        /* gateway_status.c */
route_fn route_metrics;                                                       /* gateway_metrics.c */
route_fn route_history, route_graph, route_events;                            /* gateway_archive.c */
route_fn route_plan, route_apply, route_release, route_explain, route_reload; /* gateway_core.c */
route_fn route_stream;                                                        /* gateway_stream.c */
route_fn route_page;                                                          /* gateway_page.c */

/* Finds the route of the request, fills exchange->args and calls its handler, or replies 403, 404 or 405.
   @path is percent-encoded. */
void gateway_route(struct exchange *exchange, const char *path);
