#include "agent/bus_map.h"

#include "base/clock.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct bus_writer {
    struct bus_map map;
    uint64_t next_sequence;
};

static int bus_fill_new(int fd, uint64_t ring_bytes)
{
    struct bus_header header = {0};

    bus_layout(&header, ring_bytes);
    while (header.life == 0)
        if (getrandom(&header.life, sizeof header.life, 0) < 0)
            return -errno;
    atomic_init(&header.event_next, clock_wall_ns() / NSEC_PER_MSEC);
    if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)header.total_bytes) < 0)
        return -errno;
    if (pwrite(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        return errno ? -errno : -EIO;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    return 0;
}

int bus_create(uint64_t ring_bytes, int *ret_fd, int *ret_read_fd)
{
    CLEANUP_FD int fd = memfd_create("masu-bus", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char path[64];

    if (fd < 0)
        return -errno;
    int r = bus_fill_new(fd, ring_bytes);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int read_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (read_fd < 0)
        return -errno;
    *ret_read_fd = read_fd;
    *ret_fd = fd_take(&fd);
    return 0;
}

static void ring_copy_in(const struct bus_map *map, uint64_t position, const uint8_t *bytes, size_t len)
{
    uint64_t at = position & (map->header->ring_bytes - 1);
    size_t first = map->header->ring_bytes - at < len ? (size_t)(map->header->ring_bytes - at) : len;

    memcpy(map->ring + at, bytes, first);
    memcpy(map->ring, bytes + first, len - first);
}

static void guard_begin(struct bus_guard *guard)
{
    uint32_t now = atomic_load_explicit(&guard->count, memory_order_relaxed);

    atomic_store_explicit(&guard->count, now | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void guard_end(struct bus_guard *guard, bool live)
{
    uint32_t now = atomic_load_explicit(&guard->count, memory_order_relaxed);

    guard->live = live;
    atomic_store_explicit(&guard->count, (now | 1) + 1, memory_order_release);
}

static void guard_repair(struct bus_guard *guard)
{
    if (atomic_load_explicit(&guard->count, memory_order_relaxed) & 1)
        guard_end(guard, false);
}

/* What a killed writer left half done. */
static void repair(const struct bus_map *map)
{
    uint64_t head = atomic_load_explicit(&map->header->head, memory_order_relaxed);
    uint32_t limit = atomic_load_explicit(&map->header->view_limit, memory_order_relaxed);

    for (uint32_t slot = 0; slot <= limit && slot < BUS_VIEWS_MAX; slot++)
        guard_repair(&map->views[slot].guard);
    guard_repair(&map->status->guard);
    for (unsigned i = 0; i < BUS_MARKS; i++) {
        struct bus_mark *mark = &map->header->marks[i];
        if (atomic_load_explicit(&mark->position_plus_1, memory_order_relaxed) > head)
            atomic_store_explicit(&mark->position_plus_1, 0, memory_order_relaxed);
    }
}

/* Finds the sequence that follows the last published frame. */
static int find_next_sequence(struct bus_writer *writer)
{
    struct bus_place place = {.sequence = 1};

    if (bus_ring_find(&writer->map, UINT64_MAX, &place) && !bus_ring_walk(&writer->map, UINT64_MAX, &place))
        return -EBADMSG;
    writer->next_sequence = place.sequence;
    return 0;
}

int bus_writer_open(int fd, struct bus_writer **ret)
{
    struct bus_writer *writer = calloc(1, sizeof *writer);
    int r;

    if (!writer)
        return -ENOMEM;
    r = bus_map_open(fd, PROT_READ | PROT_WRITE, &writer->map);
    if (r == 0) {
        repair(&writer->map);
        r = find_next_sequence(writer);
    }
    if (r < 0) {
        bus_writer_close(writer);
        return r;
    }
    *ret = writer;
    return 0;
}

struct bus_writer *bus_writer_close(struct bus_writer *writer)
{
    if (writer) {
        bus_map_close(&writer->map);
        free(writer);
    }
    return NULL;
}

uint64_t bus_writer_next_sequence(const struct bus_writer *writer)
{
    return writer->next_sequence;
}

uint64_t bus_writer_next_event(struct bus_writer *writer)
{
    return atomic_fetch_add_explicit(&writer->map.header->event_next, 1, memory_order_relaxed);
}

/* Marks those of the frames that are the first of their block. */
static void mark_frames(struct bus_writer *writer, uint64_t head, const uint8_t *bytes, size_t len)
{
    uint64_t block_bytes = writer->map.header->block_bytes;
    uint64_t now_ns = clock_mono_ns();
    struct frame_header header;

    for (size_t at = 0; at < len; at += frame_size(header.len)) {
        uint64_t position = head + at;
        struct bus_mark *mark = bus_ring_mark(&writer->map, position / block_bytes);
        uint64_t marked = atomic_load_explicit(&mark->position_plus_1, memory_order_relaxed);

        memcpy(&header, bytes + at, sizeof header);
        writer->next_sequence = header.sequence + 1;
        if (marked > 0 && (marked - 1) / block_bytes == position / block_bytes)
            continue;
        atomic_store_explicit(&mark->mono_ns, now_ns, memory_order_relaxed);
        atomic_store_explicit(&mark->position_plus_1, position + 1, memory_order_relaxed);
    }
}

static void publish_part(struct bus_writer *writer, const uint8_t *bytes, size_t len)
{
    struct bus_header *header = writer->map.header;
    uint64_t head = atomic_load_explicit(&header->head, memory_order_relaxed);
    uint64_t reserved = atomic_load_explicit(&header->reserved, memory_order_relaxed);

    if (reserved < head + len)
        atomic_store_explicit(&header->reserved, head + len, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    ring_copy_in(&writer->map, head, bytes, len);
    mark_frames(writer, head, bytes, len);
    atomic_store_explicit(&header->head, head + len, memory_order_release);
}

void bus_publish(struct bus_writer *writer, const struct buf *frames)
{
    const uint8_t *bytes = (const uint8_t *)frames->data;
    size_t part_max = (size_t)writer->map.header->ring_bytes / 8;
    struct frame_header header;
    size_t from = 0;

    for (size_t at = 0; at < frames->len;) {
        memcpy(&header, bytes + at, sizeof header);
        size_t size = frame_size(header.len);
        if (at + size - from > part_max) {
            publish_part(writer, bytes + from, at - from);
            from = at;
        }
        at += size;
    }
    if (frames->len > from)
        publish_part(writer, bytes + from, frames->len - from);
}

struct view *bus_view_begin(struct bus_writer *writer, uint32_t slot)
{
    guard_begin(&writer->map.views[slot].guard);
    return &writer->map.views[slot].view;
}

void bus_view_end(struct bus_writer *writer, uint32_t slot)
{
    struct bus_header *header = writer->map.header;

    guard_end(&writer->map.views[slot].guard, true);
    if (atomic_load_explicit(&header->view_limit, memory_order_relaxed) <= slot)
        atomic_store_explicit(&header->view_limit, slot + 1, memory_order_release);
}

void bus_view_clear(struct bus_writer *writer, uint32_t slot)
{
    guard_begin(&writer->map.views[slot].guard);
    guard_end(&writer->map.views[slot].guard, false);
}

uint32_t bus_writer_view_limit(const struct bus_writer *writer)
{
    uint32_t limit = atomic_load_explicit(&writer->map.header->view_limit, memory_order_relaxed);
    return limit < BUS_VIEWS_MAX ? limit : BUS_VIEWS_MAX;
}

const struct view *bus_view_peek(const struct bus_writer *writer, uint32_t slot)
{
    const struct bus_view_cell *cell = &writer->map.views[slot];
    return cell->guard.live ? &cell->view : NULL;
}

const struct bus_status *bus_status_peek(const struct bus_writer *writer)
{
    return writer->map.status->guard.live ? &writer->map.status->status : NULL;
}

struct bus_status *bus_status_begin(struct bus_writer *writer)
{
    guard_begin(&writer->map.status->guard);
    return &writer->map.status->status;
}

void bus_status_end(struct bus_writer *writer)
{
    guard_end(&writer->map.status->guard, true);
}

double bus_ring_seconds(const struct bus_writer *writer)
{
    return bus_map_ring_seconds(&writer->map);
}
