#pragma once
/*
 * Rows of one subject folded into points of the archive's step: of each archived metric its average over the
 * step and its highest value. Pure: rows in, points out, time is what the rows say.
 *
 * A row speaks for the time since the row before it: a gauge has its value there, a counter its rate. What a
 * step's rows say is weighted by time, so neither a late sample nor a step that is only partly covered
 * distorts the average. Where nothing can be said (no row before, too long ago, a counter that went back, a
 * clock that jumped) there is a gap, NAN when it fills the step. Time that was already told is not told
 * again: after the wall clock stepped back rows are left out until it has caught up.
 */

#include "model/row.h"

struct fold_config {
    uint64_t step_ns;
    uint64_t gap_ns; /* a row says nothing about the time before this */
};

/* Values are in exported units (model/metric.h), counters per second: cpu_usage is in cores. */
struct fold_point {
    int64_t end_s; /* Unix time of the step's end */
    double average[METRIC_N];
    double peak[METRIC_N]; /* of metrics with .peak */
};
typedef void fold_point_fn(void *owner, const struct fold_point *point);

struct fold {
    struct row last;
    bool has_last;
    int64_t step;   /* number of the open step since 1970; -1: none */
    int64_t closed; /* number of the last step that was told, -1: none */
    double weight[METRIC_N], sum[METRIC_N], peak[METRIC_N];
};

void fold_init(struct fold *fold);
/* Takes a row; calls @fn for each step that it ends. */
void fold_add(struct fold *fold, const struct fold_config *config, const struct row *row, fold_point_fn *fn,
              void *owner);
/* The next row does not continue the last one: the subject is another of the same name, or masu was away. */
void fold_break(struct fold *fold);
/* Tells the open step, if there is one that ended by @wall_ns. */
void fold_close(struct fold *fold, const struct fold_config *config, uint64_t wall_ns, fold_point_fn *fn,
                void *owner);

/* The archive's columns: metrics with .rrd in the table's order; those of peaks are fewer. */
enum fold_kind { FOLD_AVERAGE, FOLD_PEAK, FOLD_KINDS };
struct fold_columns {
    unsigned count;
    uint16_t metrics[METRIC_N];
    double scale[METRIC_N]; /* from stored to exported units */
};
const struct fold_columns *fold_columns(enum fold_kind kind);
