/*
 * What each key of a group shall hold: what its quota says, what a quota above pushes down to it, or what was
 * there before masu came.
 *
 * A v1 blkio throttle holds only for tasks directly in its group (blk-throttle is not hierarchical there), so
 * a quota's rates are written to the group and to the one group below it that has processes. When several
 * have, each would get the whole rate: refused, unless the quota says io.per_leaf.
 */

#include "base/str.h"
#include "policy/plan_work.h"

enum { NONE = -1 };

static uint64_t have_value(const struct plan_group *group, enum knob_id knob, uint32_t device, int version)
{
    const struct knob_setting *setting = knob_set_get(&group->have, knob, device);
    return setting ? setting->value : plan_quota_default(knob, version);
}

static void refuse(struct plan_work *work, unsigned i, const struct plan_quota_setting *setting, bool warn,
                   uint32_t why)
{
    plan_work_refuse(work, i,
                     &(struct plan_refused){
                         .knob = setting->knob, .device = setting->device, .warn_only = warn, .why = why});
    if (plan_work_find(work, i, setting->knob, setting->device))
        return;
    int version = setting->version ? setting->version : 1;
    uint64_t have = have_value(&work->input->groups[i], setting->knob, setting->device, version);
    plan_work_decide(work, i,
                     &(struct plan_decision){.knob = (uint16_t)setting->knob,
                                             .flags = DECIDED_REFUSED,
                                             .device = setting->device,
                                             .old = have,
                                             .value = have});
}

static void want(struct plan_work *work, unsigned i, const struct plan_quota_setting *setting, uint64_t value,
                 uint32_t why)
{
    struct plan_decision *decided = plan_work_find(work, i, setting->knob, setting->device);
    if (!decided) {
        plan_work_decide(
            work, i,
            &(struct plan_decision){
                .knob = (uint16_t)setting->knob,
                .device = setting->device,
                .old = have_value(&work->input->groups[i], setting->knob, setting->device, setting->version),
                .value = value,
                .why = why,
            });
    } else if (!(decided->flags & DECIDED_REFUSED) && value < decided->value) {
        decided->value = value;
        decided->why = why;
    }
}

static bool holds_per_leaf(const struct plan_quota_setting *setting)
{
    return setting->hierarchy >= 0 && knob_file(setting->knob, setting->version)->nesting == KNOB_NEST_LEAF;
}

static bool spread_too_wide(const struct plan_work *work, unsigned i, const struct plan_quota *quota)
{
    return work->nodes[i].populated > 1 && !quota->quota->io_per_leaf;
}

static void decide_setting(struct plan_work *work, unsigned i, const struct plan_quota *quota,
                           const struct plan_quota_setting *setting, uint64_t period)
{
    const struct plan_group *group = &work->input->groups[i];
    bool warn = quota->quota->unsupported_warn;
    char buf[DIAG_TEXT_MAX];
    uint64_t value;
    if (setting->hierarchy < 0) {
        refuse(work, i, setting, warn, setting->refusal);
        return;
    }
    const char *lack = plan_groups_lack(work, i, setting, buf, sizeof buf);
    if (lack) {
        refuse(work, i, setting, warn, plan_work_text(work, "%s", lack));
    } else if (holds_per_leaf(setting) && spread_too_wide(work, i, quota)) {
        refuse(work, i, setting, warn,
               plan_work_text(
                   work,
                   "%s of %s: cgroup v1 throttles each group by itself, and %u groups from it on down have "
                   "processes; 'io: { per_leaf: true }' gives each of them the whole rate",
                   knobs[setting->knob].key, group->path, work->nodes[i].populated));
    } else if (plan_quota_convert(setting, period, &value) != 0) {
        char text[64];
        knob_format(setting->knob, setting->value, period, text, sizeof text);
        if (knobs[setting->knob].unit == KNOB_CORES)
            (void)str_format(text, sizeof text, "%llu microseconds per period of %llu",
                             (unsigned long long)(setting->value * period / 1000000),
                             (unsigned long long)period);
        refuse(work, i, setting, false,
               plan_work_text(work, "%s of %s: the kernel does not take %s", knobs[setting->knob].key,
                              group->path, text));
    } else {
        want(work, i, setting, value, setting->why);
    }
}

static void decide_quota(struct plan_work *work, unsigned i)
{
    const struct plan_group *group = &work->input->groups[i];
    if (!group->managed || !group->quota || work->input->release_all)
        return;
    const struct plan_quota *quota = plan_quota_get(work, group->quota);
    uint64_t period = plan_quota_period(work->input, group);
    for (unsigned s = 0; quota && s < quota->count; s++)
        decide_setting(work, i, quota, &quota->settings[s], period);
}

