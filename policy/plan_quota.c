/* Quotas with their devices and their support looked up, and their values in the kernel's terms. */

#include "base/str.h"
#include "policy/plan_work.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PERIOD = 100000, DEFAULT_SHARES = 1024, DEFAULT_WEIGHT = 100 };

uint64_t plan_quota_default(enum knob_id knob, int version)
{
    if (knob == KNOB_CPU_PERIOD)
        return DEFAULT_PERIOD;
    if (knob == KNOB_CPU_BURST)
        return 0;
    if (knob == KNOB_CPU_WEIGHT)
        return version == 1 ? DEFAULT_SHARES : DEFAULT_WEIGHT;
    return KNOB_UNLIMITED;
}

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "";
}

/* Support and device of one setting; @why is filled when it is refused. */
static void look_up(const struct plan_input *input, const struct policy_setting *from,
                    struct plan_quota_setting *to, char *why, size_t why_size)
{
    const struct knob_support *support = &input->support[from->knob];
    *to = (struct plan_quota_setting){
        .knob = from->knob, .hierarchy = support->hierarchy, .value = from->value};
    why[0] = '\0';
    if (support->hierarchy < 0 || support->refusal) {
        to->hierarchy = -1;
        (void)str_format(why, why_size, "%s: %s", knobs[from->knob].key,
                         support->refusal ? support->refusal
                                          : "this host has no hierarchy with its controller");
        return;
    }
    to->version = input->host->hierarchies[support->hierarchy].version;
    if (!knobs[from->knob].per_device)
        return;
    char reason[DIAG_TEXT_MAX] = "";
    int r = input->device
                ? input->device(input->device_context, from->device, &to->device, reason, sizeof reason)
                : -ENODEV;
    if (r == 0)
        return;
    to->hierarchy = -1;
    if (reason[0]) /* it names the device */
        (void)str_format(why, why_size, "%s: %s", knobs[from->knob].key, reason);
    else
        (void)str_format(why, why_size, "%s: there is no device '%s'", knobs[from->knob].key, from->device);
}

const struct plan_quota *plan_quota_get(struct plan_work *work, const struct quota *quota)
{
    struct plan_quota *known = map_get(&work->quotas, &quota, sizeof quota);
    if (known)
        return known;
    struct plan_quota *made = calloc(1, sizeof *made);
    if (!made || map_set(&work->quotas, &quota, sizeof quota, made) != 0) {
        free(made);
        work->error = -ENOMEM;
        return NULL;
    }
    made->quota = quota;
    made->why = plan_work_text(work, "quota '%s' (%s:%u)", quota->name, base_name(quota->file), quota->line);
    for (unsigned i = 0; i < quota->setting_count; i++) {
        const struct policy_setting *setting = &quota->settings[i];
        struct plan_quota_setting *to = &made->settings[made->count++];
        char refusal[DIAG_TEXT_MAX];
        look_up(work->input, setting, to, refusal, sizeof refusal);
        to->refusal = refusal[0] ? plan_work_text(work, "%s", refusal) : 0;
        to->why = plan_work_text(work, "quota '%s' (%s:%u)", quota->name, base_name(quota->file),
                                 setting->line ? setting->line : quota->line);
        made->leaf |= to->hierarchy >= 0 && knob_file(to->knob, to->version)->nesting == KNOB_NEST_LEAF;
    }
    work->leaf |= made->leaf;
    return made;
}

void plan_quota_fini(struct plan_work *work)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&work->quotas, &cursor)))
        free(entry->value);
    map_fini(&work->quotas);
}

static const struct policy_setting *setting_of(const struct quota *quota, enum knob_id knob)
{
    for (unsigned i = 0; quota && i < quota->setting_count; i++)
        if (quota->settings[i].knob == knob)
            return &quota->settings[i];
    return NULL;
}

enum policy_release plan_quota_release(const struct plan_input *input, const struct plan_group *group)
{
    if (input->release_all)
        return RELEASE_RESTORE;
    return group->managed && group->quota ? group->quota->release : group->release;
}

uint64_t plan_quota_period(const struct plan_input *input, const struct plan_group *group)
{
    const struct quota *quota = group->managed && !input->release_all ? group->quota : NULL;
    const struct policy_setting *wanted = setting_of(quota, KNOB_CPU_PERIOD);
    const struct knob_setting *found = knob_set_get(&group->found, KNOB_CPU_PERIOD, 0);
    const struct knob_setting *have = knob_set_get(&group->have, KNOB_CPU_PERIOD, 0);
    enum policy_release release = plan_quota_release(input, group);
    if (wanted && !input->support[KNOB_CPU_PERIOD].refusal)
        return wanted->value;
    if (found && release == RELEASE_RESTORE)
        return found->value;
    if (found && release == RELEASE_UNLIMITED)
        return DEFAULT_PERIOD;
    return have ? have->value : DEFAULT_PERIOD;
}

int plan_quota_convert(const struct plan_quota_setting *setting, uint64_t period, uint64_t *ret_value)
{
    const struct knob *knob = &knobs[setting->knob];
    uint64_t value = setting->value;
    if (value == KNOB_UNLIMITED) {
        *ret_value = value;
        return 0;
    }
    if (knob->unit == KNOB_CORES) {
        if (__builtin_mul_overflow(value, period, &value))
            return -ERANGE;
        value /= 1000000;
    } else {
        value = knob_normalise(setting->knob, setting->version, value);
    }
    bool as_shares = knob->unit == KNOB_WEIGHT && setting->version == 1;
    if (!as_shares && (value < knob->minimum || (knob->maximum && value > knob->maximum)))
        return -ERANGE;
    *ret_value = value;
    return 0;
}

int plan_wanted(const struct plan_input *input, const struct plan_group *group, struct knob_set *ret)
{
    ret->count = 0;
    if (!group->managed || !group->quota || input->release_all)
        return 0;
    uint64_t period = plan_quota_period(input, group);
    for (unsigned i = 0; i < group->quota->setting_count; i++) {
        struct plan_quota_setting setting;
        char refusal[DIAG_TEXT_MAX];
        uint64_t value;
        look_up(input, &group->quota->settings[i], &setting, refusal, sizeof refusal);
        if (refusal[0] || plan_quota_convert(&setting, period, &value) != 0)
            continue;
        int r = knob_set_put(ret, setting.knob, setting.device, value);
        if (r)
            return r;
    }
    return 0;
}
