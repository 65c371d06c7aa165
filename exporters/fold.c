#include "exporters/fold.h"

#include "base/clock.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_SLACK_NS (500 * NSEC_PER_MSEC) /* more than a clock is slewed between two rows */

static void add_column(struct fold_columns *columns, uint16_t id)
{
    columns->scale[columns->count] = 1 / metric_unit_scale(metrics[id].unit);
    columns->metrics[columns->count++] = id;
}

const struct fold_columns *fold_columns(enum fold_kind kind)
{
    static struct fold_columns columns[FOLD_KINDS];

    if (columns[FOLD_AVERAGE].count == 0)
        for (uint16_t id = 0; id < METRIC_N; id++) {
            if (metrics[id].rrd)
                add_column(&columns[FOLD_AVERAGE], id);
            if (metrics[id].rrd && metrics[id].peak)
                add_column(&columns[FOLD_PEAK], id);
        }
    return &columns[kind];
}

static void clear_step(struct fold *fold)
{
    memset(fold->weight, 0, sizeof fold->weight);
    memset(fold->sum, 0, sizeof fold->sum);
    memset(fold->peak, 0, sizeof fold->peak);
}

void fold_init(struct fold *fold)
{
    *fold = (struct fold){.step = -1, .closed = -1};
}

void fold_break(struct fold *fold)
{
    fold->has_last = false;
}

static void tell(struct fold *fold, const struct fold_config *config, fold_point_fn *fn, void *owner)
{
    struct fold_point point = {.end_s = (fold->step + 1) * (int64_t)(config->step_ns / NSEC_PER_SEC)};

    for (unsigned id = 0; id < METRIC_N; id++) {
        bool known = fold->weight[id] > 0;
        point.average[id] = known ? fold->sum[id] / fold->weight[id] : NAN;
        point.peak[id] = known ? fold->peak[id] : NAN;
    }
    fold->closed = fold->step;
    fold->step = -1;
    clear_step(fold);
    fn(owner, &point);
}

void fold_close(struct fold *fold, const struct fold_config *config, uint64_t wall_ns, fold_point_fn *fn,
                void *owner)
{
    if (fold->step >= 0 && wall_ns >= (uint64_t)(fold->step + 1) * config->step_ns)
        tell(fold, config, fn, owner);
}

/* Whether @row continues the row before it. */
static bool continues(const struct fold *fold, const struct fold_config *config, const struct row *row)
{
    if (!fold->has_last || row->mono_ns <= fold->last.mono_ns || row->wall_ns <= fold->last.wall_ns)
        return false;
    uint64_t mono_ns = row->mono_ns - fold->last.mono_ns;
    int64_t jump_ns = (int64_t)(row->wall_ns - fold->last.wall_ns) - (int64_t)mono_ns;
    return mono_ns <= config->gap_ns && llabs(jump_ns) <= (int64_t)CLOCK_SLACK_NS;
}

/* What a row says of each column, in exported units; NAN when nothing. */
static void values_of(const struct row *before, const struct row *row, double values[METRIC_N])
{
    const struct fold_columns *columns = fold_columns(FOLD_AVERAGE);
    double per_s = 1e9 / (double)(row->mono_ns - before->mono_ns);

    for (unsigned i = 0; i < columns->count; i++) {
        enum metric_id id = columns->metrics[i];
        bool is_counter = metrics[id].kind == METRIC_COUNTER;

        values[i] = NAN;
        if (!row_has(row, id))
            continue;
        if (!is_counter)
            values[i] = (double)row->values[id] * columns->scale[i];
        else if (row_has(before, id) && row->values[id] >= before->values[id])
            values[i] = (double)(row->values[id] - before->values[id]) * per_s * columns->scale[i];
    }
}

static void weigh(struct fold *fold, const double values[METRIC_N], double seconds)
{
    const struct fold_columns *columns = fold_columns(FOLD_AVERAGE);

    for (unsigned i = 0; i < columns->count; i++) {
        unsigned id = columns->metrics[i];
        if (isnan(values[i]))
            continue;
        fold->sum[id] += values[i] * seconds;
        fold->weight[id] += seconds;
        if (values[i] > fold->peak[id])
            fold->peak[id] = values[i];
    }
}

void fold_add(struct fold *fold, const struct fold_config *config, const struct row *row, fold_point_fn *fn,
              void *owner)
{
    double values[METRIC_N];

    if (continues(fold, config, row)) {
        values_of(&fold->last, row, values);
        for (uint64_t from_ns = fold->last.wall_ns; from_ns < row->wall_ns;) {
            int64_t step = (int64_t)(from_ns / config->step_ns);
            uint64_t end_ns = (uint64_t)(step + 1) * config->step_ns;
            uint64_t to_ns = end_ns < row->wall_ns ? end_ns : row->wall_ns;

            if (step > fold->step && fold->step >= 0)
                tell(fold, config, fn, owner);
            if (step > fold->closed && step >= fold->step) {
                fold->step = step;
                weigh(fold, values, (double)(to_ns - from_ns) / 1e9);
            }
            from_ns = to_ns;
        }
    }
    fold_close(fold, config, row->wall_ns, fn, owner);
    fold->last = *row;
    fold->has_last = true;
}
