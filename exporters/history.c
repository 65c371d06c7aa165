#include "exporters/history.h"

#include "base/str.h"
#include "exporters/rrd_file.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <rrd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 50, TRY_AGAIN_USEC = 20000, POINTS_MOST = 1500, WHY_MAX = 128 };

int history_limit_of(enum metric_id metric)
{
    static const struct {
        enum metric_id metric, limit;
    } limits[] = {
        {METRIC_CPU_USAGE, METRIC_CPU_LIMIT},
        {METRIC_MEMORY_USAGE, METRIC_MEMORY_LIMIT},
        {METRIC_MEMORY_ANON, METRIC_MEMORY_LIMIT},
    };

    for (unsigned i = 0; i < ARRAY_LEN(limits); i++)
        if (limits[i].metric == metric)
            return (int)limits[i].limit;
    return -1;
}

/* What one file says for a span. */
struct series {
    int64_t first_s; /* time of the first point */
    uint64_t step_s;
    size_t count, width; /* points, columns */
    char **names;
    rrd_value_t *values;
};

static void series_fini(struct series *series)
{
    for (size_t i = 0; i < series->width; i++)
        rrd_freemem(series->names[i]);
    rrd_freemem(series->names);
    rrd_freemem(series->values);
    *series = (struct series){0};
}

/* The archiver may be writing the file at this moment: its lock is held for less than a millisecond. */
static int fetch(const char *path, const char *function, const struct history_query *query,
                 struct series *ret, char *why, size_t why_size)
{
    for (int tries = 0; tries < TRIES; tries++) {
        /* rrd_fetch answers from the row that holds its start to the one after its end */
        time_t start = query->from_s, end = query->to_s;
        unsigned long step = (unsigned long)((query->to_s - query->from_s) / POINTS_MOST), width;

        rrd_clear_error();
        if (step == 0)
            step = 1;
        if (rrd_fetch_r(path, function, &start, &end, &step, &width, &ret->names, &ret->values) == 0) {
            ret->first_s = start + (int64_t)step;
            ret->step_s = step;
            ret->width = width;
            ret->count = (size_t)(end - start) / step;
            return 0;
        }
        str_copy(why, why_size, rrd_get_error());
        if (!strstr(why, "could not lock"))
            return -EIO;
        usleep(TRY_AGAIN_USEC);
    }
    return -EAGAIN;
}

static double value_at(const struct series *series, int64_t at_s, int column)
{
    int64_t index = series->step_s ? (at_s - series->first_s) / (int64_t)series->step_s : -1;

    if (column < 0 || index < 0 || (size_t)index >= series->count)
        return NAN;
    return series->values[(size_t)index * series->width + (size_t)column];
}

static int column_of(const struct series *series, int metric)
{
    for (size_t i = 0; metric >= 0 && i < series->width; i++)
        if (strcmp(series->names[i], metrics[metric].rrd) == 0)
            return (int)i;
    return -1;
}

static void put_number(struct buf *out, double value)
{
    if (isfinite(value))
        buf_printf(out, "%.10g", value);
    else
        buf_puts(out, "null");
}

static void put_series(struct buf *out, const struct history_query *query, const struct series *averages,
                       const struct series *peaks)
{
    int limit = history_limit_of(query->metric);
    int column = column_of(averages, (int)query->metric), peak = column_of(peaks, (int)query->metric);
    int limit_column = column_of(averages, limit);
    const char *between = "";

    buf_printf(out, "{\"metric\":\"%s\",\"unit\":\"%s\",\"step\":%" PRIu64 ",\"points\":[",
               metrics[query->metric].name, metric_shown_unit(query->metric),
               averages->step_s ? averages->step_s : query->step_s);
    for (size_t i = 0; i < averages->count; i++, between = ",") {
        int64_t at_s = averages->first_s + (int64_t)(i * averages->step_s);
        buf_printf(out, "%s[%" PRId64 ",", between, at_s);
        put_number(out, value_at(averages, at_s, column));
        buf_putc(out, ',');
        put_number(out, value_at(peaks, at_s, peak));
        buf_putc(out, ']');
    }
    buf_puts(out, limit < 0 ? "],\"limit\":null" : "],\"limit\":[");
    between = "";
    for (size_t i = 0; limit >= 0 && i < averages->count; i++, between = ",") {
        int64_t at_s = averages->first_s + (int64_t)(i * averages->step_s);
        buf_printf(out, "%s[%" PRId64 ",", between, at_s);
        put_number(out, value_at(averages, at_s, limit_column));
        buf_putc(out, ']');
    }
    buf_puts(out, limit < 0 ? "}" : "]}");
}

bool history_has_limit(const struct history_query *query)
{
    char path[RRD_PATH_MAX], why[WHY_MAX];
    struct series averages = {0};
    int limit = history_limit_of(query->metric);
    bool found = false;

    if (limit < 0 || !rrd_file_path(query->files_dir, query->key, FOLD_AVERAGE, path) ||
        fetch(path, "AVERAGE", query, &averages, why, sizeof why))
        return false;
    int column = column_of(&averages, limit);
    for (size_t i = 0; i < averages.count; i++)
        found |=
            isfinite(value_at(&averages, averages.first_s + (int64_t)(i * averages.step_s), column)) != 0;
    series_fini(&averages);
    return found;
}

int history_json(const struct history_query *query, struct buf *out, char *why, size_t why_size)
{
    char average_path[RRD_PATH_MAX], peak_path[RRD_PATH_MAX];
    struct series averages = {0}, peaks = {0};
    int r = 0;

    if (!rrd_file_path(query->files_dir, query->key, FOLD_AVERAGE, average_path) ||
        !rrd_file_path(query->files_dir, query->key, FOLD_PEAK, peak_path)) {
        str_copy(why, why_size, "no such name in the archive");
        return -ENOENT;
    }
    if (access(average_path, R_OK) == 0)
        r = fetch(average_path, "AVERAGE", query, &averages, why, why_size);
    else if (errno != ENOENT)
        r = -errno;
    if (r == 0 && averages.count > 0 && metrics[query->metric].peak && access(peak_path, R_OK) == 0)
        r = fetch(peak_path, "MAX", query, &peaks, why, why_size);
    if (r == 0)
        put_series(out, query, &averages, &peaks);
    series_fini(&averages);
    series_fini(&peaks);
    return r == 0 ? buf_error(out) : r;
}
