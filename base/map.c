#include "base/map.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Linear probing with at most three quarters of the places taken. Removal moves the followers of the
 * hole back instead of leaving a mark, so a map that lives long stays as fast as a new one.
 */

enum { MAP_FIRST_CAPACITY = 16 };

uint64_t map_hash(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static size_t home_of(const struct map *m, uint64_t hash)
{
    /* FNV's high bits vary least for short keys: fold them in */
    return (size_t)(hash ^ (hash >> 32)) & (m->capacity - 1);
}

/* The entry with the key, or the free place where it belongs. The map is not empty of places. */
static struct map_entry *find_place(const struct map *m, const void *key, size_t len, uint64_t hash)
{
    size_t i = home_of(m, hash);
    for (;; i = (i + 1) & (m->capacity - 1)) {
        struct map_entry *entry = &m->entries[i];
        if (!entry->key)
            return entry;
        if (entry->hash == hash && entry->key_len == len && memcmp(entry->key, key, len) == 0)
            return entry;
    }
}

void *map_get(const struct map *m, const void *key, size_t len)
{
    if (!m->count)
        return NULL;
    const struct map_entry *entry = find_place(m, key, len, map_hash(key, len));
    return entry->key ? entry->value : NULL;
}

static int grow(struct map *m)
{
    struct map larger = {.capacity = m->capacity ? m->capacity * 2 : MAP_FIRST_CAPACITY, .count = m->count};
    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    if (!larger.entries)
        return -ENOMEM;
    for (size_t i = 0; i < m->capacity; i++) {
        const struct map_entry *entry = &m->entries[i];
        if (entry->key)
            *find_place(&larger, entry->key, entry->key_len, entry->hash) = *entry;
    }
    free(m->entries);
    *m = larger;
    return 0;
}

int map_set(struct map *m, const void *key, size_t len, void *value)
{
    if ((m->count + 1) * 4 > m->capacity * 3) {
        int error = grow(m);
        if (error)
            return error;
    }
    uint64_t hash = map_hash(key, len);
    struct map_entry *entry = find_place(m, key, len, hash);
    if (!entry->key) {
        char *copy = malloc(len + 1);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, key, len);
        copy[len] = '\0';
        *entry = (struct map_entry){.key = copy, .key_len = len, .hash = hash};
        m->count++;
    }
    entry->value = value;
    return 0;
}

/* Moves back every follower of the free place @hole that probing would no longer reach. */
static void close_hole(struct map *m, size_t hole)
{
    size_t mask = m->capacity - 1;
    for (size_t i = (hole + 1) & mask; m->entries[i].key; i = (i + 1) & mask) {
        size_t home = home_of(m, m->entries[i].hash);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        m->entries[hole] = m->entries[i];
        m->entries[i].key = NULL;
        hole = i;
    }
}

void *map_remove(struct map *m, const void *key, size_t len)
{
    if (!m->count)
        return NULL;
    struct map_entry *entry = find_place(m, key, len, map_hash(key, len));
    if (!entry->key)
        return NULL;
    void *value = entry->value;
    free(entry->key);
    entry->key = NULL;
    m->count--;
    close_hole(m, (size_t)(entry - m->entries));
    return value;
}

const struct map_entry *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->capacity) {
        const struct map_entry *entry = &m->entries[(*cursor)++];
        if (entry->key)
            return entry;
    }
    return NULL;
}

void map_fini(struct map *m)
{
    for (size_t i = 0; i < m->capacity; i++)
        free(m->entries[i].key);
    free(m->entries);
    *m = MAP_NULL;
}

void *map_get_str(const struct map *m, const char *key)
{
    return map_get(m, key, strlen(key));
}

int map_set_str(struct map *m, const char *key, void *value)
{
    return map_set(m, key, strlen(key), value);
}

int map_set_u64(struct map *m, uint64_t key, void *value)
{
    return map_set(m, &key, sizeof key, value);
}

void *map_remove_str(struct map *m, const char *key)
{
    return map_remove(m, key, strlen(key));
}

void *map_remove_u64(struct map *m, uint64_t key)
{
    return map_remove(m, &key, sizeof key);
}
