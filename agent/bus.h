#pragma once
/*
 * The bus: a memfd that core alone writes and the others map read-only. It holds a ring of frames
 * (model/frame.h; the bytes that the journal keeps) and a table of the latest view of each live subject.
 *
 * The parent makes it and keeps it over core's deaths: a new core goes on at the head, so no published frame
 * is lost. A frame is published by one store-release of the head; a reader that was lapped is told how much
 * it missed. Views are guarded by a sequence count each (odd while being written).
 *
 * Sequences count from 1 in each life of the bus; a life ends with the parent and has a random number that is
 * never 0. Event numbers start at the milliseconds of the wall clock at which the bus was made, so that they
 * grow over all lives.
 */

#include "base/buf.h"
#include "model/event.h"
#include "model/frame.h"
#include "model/view.h"

enum { BUS_VIEWS_MAX = 20000 };

/* Makes the memfd (0600; sealed SHRINK, GROW, SEAL) for a ring of @ring_bytes (rounded up to a power of two).
 **ret_fd is writable, ret_read_fd an O_RDONLY reopen. 0 or -errno. */
MUST_USE int bus_create(uint64_t ring_bytes, int *ret_fd, int *ret_read_fd);

/* What core says about itself, for status. Plain data, written whole under a sequence count. */
struct bus_status {
    uint64_t core_pid;
    uint64_t started_wall_ns;
    uint64_t interval_ns; /* in use; longer than asked for when sampling cannot keep up */
    uint32_t mode;        /* enum cgroup_mode */
    uint32_t hierarchy_count;
    struct {
        char mount[256];
        char controllers[160];
        uint32_t version;
        uint32_t device; /* as plan rows name it */
    } hierarchies[FRAME_HIERARCHIES_MAX];
    char sampler[16]; /* "files" */
    char watch[16];   /* "fanotify", "inotify" */
    uint32_t groups, managed, too_long;
    uint64_t ticks, tick_last_ns, tick_longest_ns;
    uint64_t turn_longest_ns, turn_longest_cpu_ns;
    uint64_t rescans, overflows;
    uint64_t plans, writes, writes_failed, refusals, drifts;
    uint32_t fds_kept, fds_budget;
    uint64_t policy_loaded_wall_ns;
    char policy_error[512]; /* why the newest policy was rejected, "" when it holds */
    uint32_t quotas;
    uint32_t enforce;
    uint32_t released; /* masu release --all holds */
};

struct bus_writer; /* opaque */
/* Maps the memfd read-write. 0, -EBADMSG when it is not a bus of this build, or -errno. Views that a killed
   writer left half written are free afterwards; the others stay until they are written or cleared. */
MUST_USE int bus_writer_open(int fd, struct bus_writer **ret);
struct bus_writer *bus_writer_close(struct bus_writer *writer);
uint64_t bus_writer_next_sequence(const struct bus_writer *writer);
uint64_t bus_writer_next_event(struct bus_writer *writer); /* event numbers, kept in the bus */
/* Publishes the whole frames in @frames, whose sequences start at bus_writer_next_sequence. */
void bus_publish(struct bus_writer *writer, const struct buf *frames);
/* The view of @slot (< BUS_VIEWS_MAX) for writing in place; every change stands between begin and end. */
struct view *bus_view_begin(struct bus_writer *writer, uint32_t slot);
void bus_view_end(struct bus_writer *writer, uint32_t slot);
void bus_view_clear(struct bus_writer *writer, uint32_t slot); /* the subject is gone */
/* What the writer, or the one before it that was killed, left: views of slots below the limit, NULL when the
   slot is free; the status, NULL when there is none. Borrowed until written. */
uint32_t bus_writer_view_limit(const struct bus_writer *writer);
const struct view *bus_view_peek(const struct bus_writer *writer, uint32_t slot);
const struct bus_status *bus_status_peek(const struct bus_writer *writer);
struct bus_status *bus_status_begin(struct bus_writer *writer);
void bus_status_end(struct bus_writer *writer);
/* Seconds of frames the ring holds at the rate seen so far; 0 while that cannot be told. */
double bus_ring_seconds(const struct bus_writer *writer);

struct bus_reader; /* opaque */
/* Maps read-only, at the oldest frame. 0, -EBADMSG when it is not a bus of this build, or -errno. */
MUST_USE int bus_reader_open(int fd, struct bus_reader **ret);
struct bus_reader *bus_reader_close(struct bus_reader *reader);
uint64_t bus_life(const struct bus_reader *reader);
/* Where the next bus_read begins: the oldest frame still held whose sequence is >= @sequence (0: the oldest
   of all, UINT64_MAX: only new ones). Returns how many frames >= @sequence were lost to the ring (0 for the
   special values). */
uint64_t bus_seek(struct bus_reader *reader, uint64_t sequence);
enum { BUS_NONE = 0, BUS_FRAMES = 1, BUS_LAPPED = 2 };
/* Appends whole frames (at most @limit bytes, at least one frame) to @out. BUS_NONE, BUS_FRAMES, BUS_LAPPED
   (the reader was moved to one of the older frames; *ret_lost says how many it missed), or -ENOMEM. */
MUST_USE int bus_read(struct bus_reader *reader, size_t limit, struct buf *out, uint64_t *ret_lost);
uint32_t bus_view_limit(const struct bus_reader *reader); /* slots at and beyond it were never used */
/* A consistent copy of a live view. False when the slot is free, or its writer died amid a change. */
bool bus_view_read(const struct bus_reader *reader, uint32_t slot, struct view *ret);
/* False (and all zero) when core has not yet said anything, or died amid a change. */
bool bus_status_read(const struct bus_reader *reader, struct bus_status *ret);
double bus_reader_ring_seconds(const struct bus_reader *reader);
