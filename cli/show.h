#pragma once
/* How numbers of the API read to people, and the ways every command prints. */

#include "base/units.h"
#include "cli/table.h"
#include <jansson.h>

enum { SHOW_MAX = 48 };

/* Each writes to buf and returns it; what is absent (NULL, null) is "-". */
const char *show_bytes(const json_t *value, char buf[static SHOW_MAX]);      /* three digits: "3.62MiB" */
const char *show_rate(const json_t *bytes_per_s, char buf[static SHOW_MAX]); /* "4.10kB/s" */
const char *show_limit(const json_t *bytes, char buf[static SHOW_MAX]); /* as a policy writes it: "64MiB" */
const char *show_cores(const json_t *cores, char buf[static SHOW_MAX]);
const char *show_count(const json_t *value, char buf[static SHOW_MAX]);
/* "1 write", "2 writes" */
const char *show_counted(double count, const char *one, const char *many, char buf[static SHOW_MAX]);
const char *show_seconds(double seconds, char buf[static SHOW_MAX]); /* "2.1ms", "3h" */
const char *show_age(double seconds, char buf[static SHOW_MAX]);     /* rounded: "5d", "3h 12m", "42s" */
const char *show_time(double unix_seconds,
                      char buf[static SHOW_MAX]); /* local, to the second; with the date when not of today */

/* The member of nested objects: show_member(container, "sample.metrics.memory_usage"), parts by '.'. NULL
 * when absent. */
const json_t *show_member(const json_t *object, const char *path);
/* Its text, or "". */
const char *show_text(const json_t *object, const char *path);
/* Its number, or @fallback. */
double show_number(const json_t *object, const char *path, double fallback);

/* Prints and releases. The exit code. */
int show_json(json_t *object);
int show_table(struct table *table);
int show_buf(struct buf *text);
