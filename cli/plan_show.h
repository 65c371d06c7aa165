#pragma once
/* A plan of the API as people read it. */

#include "cli/show.h"
#include <stdbool.h>

struct plan_totals {
    unsigned writes, groups, failed, refused;
};

/* Whether a write of it failed. */
bool plan_failed(const json_t *plan);
/* Appends the rows by group, with their outcomes where there are some, and the refusals. */
void plan_show(const json_t *plan, struct buf *out, struct plan_totals *ret);
