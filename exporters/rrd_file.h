#pragma once
/*
 * The archive's files: for each key two RRDs, averages (AVERAGE) and peaks (MAX), with one data source per
 * archived metric and archives of 6 hours, 2 days, 31 days and 400 days. Values are in exported units,
 * counters per second, so any RRD tool can read them. A file made by a build with fewer metrics, or with
 * another step, is made anew from the old one when it is prepared; columns are only ever added.
 */

#include "base/attrs.h"
#include "base/buf.h"
#include "exporters/fold.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    RRD_PATH_MAX = 4096,
    RRD_WHY_MAX = 256,
};

/* DIR/KEY.avg.rrd or .peak.rrd: bytes of the key other than letters, digits, '-', '_' and '.' (not first)
   become %XX; what is longer than a file name may be goes into folders whose names end in '%'. No two keys
   share a name. False when it does not fit. */
bool rrd_file_path(const char *dir, const char *key, enum fold_kind kind, char path[static RRD_PATH_MAX]);
/* The key that a file's path below DIR stands for; false when it is no archive file. */
bool rrd_file_key(const char *relative_path, char *key, size_t size);

enum rrd_file_result {
    RRD_FILE_OK = 0,
    RRD_FILE_BUSY = 1, /* a reader holds it now: try again */
    RRD_FILE_MISSING = 2,
    RRD_FILE_FAILED = 3, /* why says what librrd said */
};

/* Makes the file unless it is there, with points after @first_s; makes it anew when its columns or step
   differ. *ret_last_s: the time of its last point. enum rrd_file_result. */
MUST_USE int rrd_file_prepare(const char *path, enum fold_kind kind, unsigned step_s, int64_t first_s,
                              int64_t *ret_last_s, char why[static RRD_WHY_MAX]);

/* Appends the point as text for rrd_file_update, with its terminating NUL. */
void rrd_file_encode(const struct fold_point *point, enum fold_kind kind, struct buf *out);
/* Adds @count points, encoded one after the other at @texts; those that are not newer than the last one are
   skipped. enum rrd_file_result. */
MUST_USE int rrd_file_update(const char *path, const char *texts, unsigned count,
                             char why[static RRD_WHY_MAX]);
