/*
 * The policy in force, and which of its quotas holds where. Until a policy could be read nothing is planned:
 * what the kernel holds from before stays.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool names_exactly(const struct policy *policy, const struct quota *quota, const char *path)
{
    for (unsigned i = 0; i < policy->group_count; i++)
        if (strcmp(policy->groups[i].path, path) == 0)
            return true;
    for (unsigned i = 0; i < quota->match.path.count; i++)
        if (strcmp(quota->match.path.items[i], path) == 0)
            return true;
    return false;
}

/* masu's own groups, PID 1's, and their ancestors: a glob that is too wide must not throttle the host's
 * keepers. */
bool core_untouchable(const struct core *core, const char *path)
{
    size_t len = strlen(path);
    for (unsigned who = 0; who < 2; who++)
        for (unsigned h = 0; h < core->host.count; h++) {
            const char *own = core->untouchable[who][h];
            if (strncmp(own, path, len) == 0 && (own[len] == '\0' || own[len] == '/'))
                return true;
        }
    return false;
}

bool core_manages(const struct core *core, const struct policy *policy, const struct group_identity *identity,
                  const struct quota **ret_quota)
{
    *ret_quota = NULL;
    bool released = core->released && policy == &core->policy; /* a plan asked for shows what applying does */
    if (released || identity->kind != SUBJECT_GROUP || !core_in_scope(core, identity->path))
        return false;
    const struct quota *quota = policy_find(policy, identity);
    if (!quota || (core_untouchable(core, identity->path) && !names_exactly(policy, quota, identity->path)))
        return false;
    *ret_quota = quota;
    return true;
}

static void find_quota(struct core *core, struct subject *subject)
{
    subject->created = false;
    for (unsigned i = 0; i < core->policy.group_count; i++)
        if (strcmp(core->policy.groups[i].path, subject->identity.path) == 0)
            subject->created = true;
    if (!core_manages(core, &core->policy, &subject->identity, &subject->quota)) {
        subject->quota = NULL;
        subject->wanted = (struct knob_set){0};
    }
    if (subject->quota)
        subject->release = subject->quota->release;
}

/* The least of the group and its ancestors, as far as they are followed. */
void core_limit_effective(struct subject *subject)
{
    uint64_t memory = KNOB_UNLIMITED, cpu_ppm = KNOB_UNLIMITED;
    for (const struct group *g = subject->group; g; g = g->parent) {
        const struct subject *s = g->owner;
        if (!s)
            continue;
        const struct knob_setting *limit = knob_set_get(&s->in_force, KNOB_MEMORY_LIMIT, 0);
        const struct knob_setting *quota = knob_set_get(&s->in_force, KNOB_CPU_BANDWIDTH, 0);
        const struct knob_setting *period = knob_set_get(&s->in_force, KNOB_CPU_PERIOD, 0);
        if (limit && limit->value < memory)
            memory = limit->value;
        if (!quota || quota->value == KNOB_UNLIMITED || !period || !period->value)
            continue;
        uint64_t ppm = quota->value * 1000000 / period->value;
        if (ppm < cpu_ppm)
            cpu_ppm = ppm;
    }
    subject->memory_limit = memory;
    subject->cpu_limit_ppm = cpu_ppm;
}

/* ---- the policy ---- */

void core_policy_set(struct core *core, struct policy *policy)
{
    core_runs_forget(core); /* what they gathered points into the old policy */
    policy_fini(&core->policy);
    core->policy = *policy;
    *policy = POLICY_NULL;
    core->released = false;
    core->policy_error[0] = '\0';
    core->quotas_before = 0;
    core->policy_loaded_wall_ns = clock_wall_ns();
    struct subject *subject;
    LIST_FOR_EACH(subject, &core->subjects, struct subject, all)
        if (subject->group) {
            find_quota(core, subject);
            subject->adopted = 0;
            subject->fight_until_ns = 0;
            subject->refused = 0;
            subject->replan = subject->planning > 0; /* what is on its way was meant by the old policy */
            core_publish_view(core, subject);
        }
    if (core->scanned_once)
        core_publish_status(core); /* a core that follows this one goes by it */
    core_runs_resume(core);
}

