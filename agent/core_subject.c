/*
 * Subjects come and go with their groups. Who lives in a group is asked at its birth and, while the answer
 * may still change (a runtime writes its state file after it makes the group), again a few times with growing
 * pauses.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t identity_pauses_ns[] = {
    20 * NSEC_PER_MSEC, 50 * NSEC_PER_MSEC, 100 * NSEC_PER_MSEC, 250 * NSEC_PER_MSEC, 500 * NSEC_PER_MSEC,
    NSEC_PER_SEC,       2 * NSEC_PER_SEC,   5 * NSEC_PER_SEC,    10 * NSEC_PER_SEC,
};

enum { IDENTITY_TRIES_OLD = ARRAY_LEN(identity_pauses_ns) - 2 };

bool core_in_scope(const struct core *core, const char *path)
{
    const struct setting_list *scope = &core->settings->scope;
    for (unsigned i = 0; i < scope->count; i++)
        if (glob_match_path(scope->items[i], path))
            return true;
    return scope->count == 0;
}

static int slot_take(struct core *core, uint32_t *ret_slot)
{
    for (uint32_t tried = 0; tried < BUS_VIEWS_MAX; tried++) {
        uint32_t slot = (core->slot_next + tried) % BUS_VIEWS_MAX;
        if (!(core->slots_used[slot / 8] >> (slot % 8) & 1)) {
            core->slots_used[slot / 8] |= (uint8_t)(1U << (slot % 8));
            /* Lowest first keeps the table that readers walk short. */
            core->slot_next = slot + 1;
            *ret_slot = slot;
            return 0;
        }
    }
    return -ENOSPC;
}

static void slot_give(struct core *core, uint32_t slot)
{
    core->slots_used[slot / 8] &= (uint8_t) ~(1U << (slot % 8));
    if (slot < core->slot_next)
        core->slot_next = slot;
}

static void on_identity_due(void *owner);
static void ask_later(struct subject *subject)
{
    if (subject->identity_tries >= ARRAY_LEN(identity_pauses_ns))
        return;
    uint64_t pause_ns = identity_pauses_ns[subject->identity_tries++];
    pause_ns += pause_ns / 64 * (subject->slot % 16); /* thousands found by one scan do not ask at once */
    loop_timer_arm_at(&subject->identity_timer, loop_now_ns(subject->core->loop) + pause_ns);
}

static bool same_identity(const struct group_identity *a, const struct group_identity *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->runtime, b->runtime) == 0 && strcmp(a->id, b->id) == 0;
}

static void on_identity_due(void *owner)
{
    struct subject *subject = owner;
    struct core *core = subject->core;
    struct group_identity found = {0};
    enum identity_result known = identity_find(&core->identity_paths, subject->group->path, &found);
    if (known == IDENTITY_PENDING || known == IDENTITY_GROUP)
        ask_later(subject);
    if (known == IDENTITY_INNER || same_identity(&found, &subject->identity))
        return;
    subject->known = known;
    core_publish_gone(core, subject);
    subject->identity = found;
    subject->rows = 0;
    core_publish_born(core, subject);
    core_event(core, EVENT_BORN, subject, "'%s' is %s '%s'", subject->identity.path, found.runtime,
               found.name);
    core_limit_born(core, subject);
    core_flush(core);
}

struct subject *subject_new(struct core *core, struct group *group, const struct group_identity *identity)
{
    struct subject *subject = calloc(1, sizeof *subject);
    if (!subject)
        return NULL;
    subject->core = core;
    subject->group = group;
    subject->identity = *identity;
    subject->born_wall_ns = clock_wall_ns();
    subject->born_mono_ns = clock_mono_ns();
    subject->born_run = core->run_last_id;
    subject->level_since_wall_ns = subject->born_wall_ns;
    subject->nsid = -1;
    subject->pressure = PRESSURE_STATE_NULL;
    subject->notify = NOTIFY_NULL;
    subject->memory_limit = subject->cpu_limit_ppm = KNOB_UNLIMITED;
    if (!core_carry_take(core, subject) && slot_take(core, &subject->slot) < 0) {
        free(subject);
        return NULL;
    }
    list_append(&core->subjects, &subject->all);
    core->subject_count++;
    if (group)
        group->owner = subject;
    core_publish_born(core, subject);
    return subject;
}

struct subject *subject_free(struct subject *subject)
{
    if (!subject)
        return NULL;
    struct core *core = subject->core;
    buf_fini(&subject->told);
    loop_timer_fini(&subject->identity_timer);
    loop_timer_fini(&subject->settle_timer);
    core_pressure_close(subject);
    subject->sampled = sampler_group_close(core->sampler, subject->sampled);
    if (core->tick_at == &subject->all)
        core->tick_at = subject->all.next;
    list_remove(&subject->all);
    core->subject_count--;
    if (subject->group)
        subject->group->owner = NULL;
    core_publish_gone(core, subject);
    slot_give(core, subject->slot);
    free(subject);
    return NULL;
}

void core_subject_born(struct core *core, struct group *group)
{
    if (!group->parent || !core_in_scope(core, group->path))
        return;
    struct group_identity identity = {0};
    enum identity_result known = identity_find(&core->identity_paths, group->path, &identity);
    if (known == IDENTITY_INNER)
        return;
    struct subject *subject = subject_new(core, group, &identity);
    if (!subject) {
        log_warn("subject", "no room for '%s', it is not followed", group->path);
        return;
    }
    subject->known = known;
    /* Whoever was there before masu has its state files already. */
    if (known == IDENTITY_GROUP && !core->scanned_once)
        subject->identity_tries = IDENTITY_TRIES_OLD;
    int r = loop_timer_init(&subject->identity_timer, core->loop, LOOP_NORMAL, on_identity_due, subject);
    if (r == 0 && known != IDENTITY_KNOWN)
        ask_later(subject);
    if (core->scanned_once)
        core_event(core, EVENT_BORN, subject, "%s '%s' appeared", identity.runtime, identity.name);
    core_limit_born(core, subject);
}

void core_subject_gone(struct core *core, struct group *group)
{
    struct subject *subject = group->owner;
    free(map_remove_str(&core->found, group->path));
    if (!subject)
        return;
    core_event(core, EVENT_GONE, subject, "%s '%s' is gone", subject->identity.runtime,
               subject->identity.name);
    core_limit_gone(core, subject);
    subject_free(subject);
}
