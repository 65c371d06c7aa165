#pragma once
/* A segment's bytes; shared by journal.c and journal_iter.c only. */

#include "exporters/journal.h"

struct journal_head {
    char magic[8]; /* "masu-mj1" */
    uint64_t number, life, wall_ns;
    char boot_id[40];
    uint32_t reserved;
    uint32_t crc; /* of what stands before it */
};
_Static_assert(sizeof(struct journal_head) == 80 && sizeof(struct journal_head) % 8 == 0,
               "frames are aligned to 8 bytes");

enum { JOURNAL_NAME_MAX = 32 };
const char *journal_segment_name(uint64_t number, char name[static JOURNAL_NAME_MAX]);
void journal_head_make(const struct journal_segment *segment, struct journal_head *ret);
/* 0 or -EBADMSG. */
MUST_USE int journal_head_read(const void *bytes, size_t len, struct journal_segment *ret);

struct journal_map {
    const uint8_t *bytes;
    size_t len;
};
/* Maps segment @number of @dirfd read-only. 0 or -errno; an empty file is -EBADMSG. */
MUST_USE int journal_map_open(int dirfd, uint64_t number, struct journal_map *ret);
void journal_map_close(struct journal_map *map);
/* The first whole frame at or after *at: moves *at behind it and returns true; false at the end. *ret_skipped
 * counts what is no frame. */
bool journal_map_next(const struct journal_map *map, size_t *at, struct journal_item *ret,
                      uint64_t *ret_skipped);
