#pragma once
/* What the archive's files say of one metric, as the API's history object (docs/api.md). */

#include "base/buf.h"
#include "model/metric.h"
#include <stdbool.h>
#include <stdint.h>

struct history_query {
    const char *files_dir;
    const char *key;
    enum metric_id metric;
    int64_t from_s, to_s;
    uint32_t step_s; /* said when there are no files */
};

/* The metric that limits @metric and is drawn beside it, or -1. */
int history_limit_of(enum metric_id metric);

/* Whether that limit was known at some moment of the span. */
bool history_has_limit(const struct history_query *query);

/* Appends JSON text to @out; a key without files has no points. 0, or -errno with a sentence in @why. */
MUST_USE int history_json(const struct history_query *query, struct buf *out, char *why, size_t why_size);
