#pragma once
/* One key of the archive: its open step, and the points that its files do not have yet. Used by archive.c. */

#include "exporters/rrd_file.h"

struct archive_subject {
    char *key; /* owned */
    struct fold fold;
    uint64_t cgroup_ids[16]; /* of the subject that was folded last */
    uint64_t born_wall_ns;   /* of the first of those known here */
    unsigned live;           /* slots that are this subject now */
    /* points to be written, encoded */
    struct buf texts[FOLD_KINDS];
    unsigned count;
    int64_t first_s, last_s; /* times of the first waiting point and of the newest one ever made; 0: none */
    /* the files */
    bool has_files;
    int64_t file_s;       /* their last point */
    uint64_t due_mono_ns; /* for a flush */
    /* journal segments that hold what is not in the files yet */
    uint64_t points_segment, step_segment;
};

struct archive_subject *archive_subject_new(const char *key); /* NULL: out of memory */
struct archive_subject *archive_subject_free(struct archive_subject *subject);

struct archive_place {
    const char *dir;
    const struct fold_config *config;
    uint64_t segment; /* of the row that is being folded */
};
void archive_subject_add(struct archive_subject *subject, const struct archive_place *place,
                         const struct row *row);
/* Ends the open step when its time is over. */
void archive_subject_close_step(struct archive_subject *subject, const struct archive_place *place,
                                uint64_t wall_ns);
/* The oldest segment that a replay needs for this subject; UINT64_MAX: none. */
uint64_t archive_subject_segment(const struct archive_subject *subject);
/* Whether its files are there already. */
bool archive_subject_has_files(const struct archive_subject *subject, const char *dir);
/* Makes the files, or finds them. enum rrd_file_result. */
MUST_USE int archive_subject_prepare(struct archive_subject *subject, const struct archive_place *place,
                                     char why[static RRD_WHY_MAX]);
/* Writes the waiting points. They are kept when the result is RRD_FILE_BUSY, else dropped. enum
 * rrd_file_result. */
MUST_USE int archive_subject_flush(struct archive_subject *subject, const struct archive_place *place,
                                   char why[static RRD_WHY_MAX]);
void archive_subject_drop_points(struct archive_subject *subject);
