#pragma once
/*
 * The API's objects (docs/api.md), as jansson values. Numbers are in base units; what is absent is left out.
 * Each function returns a new reference, or NULL when out of memory.
 */

#include "model/event.h"
#include "model/plan.h"
#include "model/view.h"
#include <jansson.h>

/* Text for whole answers and stream lines: times to the microsecond, no more digits than were measured. */
#define JSON_DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(16))

/* What the stored values of this host mean. */
struct json_host {
    int cpu_version; /* of the hierarchy that holds cpu: 1 keeps weights as cpu.shares */
    /* Writes the name of a block device ("/dev/vda"); false: unknown, then "MAJOR:MINOR" stands. May be NULL.
     */
    bool (*device)(void *context, uint32_t device, char *name, size_t size);
    void *device_context;
    const char *(*mount)(void *context, uint32_t hierarchy); /* of a plan row; NULL: unknown. May be NULL. */
    void *mount_context;
};

/* Which members of a container are wanted: "path", "sample.rates", "sample.metrics.cpu_usage"; none given:
 * all. */
enum { JSON_FIELDS_MAX = 32, JSON_FIELD_SIZE = 64 };
struct json_fields {
    unsigned count;
    char items[JSON_FIELDS_MAX][JSON_FIELD_SIZE];
};
#define JSON_FIELDS_ALL ((struct json_fields){0})
/* Reads a comma-separated list. False: too many, too long, or the first part of one is no member of a
 * container. */
bool json_fields_parse(const char *text, struct json_fields *ret);

/* A string of any bytes: what is not UTF-8 becomes U+FFFD. */
json_t *json_text(const char *text);
/* Nanoseconds as seconds. */
json_t *json_seconds(uint64_t ns);

json_t *json_container(const struct json_host *host, const struct json_fields *fields,
                       const struct view *view);
json_t *json_interface(const struct view *view);
json_t *json_event(const struct event *event);
/* @outcomes is NULL before the plan was executed. */
json_t *json_plan(const struct json_host *host, const struct plan *plan,
                  const struct plan_outcomes *outcomes);
/* The metric table. */
json_t *json_metrics(void);
