#pragma once
/* One sample of one subject: every metric at one moment, each with its have bit. */

#include "model/metric.h"

struct row {
    uint64_t mono_ns; /* when it was read */
    uint64_t wall_ns;
    uint64_t have[METRIC_HAVE_WORDS];
    uint64_t values[METRIC_N];
};

static inline bool row_has(const struct row *r, enum metric_id id)
{
    return (r->have[id / 64] >> (id % 64)) & 1;
}

static inline void row_set(struct row *r, enum metric_id id, uint64_t value)
{
    r->values[id] = value;
    r->have[id / 64] |= UINT64_C(1) << (id % 64);
}

static inline void row_unset(struct row *r, enum metric_id id)
{
    r->values[id] = 0;
    r->have[id / 64] &= ~(UINT64_C(1) << (id % 64));
}

/* The growth of counter @id per second between two rows, in stored units; negative when it cannot be told
   (absent in either, no time passed, or the counter went back). */
double row_rate(const struct row *before, const struct row *now, enum metric_id id);
