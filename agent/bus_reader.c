#include "agent/bus_map.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    GUARD_TRIES = 2000, /* against a writer that stays amid a change */
    SEEK_TRIES = 8,     /* against a writer that overwrites what is being looked at */
    FRAME_ROOM = FRAME_PAYLOAD_MAX + 32,
};

struct bus_reader {
    struct bus_map map;
    uint64_t position;
    uint64_t next_sequence; /* of the frame at @position; 0 when not known */
};

int bus_reader_open(int fd, struct bus_reader **ret)
{
    struct bus_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return -ENOMEM;
    int r = bus_map_open(fd, PROT_READ, &reader->map);
    if (r < 0) {
        free(reader);
        return r;
    }
    bus_seek(reader, 0);
    *ret = reader;
    return 0;
}

struct bus_reader *bus_reader_close(struct bus_reader *reader)
{
    if (reader) {
        bus_map_close(&reader->map);
        free(reader);
    }
    return NULL;
}

uint64_t bus_life(const struct bus_reader *reader)
{
    return reader->map.header->life;
}

static uint64_t seek_head(struct bus_reader *reader)
{
    reader->position = atomic_load_explicit(&reader->map.header->head, memory_order_acquire);
    reader->next_sequence = 0;
    return 0;
}

uint64_t bus_seek(struct bus_reader *reader, uint64_t sequence)
{
    struct bus_place place;

    for (int tries = 0; sequence != UINT64_MAX && tries < SEEK_TRIES; tries++) {
        if (!bus_ring_find(&reader->map, sequence, &place))
            break;
        if (!bus_ring_walk(&reader->map, sequence, &place))
            continue;
        reader->position = place.position;
        reader->next_sequence = place.sequence;
        return sequence > 0 && place.sequence > sequence ? place.sequence - sequence : 0;
    }
    return seek_head(reader);
}

/* The bytes of the whole frames at the start of bytes[0..len); SIZE_MAX when they are no frames. */
static size_t whole_frames(const uint8_t *bytes, size_t len, uint64_t *next_sequence)
{
    struct frame_header header;
    size_t at = 0;

    while (len - at >= sizeof header) {
        memcpy(&header, bytes + at, sizeof header);
        if (header.magic != FRAME_MAGIC || header.len > FRAME_PAYLOAD_MAX)
            return SIZE_MAX;
        if (len - at < frame_size(header.len))
            break;
        at += frame_size(header.len);
        *next_sequence = header.sequence + 1;
    }
    return at;
}

static int lapped(struct bus_reader *reader, uint64_t *ret_lost)
{
    uint64_t expected = reader->next_sequence;
    struct bus_place place;

    /* The very oldest frame would be overwritten again before it is copied. */
    if (bus_ring_first(&reader->map, reader->map.header->ring_bytes / 4, &place)) {
        reader->position = place.position;
        reader->next_sequence = place.sequence;
    } else {
        seek_head(reader);
    }
    *ret_lost = expected > 0 && reader->next_sequence > expected ? reader->next_sequence - expected : 0;
    return BUS_LAPPED;
}

int bus_read(struct bus_reader *reader, size_t limit, struct buf *out, uint64_t *ret_lost)
{
    uint64_t head = atomic_load_explicit(&reader->map.header->head, memory_order_acquire);
    uint64_t next_sequence = reader->next_sequence;

    *ret_lost = 0;
    if (reader->position == head)
        return BUS_NONE;
    if (limit < FRAME_ROOM)
        limit = FRAME_ROOM;
    size_t len = head - reader->position < limit ? (size_t)(head - reader->position) : limit;
    if (!bus_ring_was_whole(&reader->map, reader->position))
        return lapped(reader, ret_lost);
    uint8_t *bytes = buf_reserve(out, len);
    if (!bytes)
        return -ENOMEM;
    bus_ring_copy_out(&reader->map, reader->position, bytes, len);
    if (!bus_ring_was_whole(&reader->map, reader->position))
        return lapped(reader, ret_lost);
    size_t whole = whole_frames(bytes, len, &next_sequence);
    if (whole == SIZE_MAX || whole == 0)
        return lapped(reader, ret_lost);
    out->len += whole;
    reader->position += whole;
    reader->next_sequence = next_sequence;
    return BUS_FRAMES;
}

uint32_t bus_view_limit(const struct bus_reader *reader)
{
    uint32_t limit = atomic_load_explicit(&reader->map.header->view_limit, memory_order_acquire);

    return limit < BUS_VIEWS_MAX ? limit : BUS_VIEWS_MAX;
}

/* Copies what @guard guards. False when it is free or its writer stays amid a change. */
static bool guard_read(const struct bus_guard *guard, const void *from, void *to, size_t len)
{
    for (int tries = 1; tries <= GUARD_TRIES; tries++) {
        uint32_t before = atomic_load_explicit(&guard->count, memory_order_acquire);
        uint32_t live = guard->live;

        if (before & 1) {
            if (tries % 64 == 0)
                sched_yield();
            continue;
        }
        if (live)
            memcpy(to, from, len);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&guard->count, memory_order_relaxed) == before)
            return live;
    }
    return false;
}

bool bus_view_read(const struct bus_reader *reader, uint32_t slot, struct view *ret)
{
    const struct bus_view_cell *cell = &reader->map.views[slot];

    return slot < bus_view_limit(reader) && guard_read(&cell->guard, &cell->view, ret, sizeof *ret);
}

bool bus_status_read(const struct bus_reader *reader, struct bus_status *ret)
{
    const struct bus_status_cell *cell = reader->map.status;

    if (guard_read(&cell->guard, &cell->status, ret, sizeof *ret))
        return true;
    memset(ret, 0, sizeof *ret);
    return false;
}

double bus_reader_ring_seconds(const struct bus_reader *reader)
{
    return bus_map_ring_seconds(&reader->map);
}
