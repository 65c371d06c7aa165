#include "exporters/journal_segment.h"

#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

static const char head_magic[8] = {'m', 'a', 's', 'u', '-', 'm', 'j', '1'};

const char *journal_segment_name(uint64_t number, char name[static JOURNAL_NAME_MAX])
{
    snprintf(name, JOURNAL_NAME_MAX, "%08" PRIu64 ".mj", number);
    return name;
}

static uint32_t head_crc(const struct journal_head *head)
{
    return (uint32_t)crc32(0, (const Bytef *)head, offsetof(struct journal_head, crc));
}

void journal_head_make(const struct journal_segment *segment, struct journal_head *ret)
{
    *ret =
        (struct journal_head){.number = segment->number, .life = segment->life, .wall_ns = segment->wall_ns};
    memcpy(ret->magic, head_magic, sizeof head_magic);
    str_copy(ret->boot_id, sizeof ret->boot_id, segment->boot_id);
    ret->crc = head_crc(ret);
}

int journal_head_read(const void *bytes, size_t len, struct journal_segment *ret)
{
    struct journal_head head;

    if (len < sizeof head)
        return -EBADMSG;
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.magic, head_magic, sizeof head_magic) != 0 || head.crc != head_crc(&head))
        return -EBADMSG;
    *ret = (struct journal_segment){.number = head.number, .life = head.life, .wall_ns = head.wall_ns};
    str_copy(ret->boot_id, sizeof ret->boot_id, head.boot_id);
    return 0;
}

int journal_map_open(int dirfd, uint64_t number, struct journal_map *ret)
{
    char name[JOURNAL_NAME_MAX];
    CLEANUP_FD int fd = openat(dirfd, journal_segment_name(number, name), O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size == 0)
        return -EBADMSG;
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    madvise(bytes, (size_t)st.st_size, MADV_SEQUENTIAL);
    *ret = (struct journal_map){bytes, (size_t)st.st_size};
    return 0;
}

void journal_map_close(struct journal_map *map)
{
    if (map->bytes)
        munmap((void *)(uintptr_t)map->bytes, map->len);
    *map = (struct journal_map){0};
}

bool journal_map_next(const struct journal_map *map, size_t *at, struct journal_item *ret,
                      uint64_t *ret_skipped)
{
    for (; map->len > *at; *at += 8) {
        size_t left = map->len - *at;
        if (frame_peek(map->bytes + *at, left, &ret->header, &ret->payload) == FRAME_OK) {
            size_t size = frame_size(ret->header.len);
            *at += size < left ? size : left;
            return true;
        }
        *ret_skipped += left < 8 ? left : 8;
        if (left < 8)
            break;
    }
    *at = map->len;
    return false;
}
