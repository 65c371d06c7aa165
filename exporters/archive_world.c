#include "exporters/archive_world.h"

#include "base/clock.h"
#include "exporters/history.h"
#include "exporters/rrd_file.h"
#include "model/frame.h"
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void world_open(struct world *world)
{
    assert_int_equal(archive_open(&world->options, &world->archive), 0);
}

int world_make(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    if (!world)
        return -1;
    snprintf(world->state_dir, sizeof world->state_dir, "/tmp/masu-archive-test-XXXXXX");
    if (!mkdtemp(world->state_dir))
        return -1;
    archive_files_dir(world->state_dir, world->files_dir);
    world->options = (struct archive_options){.state_dir = world->state_dir,
                                              .step_ns = 10 * NSEC_PER_SEC,
                                              .after_ns = 60 * NSEC_PER_SEC,
                                              .flush_ns = 60 * NSEC_PER_SEC,
                                              .interval_ns = NSEC_PER_SEC,
                                              .max_bytes = GIB,
                                              .journal_max_bytes = 8 << 20};
    world->life = LIFE;
    world->sequence = 1;
    world_open(world);
    *state = world;
    return 0;
}

int world_end(void **state)
{
    struct world *world = *state;

    archive_close(world->archive);
    buf_fini(&world->frames);
    nftw(world->state_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(world);
    return 0;
}

uint64_t world_wall_ns(const struct world *world)
{
    return (NOON_S + world->second) * NSEC_PER_SEC;
}

uint64_t world_mono_ns(const struct world *world)
{
    return (1000 + world->second) * NSEC_PER_SEC;
}

void world_born(struct world *world, uint32_t slot, const char *name, uint64_t cgroup_id)
{
    struct frame_born frame = {.slot = slot,
                               .wall_ns = world_wall_ns(world),
                               .mono_ns = world_mono_ns(world),
                               .identity = {.runtime = "lxc"},
                               .cgroup_ids = {cgroup_id}};

    snprintf(frame.identity.path, sizeof frame.identity.path, "/lxc/%s", name);
    snprintf(frame.identity.name, sizeof frame.identity.name, "%s", name);
    frame_put_born(&world->frames, world->sequence++, &frame);
    world->rows[slot] = (struct row){0};
}

void world_gone(struct world *world, uint32_t slot)
{
    struct frame_gone frame = {slot, world_wall_ns(world), world_mono_ns(world)};

    frame_put_gone(&world->frames, world->sequence++, &frame);
}

void world_sample(struct world *world, uint32_t slot, double cores)
{
    struct row row = world->rows[slot];

    row.wall_ns = world_wall_ns(world);
    row.mono_ns = world_mono_ns(world);
    row_set(&row, METRIC_CPU_USAGE, row.values[METRIC_CPU_USAGE] + (uint64_t)(cores * 1e6));
    row_set(&row, METRIC_MEMORY_USAGE, 1 << 20);
    row_set(&row, METRIC_MEMORY_LIMIT, 2 << 20);
    if (world->rows[slot].wall_ns == 0)
        frame_put_keyframe(&world->frames, world->sequence++, slot, &row);
    else
        frame_put_delta(&world->frames, world->sequence++, slot, &world->rows[slot], &row);
    world->rows[slot] = row;
}

void world_deliver(struct world *world)
{
    archive_take(world->archive, world->life, &world->frames);
    buf_clear(&world->frames);
}

void world_tick(struct world *world)
{
    archive_tick(world->archive, world_mono_ns(world), world_wall_ns(world));
}

void world_live(struct world *world, uint32_t slot, unsigned seconds, double cores)
{
    for (unsigned i = 0; i < seconds; i++) {
        world->second++;
        world_sample(world, slot, cores);
        world_deliver(world);
        world_tick(world);
    }
}

bool world_has_file(const struct world *world, const char *key)
{
    char path[RRD_PATH_MAX];

    assert_true(rrd_file_path(world->files_dir, key, FOLD_AVERAGE, path));
    return access(path, F_OK) == 0;
}

json_t *world_history(const struct world *world, const char *key, int64_t from_s, int64_t to_s)
{
    struct history_query query = {world->files_dir, key,           METRIC_CPU_USAGE,
                                  NOON_S + from_s,  NOON_S + to_s, 10};
    struct buf text = BUF_NULL;
    char why[128];

    assert_int_equal(history_json(&query, &text, why, sizeof why), 0);
    json_t *object = json_loads(text.data, 0, NULL);
    assert_non_null(object);
    buf_fini(&text);
    return object;
}

double world_average_at(const struct world *world, const char *key, int64_t at_s)
{
    json_t *object = world_history(world, key, at_s - 10, at_s), *point;
    double value = -1;
    size_t i;

    json_array_foreach(json_object_get(object, "points"), i,
                       point) if (json_integer_value(json_array_get(point, 0)) == NOON_S + at_s &&
                                  json_is_number(json_array_get(point, 1))) value =
        json_number_value(json_array_get(point, 1));
    json_decref(object);
    return value;
}
