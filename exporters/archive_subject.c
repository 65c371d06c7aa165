#include "exporters/archive_subject.h"

#include "base/clock.h"
#include "base/str.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct archive_subject *archive_subject_new(const char *key)
{
    struct archive_subject *subject = calloc(1, sizeof *subject);

    if (!subject)
        return NULL;
    fold_init(&subject->fold);
    subject->key = strdup(key);
    return subject->key ? subject : archive_subject_free(subject);
}

struct archive_subject *archive_subject_free(struct archive_subject *subject)
{
    if (subject) {
        archive_subject_drop_points(subject);
        free(subject->key);
        free(subject);
    }
    return NULL;
}

void archive_subject_drop_points(struct archive_subject *subject)
{
    for (int kind = 0; kind < FOLD_KINDS; kind++)
        buf_fini(&subject->texts[kind]);
    subject->count = 0;
    subject->first_s = 0;
}

struct adding {
    struct archive_subject *subject;
    const struct archive_place *place;
};

static void put_point(struct archive_subject *subject, const struct fold_point *point)
{
    size_t before[FOLD_KINDS];

    for (int kind = 0; kind < FOLD_KINDS; kind++) {
        before[kind] = subject->texts[kind].len;
        rrd_file_encode(point, kind, &subject->texts[kind]);
    }
    if (buf_error(&subject->texts[FOLD_AVERAGE]) < 0 || buf_error(&subject->texts[FOLD_PEAK]) < 0) {
        for (int kind = 0; kind < FOLD_KINDS; kind++) {
            subject->texts[kind].len = before[kind];
            subject->texts[kind].error = 0;
        }
        return; /* out of memory: a gap */
    }
    if (subject->count++ == 0) {
        subject->first_s = point->end_s;
        subject->points_segment = subject->step_segment;
    }
    subject->last_s = point->end_s;
}

/* RRD takes a point for all the time since the one before it, so a gap is said: the step before @point is
 * unknown. */
static void put_gap(struct archive_subject *subject, const struct fold_point *point, int64_t step_s)
{
    struct fold_point gap = {.end_s = point->end_s - step_s};

    for (unsigned id = 0; id < METRIC_N; id++)
        gap.average[id] = gap.peak[id] = NAN;
    put_point(subject, &gap);
}

static void on_point(void *owner, const struct fold_point *point)
{
    const struct adding *adding = owner;
    struct archive_subject *subject = adding->subject;
    int64_t step_s = (int64_t)(adding->place->config->step_ns / NSEC_PER_SEC);
    int64_t before_s = subject->last_s > 0 ? subject->last_s : subject->file_s;

    if (subject->has_files && point->end_s <= subject->file_s)
        return; /* replayed, and written before */
    if (before_s > 0 && point->end_s - step_s > before_s)
        put_gap(subject, point, step_s);
    put_point(subject, point);
}

void archive_subject_add(struct archive_subject *subject, const struct archive_place *place,
                         const struct row *row)
{
    struct adding adding = {subject, place};
    int64_t step = subject->fold.step;

    fold_add(&subject->fold, place->config, row, on_point, &adding);
    if (subject->fold.step != step)
        subject->step_segment = place->segment;
}

void archive_subject_close_step(struct archive_subject *subject, const struct archive_place *place,
                                uint64_t wall_ns)
{
    struct adding adding = {subject, place};

    fold_close(&subject->fold, place->config, wall_ns, on_point, &adding);
}

uint64_t archive_subject_segment(const struct archive_subject *subject)
{
    if (subject->count > 0)
        return subject->points_segment;
    return subject->fold.step >= 0 ? subject->step_segment : UINT64_MAX;
}

bool archive_subject_has_files(const struct archive_subject *subject, const char *dir)
{
    char path[RRD_PATH_MAX];

    return subject->has_files ||
           (rrd_file_path(dir, subject->key, FOLD_AVERAGE, path) && access(path, F_OK) == 0);
}

int archive_subject_prepare(struct archive_subject *subject, const struct archive_place *place,
                            char why[static RRD_WHY_MAX])
{
    unsigned step_s = (unsigned)(place->config->step_ns / NSEC_PER_SEC);
    int64_t file_s[FOLD_KINDS];
    char path[RRD_PATH_MAX];

    if (subject->has_files)
        return RRD_FILE_OK;
    for (int kind = 0; kind < FOLD_KINDS; kind++) {
        if (!rrd_file_path(place->dir, subject->key, kind, path)) {
            str_copy(why, RRD_WHY_MAX, "its name is too long for a file");
            return RRD_FILE_FAILED;
        }
        int r = rrd_file_prepare(path, kind, step_s, subject->first_s - step_s, &file_s[kind], why);
        if (r != RRD_FILE_OK)
            return r;
    }
    subject->has_files = true;
    subject->file_s = file_s[FOLD_AVERAGE] < file_s[FOLD_PEAK] ? file_s[FOLD_AVERAGE] : file_s[FOLD_PEAK];
    return RRD_FILE_OK;
}

/* An older file ended long before the first waiting point: the step before that one is unknown, not like it.
 */
static int bridge(const struct archive_subject *subject, const char *path, enum fold_kind kind,
                  int64_t step_s, char why[static RRD_WHY_MAX])
{
    struct fold_point gap = {.end_s = subject->first_s - step_s};
    struct buf text = BUF_NULL;

    if (gap.end_s <= subject->file_s)
        return RRD_FILE_OK;
    for (unsigned id = 0; id < METRIC_N; id++)
        gap.average[id] = gap.peak[id] = NAN;
    rrd_file_encode(&gap, kind, &text);
    int r = buf_error(&text) < 0 ? RRD_FILE_FAILED : rrd_file_update(path, text.data, 1, why);
    buf_fini(&text);
    return r;
}

int archive_subject_flush(struct archive_subject *subject, const struct archive_place *place,
                          char why[static RRD_WHY_MAX])
{
    int64_t step_s = (int64_t)(place->config->step_ns / NSEC_PER_SEC);
    int r = subject->count == 0 ? RRD_FILE_OK : archive_subject_prepare(subject, place, why);

    for (int kind = 0; r == RRD_FILE_OK && subject->count > 0 && kind < FOLD_KINDS; kind++) {
        char path[RRD_PATH_MAX];
        (void)rrd_file_path(place->dir, subject->key, kind, path);
        r = bridge(subject, path, kind, step_s, why);
        if (r == RRD_FILE_OK)
            r = rrd_file_update(path, subject->texts[kind].data, subject->count, why);
    }
    if (r == RRD_FILE_MISSING)
        subject->has_files = false; /* removed by somebody: made anew the next time */
    if (r == RRD_FILE_BUSY || r == RRD_FILE_MISSING)
        return r;
    if (r == RRD_FILE_OK && subject->count > 0)
        subject->file_s = subject->last_s;
    archive_subject_drop_points(subject);
    return r;
}
