#include "agent/bus_map.h"

#include "agent/build_id.h"
#include "base/clock.h"
#include "base/str.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define BUS_RATE_NS (5 * NSEC_PER_SEC) /* least span that a rate is taken from */

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

void bus_layout(struct bus_header *header, uint64_t ring_bytes)
{
    uint64_t ring = BUS_RING_MIN;

    while (ring < ring_bytes)
        ring *= 2;
    header->magic = BUS_MAGIC;
    header->version = BUS_VERSION;
    header->metrics = METRIC_N;
    header->view_bytes = sizeof(struct bus_view_cell);
    header->status_bytes = sizeof(struct bus_status_cell);
    str_copy(header->build_id, sizeof header->build_id, build_id);
    header->ring_bytes = ring;
    header->block_bytes = ring / BUS_MARKS > BUS_BLOCK_MIN ? ring / BUS_MARKS : BUS_BLOCK_MIN;
    header->status_offset = round_up(sizeof *header, 4096);
    header->views_offset = header->status_offset + round_up(header->status_bytes, 4096);
    header->ring_offset = header->views_offset + round_up(header->view_bytes * BUS_VIEWS_MAX, 4096);
    header->total_bytes = header->ring_offset + ring;
}

static bool bus_layout_is_ours(const struct bus_header *header, uint64_t file_bytes)
{
    struct bus_header want = {0};

    if (header->magic != BUS_MAGIC || header->ring_bytes > file_bytes)
        return false;
    bus_layout(&want, header->ring_bytes);
    return memcmp(header->build_id, want.build_id, sizeof want.build_id) == 0 &&
           header->version == want.version && header->metrics == want.metrics &&
           header->view_bytes == want.view_bytes && header->status_bytes == want.status_bytes &&
           header->ring_bytes == want.ring_bytes && header->block_bytes == want.block_bytes &&
           header->ring_offset == want.ring_offset && want.total_bytes == file_bytes && header->life != 0;
}

int bus_map_open(int fd, int protection, struct bus_map *ret)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if ((size_t)st.st_size < sizeof(struct bus_header))
        return -EBADMSG;
    void *bytes = mmap(NULL, (size_t)st.st_size, protection, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    struct bus_header *header = bytes;
    if (!bus_layout_is_ours(header, (uint64_t)st.st_size)) {
        munmap(bytes, (size_t)st.st_size);
        return -EBADMSG;
    }
    ret->header = header;
    ret->status = (void *)((uint8_t *)bytes + header->status_offset);
    ret->views = (void *)((uint8_t *)bytes + header->views_offset);
    ret->ring = (uint8_t *)bytes + header->ring_offset;
    ret->bytes = (size_t)st.st_size;
    return 0;
}

void bus_map_close(struct bus_map *map)
{
    if (map->header)
        munmap(map->header, map->bytes);
    *map = (struct bus_map){0};
}

void bus_ring_copy_out(const struct bus_map *map, uint64_t position, uint8_t *bytes, size_t len)
{
    uint64_t at = position & (map->header->ring_bytes - 1);
    size_t first = map->header->ring_bytes - at < len ? (size_t)(map->header->ring_bytes - at) : len;

    memcpy(bytes, map->ring + at, first);
    memcpy(bytes + first, map->ring, len - first);
}

static uint64_t ring_oldest(const struct bus_map *map)
{
    uint64_t reserved = atomic_load_explicit(&map->header->reserved, memory_order_acquire);

    return reserved > map->header->ring_bytes ? reserved - map->header->ring_bytes : 0;
}

bool bus_ring_was_whole(const struct bus_map *map, uint64_t position)
{
    atomic_thread_fence(memory_order_acquire);
    return ring_oldest(map) <= position;
}

static bool ring_frame(const struct bus_map *map, uint64_t position, struct frame_header *ret)
{
    bus_ring_copy_out(map, position, (uint8_t *)ret, sizeof *ret);
    return bus_ring_was_whole(map, position) && ret->magic == FRAME_MAGIC && ret->len <= FRAME_PAYLOAD_MAX;
}

struct bus_mark *bus_ring_mark(const struct bus_map *map, uint64_t block)
{
    return &map->header->marks[block % (map->header->ring_bytes / map->header->block_bytes)];
}

/* The first frame that begins in block number @block, when it is still held and published. */
static bool ring_place(const struct bus_map *map, uint64_t block, uint64_t head, struct bus_place *ret)
{
    const struct bus_mark *mark = bus_ring_mark(map, block);
    uint64_t position = atomic_load_explicit(&mark->position_plus_1, memory_order_relaxed) - 1;
    struct frame_header header;

    if (position >= head || position / map->header->block_bytes != block ||
        !ring_frame(map, position, &header))
        return false;
    ret->position = position;
    ret->sequence = header.sequence;
    ret->mono_ns = atomic_load_explicit(&mark->mono_ns, memory_order_relaxed);
    return true;
}

bool bus_ring_first(const struct bus_map *map, uint64_t margin, struct bus_place *ret)
{
    uint64_t head = atomic_load_explicit(&map->header->head, memory_order_acquire);
    uint64_t block_bytes = map->header->block_bytes;

    for (uint64_t block = (ring_oldest(map) + margin) / block_bytes; block <= head / block_bytes; block++)
        if (ring_place(map, block, head, ret))
            return true;
    return false;
}

bool bus_ring_find(const struct bus_map *map, uint64_t sequence, struct bus_place *ret)
{
    uint64_t head = atomic_load_explicit(&map->header->head, memory_order_acquire);
    uint64_t block_bytes = map->header->block_bytes;
    uint64_t oldest = ring_oldest(map) / block_bytes;

    for (uint64_t block = head / block_bytes + 1; sequence > 0 && block-- > oldest;)
        if (ring_place(map, block, head, ret) && ret->sequence <= sequence)
            return true;
    return bus_ring_first(map, 0, ret);
}

bool bus_ring_walk(const struct bus_map *map, uint64_t wanted, struct bus_place *place)
{
    uint64_t head = atomic_load_explicit(&map->header->head, memory_order_acquire);
    struct frame_header header;

    while (place->position < head && place->sequence < wanted) {
        if (!ring_frame(map, place->position, &header))
            return false;
        place->position += frame_size(header.len);
        place->sequence = header.sequence + 1;
    }
    return true;
}

double bus_map_ring_seconds(const struct bus_map *map)
{
    uint64_t head = atomic_load_explicit(&map->header->head, memory_order_acquire);
    uint64_t now_ns = clock_mono_ns();
    struct bus_place first;

    if (!bus_ring_first(map, 0, &first) || now_ns < first.mono_ns + BUS_RATE_NS || head <= first.position)
        return 0;
    double per_s = (double)(head - first.position) * 1e9 / (double)(now_ns - first.mono_ns);
    return (double)map->header->ring_bytes / per_s;
}
