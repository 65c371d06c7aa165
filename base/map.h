#pragma once
/*
 * A hash map from a byte string to a pointer (open addressing, keys copied). Values are borrowed:
 * the map never frees them.
 */

#include "base/attrs.h"
#include <stdint.h>

struct map_entry {
    char *key; /* owned, NUL-terminated copy; NULL: free place */
    size_t key_len;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_entry *entries;
    size_t capacity; /* power of two, or 0 */
    size_t count;
};
#define MAP_NULL ((struct map){0})

/* The value under @key, or NULL. */
void *map_get(const struct map *m, const void *key, size_t len);
/* Sets or replaces. 0 or -ENOMEM (then nothing changed). */
MUST_USE int map_set(struct map *m, const void *key, size_t len, void *value);
/* Removes and returns the value, or NULL. */
void *map_remove(struct map *m, const void *key, size_t len);
/* The entry at or after *cursor (start at 0), advancing it; NULL at the end. Do not change the map meanwhile.
 */
const struct map_entry *map_next(const struct map *m, size_t *cursor);
void map_fini(struct map *m);

static inline void *map_get_u64(const struct map *m, uint64_t key)
{
    return map_get(m, &key, sizeof key);
}
void *map_get_str(const struct map *m, const char *key);
MUST_USE int map_set_str(struct map *m, const char *key, void *value);
MUST_USE int map_set_u64(struct map *m, uint64_t key, void *value);
void *map_remove_str(struct map *m, const char *key);
void *map_remove_u64(struct map *m, uint64_t key);

/* FNV-1a, 64 bits. */
uint64_t map_hash(const void *bytes, size_t len);
