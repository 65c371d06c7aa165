#pragma once
/* A world of one core that publishes, and an archive that takes. Time is what the rows say, noon and on. */

#include "exporters/archive.h"
#include "model/row.h"
#include <jansson.h>
#include <stdbool.h>

enum { NOON_S = 1795000000, LIFE = 9, WEB = 3, DB = 2, GIB = 1 << 30 };

struct world {
    char state_dir[64], files_dir[ARCHIVE_PATH_MAX];
    struct archive_options options;
    struct archive *archive;
    struct buf frames;
    uint64_t sequence, life;
    uint64_t second; /* after noon */
    struct row rows[8];
};

int world_make(void **state);
int world_end(void **state);
void world_open(struct world *world);
uint64_t world_wall_ns(const struct world *world);
uint64_t world_mono_ns(const struct world *world);

void world_born(struct world *world, uint32_t slot, const char *name, uint64_t cgroup_id);
void world_gone(struct world *world, uint32_t slot);
/* The slot used @cores since its last row. */
void world_sample(struct world *world, uint32_t slot, double cores);
void world_deliver(struct world *world);
void world_tick(struct world *world);
/* @seconds of one row a second, each delivered and ticked. */
void world_live(struct world *world, uint32_t slot, unsigned seconds, double cores);

bool world_has_file(const struct world *world, const char *key);
/* The history of a key's CPU usage, as the API tells it. */
json_t *world_history(const struct world *world, const char *key, int64_t from_s, int64_t to_s);
/* The average of the step that ends @at_s after noon; -1 when null or absent. */
double world_average_at(const struct world *world, const char *key, int64_t at_s);
