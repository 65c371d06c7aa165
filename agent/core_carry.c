/*
 * What a core takes over from the one before it, which died: the bus outlives them both. A group that still
 * lives keeps its slot, its birth, its pressure level and the marks of knobs that were left to a foreign
 * writer; what was released stays released. A group that went away meanwhile is told of, and its view, which
 * nobody would clear otherwise, is cleared. Whether a group is the same is told by its inode numbers, since
 * a path may have been made anew.
 */

#include "agent/core.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

struct carried {
    struct group_identity identity;
    uint64_t cgroup_ids[FRAME_HIERARCHIES_MAX];
    uint64_t born_wall_ns, level_since_wall_ns;
    uint32_t slot, adopted;
    enum level level;
};

enum { KEY_SIZE = GROUP_PATH_MAX + 2 };

/* A group "/eth0" is not the interface "eth0", nor the root group the host. */
static const char *key_of(const struct group_identity *identity, char key[KEY_SIZE])
{
    key[0] = (char)('0' + identity->kind);
    str_copy(key + 1, KEY_SIZE - 1, identity->path);
    return key;
}

static int carry(struct core *core, const struct view *view)
{
    char key[KEY_SIZE];
    struct carried *old = calloc(1, sizeof *old);
    if (!old)
        return -1;
    *old = (struct carried){
        .identity = view->identity,
        .born_wall_ns = view->born_wall_ns,
        .level_since_wall_ns = view->level_since_wall_ns,
        .slot = view->slot,
        .adopted = view->adopted,
        .level = view->level < LEVEL_N ? (enum level)view->level : LEVEL_NONE,
    };
    memcpy(old->cgroup_ids, view->cgroup_ids, sizeof old->cgroup_ids);
    if (map_get_str(&core->carried, key_of(&view->identity, key)) ||
        map_set_str(&core->carried, key, old) < 0) {
        free(old);
        return -1;
    }
    return 0;
}

void core_carry_read(struct core *core)
{
    for (uint32_t slot = 0; slot < bus_writer_view_limit(core->bus); slot++) {
        const struct view *view = bus_view_peek(core->bus, slot);
        if (!view)
            continue;
        if (view->slot == slot && carry(core, view) == 0)
            core->slots_used[slot / 8] |= (uint8_t)(1U << (slot % 8));
        else
            bus_view_clear(core->bus, slot);
    }
    const struct bus_status *status = bus_status_peek(core->bus);
    core->released = status && status->released;
    core->quotas_before = status ? status->quotas : 0;
}

static bool same_life(const struct carried *old, const struct group *group)
{
    bool met = !group;
    for (unsigned h = 0; group && h < HIERARCHIES_MAX && h < FRAME_HIERARCHIES_MAX; h++) {
        if (!group->ids[h] || !old->cgroup_ids[h])
            continue;
        if (group->ids[h] != old->cgroup_ids[h])
            return false;
        met = true;
    }
    return met;
}

static struct carried *take(struct core *core, const struct subject *subject)
{
    char key[KEY_SIZE];
    struct carried *old = map_get_str(&core->carried, key_of(&subject->identity, key));
    return old && same_life(old, subject->group) ? map_remove_str(&core->carried, key) : NULL;
}

bool core_carry_take(struct core *core, struct subject *subject)
{
    struct carried *old = take(core, subject);
    if (!old)
        return false;
    uint64_t age_ns =
        subject->born_wall_ns > old->born_wall_ns ? subject->born_wall_ns - old->born_wall_ns : 0;
    subject->slot = old->slot;
    subject->born_wall_ns = old->born_wall_ns;
    subject->born_mono_ns -= age_ns < subject->born_mono_ns ? age_ns : subject->born_mono_ns;
    subject->adopted = old->adopted;
    subject->level_since_wall_ns = old->level_since_wall_ns;
    core_pressure_resume(subject, old->level);
    free(old);
    return true;
}

void core_carry_end(struct core *core)
{
    size_t cursor = 0;
    for (const struct map_entry *e; (e = map_next(&core->carried, &cursor));) {
        struct carried *old = e->value;
        if (old->identity.kind == SUBJECT_GROUP)
            core_event_of(core, EVENT_GONE, &old->identity, "%s '%s' went away while core was not there",
                          old->identity.runtime, old->identity.name);
        bus_view_clear(core->bus, old->slot);
        core->slots_used[old->slot / 8] &= (uint8_t) ~(1U << (old->slot % 8));
        free(old);
    }
    core->slot_next = 0;
    map_fini(&core->carried);
    core->carried = MAP_NULL;
}

void core_carry_stop(struct core *core)
{
    size_t cursor = 0;
    for (const struct map_entry *e; (e = map_next(&core->carried, &cursor));)
        free(e->value);
    map_fini(&core->carried);
    core->carried = MAP_NULL;
}
