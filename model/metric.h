#pragma once
/*
 * The metric table: one row per number masu keeps about a group, a host or an interface.
 * Generated from model/metric.def: enum metric_id, metrics[]. Adding a number is adding a row.
 * Values are uint64_t in the row's stored unit; whether a value is there at all is a have bit of the row.
 */

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>

enum metric_id {
#define METRIC(id, ...) METRIC_##id,
#include "model/metric.def"
#undef METRIC
    METRIC_N,
};

enum {
    METRIC_HAVE_WORDS = 2,
    METRIC_RRD_NAME_MAX = 19, /* librrd's limit for a data source name */
};
_Static_assert(METRIC_N <= 64 * METRIC_HAVE_WORDS, "a row has one have bit per metric");

enum metric_kind {
    METRIC_COUNTER, /* only grows while its group lives; kept raw, rates are made by whoever shows them */
    METRIC_GAUGE,
};

/* How the number is stored; exports convert to base units (seconds, bytes). */
enum metric_unit {
    METRIC_USEC, /* microseconds of time */
    METRIC_BYTES,
    METRIC_COUNT,     /* things: tasks, packets, events */
    METRIC_CORES_PPM, /* millionths of a core */
    METRIC_LEVEL,     /* enum level */
};

/* Where the number stands in the kernel's text. */
enum metric_form {
    METRIC_FORM_NONE = 0, /* not available on this version */
    METRIC_FORM_VALUE,    /* the file is one number; "max" and v1's unlimited (>= 2^62) are absent */
    METRIC_FORM_FLAT,     /* "key value" lines */
    METRIC_FORM_NESTED,   /* "MAJ:MIN key=value ..." lines: the sum of key over the lines */
    METRIC_FORM_BLKIO,    /* "MAJ:MIN Key value" lines: the sum over the devices */
    METRIC_FORM_PSI,      /* "some|full avg10=.. total=N": total of the line named by key */
    METRIC_FORM_LINK,     /* from rtnetlink link statistics; key names the field */
    METRIC_FORM_AGENT,    /* filled by core: limits in force and the pressure level */
};

struct metric_source {
    enum metric_form form;
    const char
        *controller; /* "cpuacct"; "" for files of the v2 core (present in hybrid's unified tree too) */
    const char *file;
    const char *key;
    uint32_t divide; /* stored value = kernel value / divide; 0 means 1 */
};

struct metric {
    const char *name; /* "cpu_usage": JSON key and, with its unit, the OpenMetrics name */
    enum metric_kind kind;
    enum metric_unit unit;
    const char *help; /* one sentence without full stop */
    struct metric_source v1, v2;
    const char *rrd; /* data source name, NULL when not archived; never renamed, only appended */
    bool peak;       /* the highest value within 10 s is archived too */
    bool along;      /* moves only when some other number of the group does, since its own tasks move it */
    const char
        *group; /* heading in docs and dashboard: "cpu", "memory", "io", "pids", "pressure", "network" */
};

extern const struct metric metrics[METRIC_N];

/* The id of @name, or -1. */
int metric_find(const char *name);
/* "masu_container_cpu_usage_seconds_total" with prefix "masu_container_". Returns buf. */
const char *metric_openmetrics_name(enum metric_id id, const char *prefix, char *buf, size_t size);
/* The exported unit: "seconds", "bytes", "cores", or "" for counts and levels. */
const char *metric_unit_name(enum metric_unit unit);
/* Of what its history and graphs show: that of a gauge, and of a counter that of its growth, "cores" for CPU
 * time, "bytes per second". */
const char *metric_shown_unit(enum metric_id id);
/* Whether it counts time that CPUs ran: so many seconds of it per second are so many cores. */
bool metric_is_cpu_time(enum metric_id id);
/* Stored units per exported unit: 1e6 for METRIC_USEC and METRIC_CORES_PPM, else 1. */
double metric_unit_scale(enum metric_unit unit);