/* Takes over the leaf rates of the quota of @above, an ancestor of @i. */
static void decide_pushed(struct plan_work *work, unsigned i, unsigned above, const struct plan_quota *quota)
{
    const struct plan_group *group = &work->input->groups[i];
    bool wide = spread_too_wide(work, above, quota);
    for (unsigned s = 0; s < quota->count; s++) {
        const struct plan_quota_setting *setting = &quota->settings[s];
        uint64_t value;
        if (!holds_per_leaf(setting) || !group->ids[setting->hierarchy] ||
            plan_quota_convert(setting, 0, &value) != 0)
            continue;
        if (!wide)
            want(work, i, setting, value,
                 plan_work_text(work, "%s, pushed down from %s", plan_text(work->plan, setting->why),
                                work->input->groups[above].path));
        else if (knob_set_get(&group->found, setting->knob, setting->device) &&
                 !plan_work_find(work, i, setting->knob, setting->device))
            plan_work_decide(work, i,
                             &(struct plan_decision){.knob = (uint16_t)setting->knob,
                                                     .device = setting->device,
                                                     .flags = DECIDED_REFUSED});
    }
}

static void decide_leaf(struct plan_work *work, unsigned i)
{
    const struct plan_group *groups = work->input->groups;
    if (!work->leaf || !groups[i].populated || work->input->release_all)
        return;
    for (int above = groups[i].parent; above != NONE; above = groups[above].parent) {
        const struct plan_group *ancestor = &groups[above];
        const struct plan_quota *quota =
            ancestor->managed && ancestor->quota ? plan_quota_get(work, ancestor->quota) : NULL;
        if (quota && quota->leaf)
            decide_pushed(work, i, (unsigned)above, quota);
    }
}

/* A quota in micros per the period of its time, in micros per the period that will hold. */
static uint64_t rescale(uint64_t quota, uint64_t from_period, uint64_t to_period)
{
    uint64_t scaled;
    if (quota == KNOB_UNLIMITED || from_period == to_period || !from_period ||
        __builtin_mul_overflow(quota, to_period, &scaled))
        return quota;
    scaled /= from_period;
    return scaled < knobs[KNOB_CPU_BANDWIDTH].minimum ? knobs[KNOB_CPU_BANDWIDTH].minimum : scaled;
}

static void release(struct plan_work *work, unsigned i, const struct knob_setting *found)
{
    const struct plan_group *group = &work->input->groups[i];
    bool managed = group->managed && group->quota && !work->input->release_all;
    enum policy_release how = plan_quota_release(work->input, group);
    int version = plan_work_version(work, found->knob);
    const struct knob_setting *have = knob_set_get(&group->have, found->knob, found->device);
    if (version == 0 || !group->ids[work->input->support[found->knob].hierarchy])
        return;
    uint64_t now = have_value(group, found->knob, found->device, version), value = now;
    bool readable = have || knobs[found->knob].per_device;
    if (readable && how == RELEASE_RESTORE)
        value = found->value;
    else if (readable && how == RELEASE_UNLIMITED)
        value = plan_quota_default(found->knob, version);
    if (found->knob == KNOB_CPU_BANDWIDTH && readable && how == RELEASE_RESTORE) {
        const struct knob_setting *period = knob_set_get(&group->found, KNOB_CPU_PERIOD, 0);
        if (period)
            value = rescale(value, period->value, plan_quota_period(work->input, group));
    }
    bool exact = how != RELEASE_RESTORE || !readable || value == found->value;
    const char *why = work->input->release_all ? "masu release"
                      : managed                ? "the quota no longer sets it"
                                               : "no quota holds here";
    plan_work_decide(
        work, i,
        &(struct plan_decision){
            .knob = found->knob,
            .flags = (uint16_t)(DECIDED_RELEASE | (exact ? DECIDED_EXACT : 0) |
                                (how == RELEASE_KEEP ? DECIDED_KEPT : 0)),
            .device = found->device,
            .old = now,
            .value = value,
            .why = plan_work_text(work, "%s%s", why, how == RELEASE_KEEP ? ", kept as it is" : ""),
        });
}

void plan_decide(struct plan_work *work, unsigned i)
{
    const struct knob_set *found = &work->input->groups[i].found;
    decide_quota(work, i);
    decide_leaf(work, i);
    for (uint32_t f = 0; f < found->count; f++)
        if (!plan_work_find(work, i, found->settings[f].knob, found->settings[f].device))
            release(work, i, &found->settings[f]);
}
