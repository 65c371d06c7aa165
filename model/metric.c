#include "model/metric.h"
#include "base/str.h"
#include <string.h>

const struct metric metrics[METRIC_N] = {
#define METRIC(id, ...) [METRIC_##id] = {__VA_ARGS__},
#include "model/metric.def"
#undef METRIC
};

static const struct {
    const char *name;
    const char *rate; /* of a counter's growth */
    double scale;
} units[] = {
    [METRIC_USEC] = {"seconds", "seconds per second", 1e6},
    [METRIC_BYTES] = {"bytes", "bytes per second", 1},
    [METRIC_COUNT] = {"", "per second", 1},
    [METRIC_CORES_PPM] = {"cores", "cores per second", 1e6},
    [METRIC_LEVEL] = {"", "per second", 1},
};

int metric_find(const char *name)
{
    for (int i = 0; i < METRIC_N; i++)
        if (strcmp(metrics[i].name, name) == 0)
            return i;
    return -1;
}

const char *metric_openmetrics_name(enum metric_id id, const char *prefix, char *buf, size_t size)
{
    const struct metric *metric = &metrics[id];
    char unit[16] = "";
    if (*units[metric->unit].name)
        str_format(unit, sizeof unit, "_%s", units[metric->unit].name);
    if (str_ends(metric->name, unit))
        unit[0] = '\0';
    str_format(buf, size, "%s%s%s%s", prefix, metric->name, unit,
               metric->kind == METRIC_COUNTER ? "_total" : "");
    return buf;
}

const char *metric_unit_name(enum metric_unit unit)
{
    return units[unit].name;
}

bool metric_is_cpu_time(enum metric_id id)
{
    return id == METRIC_CPU_USAGE || id == METRIC_CPU_USER || id == METRIC_CPU_SYSTEM ||
           id == METRIC_CPU_BURST;
}

const char *metric_shown_unit(enum metric_id id)
{
    const struct metric *metric = &metrics[id];

    if (metric_is_cpu_time(id))
        return "cores";
    return metric->kind == METRIC_COUNTER ? units[metric->unit].rate : units[metric->unit].name;
}

double metric_unit_scale(enum metric_unit unit)
{
    return units[unit].scale;
}