int core_policy_read(const struct core *core, struct policy *ret, struct diags *diags)
{
    const char *paths[SETTING_LIST_MAX];
    const struct setting_list *list = &core->settings->policy;
    for (unsigned i = 0; i < list->count; i++)
        paths[i] = list->items[i];
    const struct policy *now = core->released ? &POLICY_NULL : &core->policy;
    int r = policy_reload(now, paths, list->count, ret, diags);
    if (r != 0 || ret->file_count > 0 || !core->quotas_before || core->released)
        return r;
    /* The core before this one had quotas: that all files are gone is the same slip of the hand. */
    policy_fini(ret);
    *ret = POLICY_NULL;
    struct diag none;
    diag_set(
        &none, NULL, 0, 0, NULL,
        "no policy file is there any more, and core had quotas before it started anew; to give every limit "
        "back, run 'masu release --all'");
    diags_add(diags, &none);
    return -EINVAL;
}

void core_policy_load(struct core *core)
{
    struct policy policy = POLICY_NULL;
    struct diags diags = DIAGS_NULL;
    int r = core_policy_read(core, &policy, &diags);
    if (r == 0 && policy.file_count == 0)
        log_info("policy", "no policy file is there: nothing is managed until one is and is applied");
    if (r == 0) {
        core_policy_set(core, &policy);
        core_event(core, EVENT_POLICY, NULL, "the policy was loaded; quotas: %u, groups to make: %u",
                   core->policy.quota_count, core->policy.group_count);
        log_info("policy", "loaded; quotas: %u, groups to make: %u", core->policy.quota_count,
                 core->policy.group_count);
    } else {
        const char *text =
            diags.count ? diag_format(&diags.items[0], core->policy_error, sizeof core->policy_error) : "";
        const char *stays = core->policy_loaded_wall_ns ? "the one before stays in force"
                                                        : "limits stay as they are until one can be read";
        core_event(core, EVENT_POLICY, NULL, "the policy was rejected, %s: %s", stays, text);
        log_error("policy", "%s; %s", text, stays);
    }
    diags_fini(&diags);
}

int core_limits_start(struct core *core)
{
    bool released = core->released; /* of before a restart: that one loaded no new policy */
    core_policy_load(core);
    core->released = released;
    int r = core_runs_start(core);
    return r == 0 ? core_outcomes_start(core) : r;
}

void core_limits_stop(struct core *core)
{
    core_outcomes_stop(core);
    core_runs_stop(core);
    policy_fini(&core->policy);
    size_t cursor = 0;
    for (const struct map_entry *e; (e = map_next(&core->found, &cursor));)
        free(e->value);
    map_fini(&core->found);
}

/* ---- births ---- */

static void take_found(struct core *core, struct subject *subject)
{
    struct knob_set *found = map_remove_str(&core->found, subject->identity.path);
    if (found)
        subject->found = *found;
    free(found);
}

void core_limit_born(struct core *core, struct subject *subject)
{
    take_found(core, subject);
    find_quota(core, subject);
    if (core->scanned_once && subject->quota)
        core_settle_begin(core, subject);
    core_publish_view(core, subject); /* after the window has begun, or it would look settled */
    if (!core->scanned_once)
        return;
    if (subject->quota || subject->found.count > 0)
        core_plan_subject(core,
                          subject); /* without a quota: what an earlier name's quota wrote is given back */
}

void core_limit_grown(struct core *core, struct subject *subject)
{
    if (!subject->quota)
        return;
    if (core->scanned_once && !subject->settle_end_ns)
        core_settle_begin(core, subject);
    core_plan_subject(core, subject);
}

void core_limit_gone(struct core *core, struct subject *subject)
{
    core->plan_again |= subject->created; /* the policy makes it anew */
}
