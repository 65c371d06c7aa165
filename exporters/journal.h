#pragma once
/*
 * The journal: every frame of the bus, byte for byte, in append-only segments DIR/NNNNNNNN.mj of growing
 * numbers. It is the truth until the archive has folded a segment, and is replayed after a crash.
 *
 * A segment is a header and frames. It begins with a snapshot, frames of sequence 0 that say which subjects
 * were alive, so each segment can be decoded without those before it. Sequences belong to a life of the bus;
 * all frames of a segment are of one life. A batch is one write(2); what a crash leaves of a half-written one
 * is cut when the journal is opened, everything before it stays.
 */

#include "base/buf.h"
#include "model/frame.h"

struct journal_options {
    const char *dir;        /* made when it is not there */
    uint64_t max_bytes;     /* of all segments; the oldest are dropped beyond it */
    uint64_t segment_bytes; /* a segment is full beyond it (its snapshot not counted); 0: a sixteenth of
                               max_bytes */
    uint64_t sync_ns;       /* least time between two fdatasync */
};

/* What a segment's header says. */
struct journal_segment {
    uint64_t number;
    uint64_t life;
    uint64_t wall_ns; /* when it was begun */
    char boot_id[37];
};

struct journal; /* opaque */
/* Opens the newest segment for appending, its torn tail cut. 0 or -errno. */
MUST_USE int journal_open(const struct journal_options *options, struct journal **ret);
struct journal *journal_close(struct journal *journal); /* syncs first */

uint64_t journal_life(const struct journal *journal); /* of the newest segment; 0 when there is none */
uint64_t journal_last_sequence(
    const struct journal *journal); /* the newest of that life; 0 when there is none */
uint64_t journal_segment_number(const struct journal *journal); /* the newest; 0 when there is none */
uint64_t journal_bytes(const struct journal *journal);          /* of all segments */
uint64_t journal_cut_bytes(const struct journal *journal);      /* torn tail that journal_open cut */

/* Whether a segment must be started before frames of @life can be appended: there is none, it is full, or of
 * another life. */
bool journal_wants_segment(const struct journal *journal, uint64_t life);
/* Starts a segment (its number is chosen here) with @snapshot, then drops the oldest ones beyond max_bytes. 0
 * or -errno. */
MUST_USE int journal_start_segment(struct journal *journal, const struct journal_segment *segment,
                                   const struct buf *snapshot);
/* Appends whole frames. 0 or -errno; on failure (-ENOSPC) nothing was appended and the same may be tried
 * again. */
MUST_USE int journal_append(struct journal *journal, const struct buf *frames);
/* fdatasync when something was appended and sync_ns have passed since the last. 0 or -errno. */
MUST_USE int journal_sync(struct journal *journal, uint64_t now_mono_ns);
/* Segments below @number are no longer needed for a replay. */
void journal_folded(struct journal *journal, uint64_t number);
/* How many segments max_bytes forced to be dropped although they were needed. */
uint64_t journal_forced_drops(const struct journal *journal);

struct journal_iter; /* opaque */
enum journal_found {
    JOURNAL_END = 0,
    JOURNAL_SEGMENT = 1, /* a segment begins: *segment */
    JOURNAL_FRAME = 2,   /* header, payload (valid until the next call) */
};
struct journal_item {
    const struct journal_segment *segment;
    struct frame_header header;
    const void *payload;
};
/* Walks the segments numbered >= @from, oldest first. 0 or -errno. Needs read permission only. */
MUST_USE int journal_iter_open(const char *dir, uint64_t from, struct journal_iter **ret);
/* enum journal_found, or -errno. Bytes that are no frame are skipped up to the next whole one. */
MUST_USE int journal_iter_next(struct journal_iter *iter, struct journal_item *ret);
uint64_t journal_iter_skipped_bytes(const struct journal_iter *iter);
struct journal_iter *journal_iter_close(struct journal_iter *iter);

/* The numbers of the segments in @dir, ascending, on the heap. Their count or -errno (-ENOENT: no such
 * folder). */
MUST_USE int journal_list(const char *dir, uint64_t **ret_numbers);
