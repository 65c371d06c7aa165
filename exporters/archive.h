#pragma once
/*
 * The archive: takes the bus's frames, keeps them in the journal, folds rows to points, and writes these to
 * the files of each subject, which are made when it has lived long enough. What was taken is in the journal
 * before it is anywhere else; what the files lack after a crash is folded again from the journal when the
 * archive is opened.
 *
 * STATE/journal/NNNNNNNN.mj, STATE/events/NNNNNNNN.mj, STATE/archive/KEY.{avg,peak}.rrd, STATE/folded (the
 * segment that a replay begins with).
 */

#include "base/buf.h"
#include "model/group.h"

enum { ARCHIVE_PATH_MAX = 512, ARCHIVE_TEXT_MAX = 320 };

struct archive_options {
    const char *state_dir;
    uint64_t step_ns, after_ns, flush_ns; /* settings archive.* */
    uint64_t interval_ns;                 /* between rows */
    uint64_t max_bytes, journal_max_bytes;
};

/* The folders below STATE that hold the files and the events. Return path. */
const char *archive_files_dir(const char *state_dir, char path[static ARCHIVE_PATH_MAX]);
const char *archive_events_dir(const char *state_dir, char path[static ARCHIVE_PATH_MAX]);

struct archive; /* opaque */
/* Opens or makes it, and folds again what the files lack. 0 or -errno. */
MUST_USE int archive_open(const struct archive_options *options, struct archive **ret);
struct archive *archive_close(
    struct archive *archive); /* without a flush: the journal has what the files lack */

/* The sequence of @life that it wants next. */
uint64_t archive_next_sequence(const struct archive *archive, uint64_t life);
/* Takes whole frames of @life, read one after the other. */
void archive_take(struct archive *archive, uint64_t life, const struct buf *frames);
/* Frames were lost: what is known of the slots no longer holds. @born has a frame of sequence 0 for each
 * subject that is alive. */
void archive_lost(struct archive *archive, uint64_t life, uint64_t count, const struct buf *born);
/* Once a second: syncs the journal, writes a few files whose points have waited long enough, keeps to the
 * bounds. */
void archive_tick(struct archive *archive, uint64_t now_mono_ns, uint64_t now_wall_ns);
/* Writes what is known of a key's finished steps to its files, which are made if need be. */
void archive_flush(struct archive *archive, const char *key);
/* The key under which the live subject @path is kept, when that is not group_archive_key (two of the same key
   are alive). NULL: none such. */
const char *archive_key_of_path(const struct archive *archive, const char *path);
/* Writes those that have files already, as many as can be until then: the journal keeps what the others lack.
 */
void archive_flush_all(struct archive *archive, uint64_t until_mono_ns);

/* The oldest thing that went wrong since the last call, as a sentence about what happens now; false when
 * nothing did. */
bool archive_trouble(struct archive *archive, char text[static ARCHIVE_TEXT_MAX]);

struct archive_stats {
    uint64_t rows, points, updates, files_made, frames_replayed, journal_bytes, cut_bytes, lost_frames;
    uint32_t subjects;
};
struct archive_stats archive_stats(const struct archive *archive);
