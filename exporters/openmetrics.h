#pragma once
/*
 * The metrics page in Prometheus' text format, or in OpenMetrics. Subjects are copied once, small; then the
 * page is made piece by piece, so that ten thousand containers never stand in memory as text.
 *
 *   masu_container_<metric>_<unit>[_total]{container=,path=,runtime=}   masu_host_<metric>…
 * masu_interface_<metric>…{interface=}
 */

#include "base/buf.h"
#include "model/metric.h"
#include "model/view.h"
#include <stdbool.h>

enum openmetrics_format { OPENMETRICS_PROMETHEUS, OPENMETRICS_OPENMETRICS };

/* By the request's Accept header; NULL is legal. */
enum openmetrics_format openmetrics_negotiate(const char *accept);
const char *openmetrics_content_type(enum openmetrics_format format);

/* A number about masu itself. Those of one name follow each other. Texts are static. */
struct openmetrics_self {
    const char *name; /* "masu_agent_ticks": without "_total" */
    const char *help;
    enum metric_kind kind;
    const char *unit;                /* how the name ends: "seconds", "bytes", or "" */
    const char *label, *label_value; /* NULL: none */
    double value;
};

struct openmetrics;                                                  /* opaque */
struct openmetrics *openmetrics_new(enum openmetrics_format format); /* NULL: out of memory */
struct openmetrics *openmetrics_free(struct openmetrics *page);
/* Copies what the page needs. 0 or -ENOMEM. */
MUST_USE int openmetrics_add(struct openmetrics *page, const struct view *view);
MUST_USE int openmetrics_add_self(struct openmetrics *page, const struct openmetrics_self *self);
/* Appends the next piece, somewhat more than @limit bytes at most; call again while it returns true. */
bool openmetrics_next(struct openmetrics *page, size_t limit, struct buf *out);
