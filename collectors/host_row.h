#pragma once
/*
 * The host's own row, from /proc: what the root groups would say, at a fraction of their cost, and what they
 * do not say.
 */

#include "base/attrs.h"
#include "collectors/block.h"
#include "model/row.h"

struct host_row; /* opaque */

/* @proc_root: "" or a fixture directory that holds proc/. NULL: out of memory. */
struct host_row *host_row_new(const char *proc_root);
struct host_row *host_row_free(struct host_row *h);

/* Sets the metrics that /proc has; a file that is missing leaves its metrics unset. 0, or -errno when not
 * even /proc/stat can be read. */
MUST_USE int host_row_read(struct host_row *h, struct block *block, struct row *row);
