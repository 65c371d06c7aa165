#include "exporters/graph.h"

#include "base/str.h"
#include "exporters/rrd_file.h"
#include <errno.h>
#include <inttypes.h>
#include <rrd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ARGUMENTS_MAX = 96,
    WIDTH_LEAST = 320,
    HEIGHT_LEAST = 160,
    TRIES = 50,
    TRY_AGAIN_USEC = 20000,
};

/* How the values of a metric are shown. */
struct look {
    const char *axis;   /* "cores" */
    const char *format; /* of a value in the legend */
    unsigned base;      /* 1024 or 1000 */
    bool scaled;        /* with k, M, G */
    bool percent;       /* a share of time is shown in percent */
};

static struct look look_of(enum metric_id id)
{
    const struct metric *metric = &metrics[id];
    bool is_rate = metric->kind == METRIC_COUNTER;

    switch (metric->unit) {
    case METRIC_BYTES:
        return is_rate ? (struct look){"bytes per second", "%.1lf %sB/s", 1000, true, false}
                       : (struct look){"bytes (1 k = 1024)", "%.1lf %s", 1024, true, false};
    case METRIC_USEC:
        if (metric_is_cpu_time(id))
            return (struct look){"cores", "%.2lf", 1000, false, false};
        return (struct look){"% of time", "%.1lf %%", 1000, false, true};
    case METRIC_CORES_PPM:
        return (struct look){"cores", "%.2lf", 1000, false, false};
    case METRIC_COUNT:
        return (struct look){is_rate ? "per second" : "", is_rate ? "%.1lf" : "%.0lf", 1000, false, false};
    case METRIC_LEVEL:
        return (struct look){"level", "%1.0lf", 1000, false, false};
    }
    return (struct look){"", "%g", 1000, false, false};
}

/* --- the arguments of rrd_graph --- */

struct arguments {
    int count;
    bool failed;
    char *items[ARGUMENTS_MAX];
};

static void add(struct arguments *arguments, const char *format, ...) PRINTF_LIKE(2, 3);

static void add(struct arguments *arguments, const char *format, ...)
{
    va_list args;

    if (arguments->count == ARGUMENTS_MAX) {
        arguments->failed = true;
        return;
    }
    va_start(args, format);
    if (vasprintf(&arguments->items[arguments->count], format, args) < 0)
        arguments->failed = true;
    else
        arguments->count++;
    va_end(args);
}

static void arguments_fini(struct arguments *arguments)
{
    while (arguments->count > 0)
        free(arguments->items[--arguments->count]);
}

/* A path or a text with what rrd_graph takes for a separator quoted. */
static const char *quoted(const char *text, char *to, size_t size)
{
    size_t at = 0;

    for (; *text && at + 3 < size; text++) {
        if (*text == ':' || *text == '\\')
            to[at++] = '\\';
        to[at++] = *text;
    }
    to[at] = '\0';
    return to;
}

static void add_paper(struct arguments *arguments, const struct graph_query *query, const struct look *look)
{
    static const char *const colors[] = {"BACK#ffffff",    "CANVAS#ffffff", "SHADEA#ffffff", "SHADEB#ffffff",
                                         "GRID#e8ebef",    "MGRID#ced4da",  "FONT#343a40",   "AXIS#adb5bd",
                                         "FRAME#ffffff00", "ARROW#ffffff00"};
    const struct history_query *history = &query->history;

    add(arguments, "graph");
    add(arguments, "-");
    add(arguments, "--imgformat=%s", query->svg ? "SVG" : "PNG");
    add(arguments, "--start=%" PRId64, history->from_s);
    add(arguments, "--end=%" PRId64, history->to_s);
    add(arguments, "--width=%u", query->width > WIDTH_LEAST ? query->width : WIDTH_LEAST);
    add(arguments, "--height=%u", query->height > HEIGHT_LEAST ? query->height : HEIGHT_LEAST);
    add(arguments, "--full-size-mode");
    add(arguments, "--title=%s · %s", query->title, metrics[history->metric].help);
    if (*look->axis)
        add(arguments, "--vertical-label=%s", look->axis);
    add(arguments, "--base=%u", look->base);
    if (!look->scaled)
        add(arguments, "--units-exponent=0");
    add(arguments, "--lower-limit=0");
    if (metrics[history->metric].unit == METRIC_LEVEL) {
        add(arguments, "--upper-limit=4");
        add(arguments, "--y-grid=1:1");
        add(arguments, "--left-axis-format=%%.0lf");
    }
    add(arguments, "--border=0");
    add(arguments, "--disable-rrdtool-tag");
    add(arguments, "--dynamic-labels");
    add(arguments, "--grid-dash=1:0");
    add(arguments, "--slope-mode");
    add(arguments, "--font=DEFAULT:8:DejaVu Sans");
    add(arguments, "--font=TITLE:10:DejaVu Sans");
    add(arguments, "--font=LEGEND:8:DejaVu Sans Mono");
    for (unsigned i = 0; i < ARRAY_LEN(colors); i++)
        add(arguments, "--color=%s", colors[i]);
}

