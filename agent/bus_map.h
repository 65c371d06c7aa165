#pragma once
/*
 * How the bus lies in memory; shared by bus_writer.c and bus_reader.c only.
 *
 * Positions are byte counts since the bus was made; a position's place in the ring is its remainder. The
 * writer stores @reserved (how far it is about to write), then the bytes, then @head. A reader copies, then
 * looks at @reserved: what lies more than a ring before it may have been overwritten while it copied,
 * everything else was whole. A writer that is killed amid a publish leaves @head where it was; its successor
 * goes on there.
 *
 * The ring is divided into blocks, each larger than the largest frame, so in every block a frame begins; its
 * mark says where and when. Marks are how a reader finds a frame's beginning after it was lapped, or a
 * sequence, without scanning. A mark may have been moved on by the time it is read, so what is taken from it
 * is what stands in the ring at its position, looked at as above.
 */

#include "agent/bus.h"
#include <stdatomic.h>
#include <stdbool.h>

enum {
    BUS_VERSION = 1,
    BUS_MARKS = 1024,
    BUS_BLOCK_MIN = 16384,
    BUS_RING_MIN = 1 << 20,
};
#define BUS_MAGIC UINT64_C(0x7375622d7573616d) /* "masu-bus" */

_Static_assert(BUS_BLOCK_MIN > FRAME_PAYLOAD_MAX + 64, "a frame begins in every block");

struct bus_mark {
    _Atomic uint64_t position_plus_1; /* 0: none */
    _Atomic uint64_t mono_ns;
};

struct bus_header {
    uint64_t magic;
    uint32_t version, metrics;
    uint64_t view_bytes, status_bytes;
    char build_id[48];
    uint64_t life;
    uint64_t ring_bytes, block_bytes;
    uint64_t status_offset, views_offset, ring_offset, total_bytes;

    _Alignas(64) _Atomic uint64_t head;
    _Atomic uint64_t reserved;
    _Alignas(64) _Atomic uint64_t event_next;
    _Atomic uint32_t view_limit;
    struct bus_mark marks[BUS_MARKS];
};

struct bus_guard {
    _Atomic uint32_t count; /* odd while what follows is being written */
    uint32_t live;
};

struct bus_status_cell {
    struct bus_guard guard;
    struct bus_status status;
};

struct bus_view_cell {
    struct bus_guard guard;
    struct view view;
};

struct bus_map {
    struct bus_header *header;
    struct bus_status_cell *status;
    struct bus_view_cell *views;
    uint8_t *ring;
    size_t bytes;
};

/* A frame held by the ring. */
struct bus_place {
    uint64_t position, sequence;
    uint64_t mono_ns; /* when it was published */
};

void bus_layout(struct bus_header *header, uint64_t ring_bytes);
/* Maps the bus on @fd. 0, -EBADMSG when it is not of this build, or -errno. */
MUST_USE int bus_map_open(int fd, int protection, struct bus_map *ret);
void bus_map_close(struct bus_map *map);

void bus_ring_copy_out(const struct bus_map *map, uint64_t position, uint8_t *bytes, size_t len);
/* Whether everything at and after @position, copied before this call, was whole. */
bool bus_ring_was_whole(const struct bus_map *map, uint64_t position);
struct bus_mark *bus_ring_mark(const struct bus_map *map, uint64_t block);
/* The oldest marked frame that will still be held after @margin more bytes. False when there is none. */
bool bus_ring_first(const struct bus_map *map, uint64_t margin, struct bus_place *ret);
/* The newest marked frame whose sequence is at most @sequence, else the oldest one held. False when there is
 * none. */
bool bus_ring_find(const struct bus_map *map, uint64_t sequence, struct bus_place *ret);
/* Moves *place on to the first frame with a sequence >= @wanted, or to the head. False when it was
 * overwritten meanwhile. */
bool bus_ring_walk(const struct bus_map *map, uint64_t wanted, struct bus_place *place);
double bus_map_ring_seconds(const struct bus_map *map);