static void add_data(struct arguments *arguments, const struct look *look, const char *name, const char *path,
                     enum metric_id metric, const char *function)
{
    char quoted_path[2 * RRD_PATH_MAX];

    add(arguments, "DEF:%s_raw=%s:%s:%s", name, quoted(path, quoted_path, sizeof quoted_path),
        metrics[metric].rrd, function);
    add(arguments, "CDEF:%s=%s_raw,%u,*", name, name, look->percent ? 100U : 1U);
}

static void add_figures(struct arguments *arguments, const struct look *look, const char *name,
                        const char *const functions[], const char *const labels[])
{
    for (unsigned i = 0; functions[i]; i++) {
        add(arguments, "VDEF:%s_%s=%s,%s", name, functions[i], name, functions[i]);
        add(arguments, "GPRINT:%s_%s:%s %s%s", name, functions[i], labels[i], look->format,
            functions[i + 1] ? "  " : "\\l");
    }
}

static void add_series(struct arguments *arguments, const struct graph_query *query, const struct look *look,
                       const char *average_path, const char *peak_path)
{
    static const char *const functions[] = {"LAST", "AVERAGE", "MAXIMUM", NULL};
    static const char *const labels[] = {"now", "mean", "highest", NULL};
    static const char *const peak_functions[] = {"MAXIMUM", NULL};
    static const char *const peak_labels[] = {"highest", NULL};
    static const char *const limit_functions[] = {"LAST", NULL};
    enum metric_id metric = query->history.metric;
    int limit = history_limit_of(metric);
    bool has_peak = metrics[metric].peak && access(peak_path, R_OK) == 0;

    add_data(arguments, look, "average", average_path, metric, "AVERAGE");
    add(arguments, "AREA:average#2f6fde2e");
    add(arguments, "LINE1.5:average#2f6fde:average");
    add_figures(arguments, look, "average", functions, labels);
    if (has_peak) {
        add_data(arguments, look, "peak", peak_path, metric, "MAX");
        add(arguments, "CDEF:band=peak,average,-");
        add(arguments, "AREA:average#ffffff00");
        add(arguments, "AREA:band#f0883e24::STACK");
        add(arguments, "LINE1:peak#e8771f:peak   ");
        add_figures(arguments, look, "peak", peak_functions, peak_labels);
    }
    if (history_has_limit(&query->history)) { /* else its legend would say "nan" */
        add_data(arguments, look, "limit", average_path, (enum metric_id)limit, "AVERAGE");
        add(arguments, "CDEF:headroom=limit,1.08,*"); /* else the line lies on the frame */
        add(arguments, "LINE0:headroom#ffffff00");
        add(arguments, "LINE2:limit#d1242f:limit  :dashes=6,4");
        add_figures(arguments, look, "limit", limit_functions, labels);
    }
}

/* --- drawing --- */

static int take_image(const rrd_info_t *info, struct buf *out)
{
    for (; info; info = info->next)
        if (strcmp(info->key, "image") == 0 && info->type == RD_I_BLO) {
            buf_append(out, info->value.u_blo.ptr, info->value.u_blo.size);
            return buf_error(out);
        }
    return -EIO;
}

/* The archiver may be writing a file at this moment: its lock is held for less than a millisecond. */
static int draw(struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
    for (int tries = 0; tries < TRIES; tries++) {
        rrd_clear_error();
        rrd_info_t *info = rrd_graph_v(arguments->count, arguments->items);
        if (info) {
            int r = take_image(info, out);
            rrd_info_free(info);
            return r;
        }
        str_copy(why, why_size, rrd_get_error());
        if (!strstr(why, "could not lock"))
            return -EIO;
        usleep(TRY_AGAIN_USEC);
    }
    return -EAGAIN;
}

int graph_draw(const struct graph_query *query, struct buf *out, char *why, size_t why_size)
{
    const struct history_query *history = &query->history;
    struct look look = look_of(history->metric);
    char average_path[RRD_PATH_MAX], peak_path[RRD_PATH_MAX];
    struct arguments arguments = {0};

    if (!rrd_file_path(history->files_dir, history->key, FOLD_AVERAGE, average_path) ||
        !rrd_file_path(history->files_dir, history->key, FOLD_PEAK, peak_path) ||
        access(average_path, F_OK) < 0) {
        str_format(why, why_size, "the archive has no history of '%.200s' (yet)", history->key);
        return -ENOENT;
    }
    add_paper(&arguments, query, &look);
    add_series(&arguments, query, &look, average_path, peak_path);
    int r = arguments.failed ? -ENOMEM : draw(&arguments, out, why, why_size);
    arguments_fini(&arguments);
    return r;
}
