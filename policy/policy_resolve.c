#include "policy/policy_parts.h"

#include "base/str.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a group has that nobody set: kernel/sched/sched.h, default_cfs_period. */
#define PERIOD_DEFAULT_USEC UINT64_C(100000)
#define QUOTA_MIN_USEC UINT64_C(1000)

static int setting_index(const struct quota *quota, enum knob_id knob, const char *device)
{
    for (unsigned i = 0; i < quota->setting_count; i++)
        if (quota->settings[i].knob == knob && strcmp(quota->settings[i].device, device) == 0)
            return (int)i;
    return -1;
}

/* Takes over what @child does not say itself. A match is never taken over: it is what makes a quota more than
 * a template. */
static void inherit(struct policy_loader *loader, struct draft *child, const struct draft *parent)
{
    struct quota *to = &child->quota;
    const struct quota *from = &parent->quota;
    for (unsigned i = 0; i < from->setting_count; i++) {
        if (setting_index(to, from->settings[i].knob, from->settings[i].device) >= 0)
            continue;
        if (to->setting_count == QUOTA_SETTINGS_MAX) {
            doc_error(child->doc, loader->diags, child->extends,
                      "extends: more than %d limits together with those of '%s'", QUOTA_SETTINGS_MAX,
                      from->name);
            return;
        }
        child->origins[to->setting_count] = parent->origins[i];
        to->settings[to->setting_count++] = from->settings[i];
    }
    unsigned taken = parent->given & ~child->given;
    if (taken & DRAFT_ACCOUNT)
        str_copy(to->account, sizeof to->account, from->account);
    if (taken & DRAFT_RELEASE)
        to->release = from->release;
    if (taken & DRAFT_DRIFT)
        to->drift = from->drift;
    if (taken & DRAFT_UNSUPPORTED)
        to->unsupported_warn = from->unsupported_warn;
    if (taken & DRAFT_PER_LEAF)
        to->io_per_leaf = from->io_per_leaf;
    child->given |= taken;
}

static const char *nearest_quota(const struct policy_loader *loader, const char *name)
{
    const char *names[POLICY_QUOTAS_MAX + 1];
    if (loader->diags->count == DIAGS_MAX) /* nobody will read it */
        return NULL;
    for (unsigned i = 0; i < loader->draft_count; i++)
        names[i] = loader->drafts[i]->quota.name;
    names[loader->draft_count] = NULL;
    return str_nearest(name, names);
}

static void report_unknown(struct policy_loader *loader, const struct doc *doc, const struct doc_node *node)
{
    char found[128];
    const char *nearest = nearest_quota(loader, node->text);
    doc_quote(node->text, found, sizeof found);
    if (nearest)
        doc_error(doc, loader->diags, node, "%s: no quota is named %s, did you mean '%s'?", node->key, found,
                  nearest);
    else
        doc_error(doc, loader->diags, node, "%s: no quota is named %s", node->key, found);
}

enum { CHAIN_SHOWN = 5 };

/* "a → b → a", all of them failed. */
static void report_cycle(struct policy_loader *loader, struct draft *begin)
{
    char chain[CHAIN_SHOWN * (POLICY_NAME_MAX + 8)];
    size_t len = 0;
    struct draft *at = begin;
    unsigned shown = 0;
    do {
        if (shown++ < CHAIN_SHOWN)
            len += (size_t)snprintf(chain + len, sizeof chain - len, "%s → ", at->quota.name);
        at->state = DRAFT_FAILED;
        at = map_get_str(&loader->draft_names, at->extends->text);
    } while (at != begin);
    doc_error(begin->doc, loader->diags, begin->extends, "extends: a circle: %s%s%s", chain,
              shown > CHAIN_SHOWN ? "… → " : "", begin->quota.name);
}

/* Walks up to what is resolved, or has nothing above it, then down again; a chain may be as long as there are
 * quotas. */
static void resolve_extends(struct policy_loader *loader, struct draft *draft, struct draft **chain)
{
    unsigned depth = 0;
    struct draft *above = draft;
    while (above && above->state == DRAFT_READ) {
        above->state = DRAFT_RESOLVING;
        chain[depth++] = above;
        if (!above->extends)
            break;
        const struct draft *below = above;
        above = map_get_str(&loader->draft_names, above->extends->text);
        if (!above)
            report_unknown(loader, below->doc, below->extends);
    }
    if (above && above->state == DRAFT_RESOLVING && above->extends)
        report_cycle(loader, above);
    while (depth-- > 0) {
        struct draft *here = chain[depth];
        const struct draft *parent =
            here->extends ? map_get_str(&loader->draft_names, here->extends->text) : NULL;
        bool failed =
            here->state == DRAFT_FAILED || (here->extends && (!parent || parent->state == DRAFT_FAILED));
        here->own_count = here->quota.setting_count;
        if (!failed && parent)
            inherit(loader, here, parent);
        here->state = failed ? DRAFT_FAILED : DRAFT_RESOLVED;
    }
}

/* Whether the kernel takes the bandwidth with this period. */
static bool check_bandwidth(struct policy_loader *loader, const struct draft *draft, int bandwidth,
                            uint64_t period, uint64_t quota)
{
    char shown[64], least[64], window[64];
    const struct policy_setting *s = &draft->quota.settings[bandwidth];
    if (quota >= QUOTA_MIN_USEC && quota <= knobs[KNOB_CPU_BANDWIDTH].maximum)
        return true;
    policy_value_print(KNOB_CPU_BANDWIDTH, s->value, shown, sizeof shown);
    policy_value_print(KNOB_CPU_PERIOD, period, window, sizeof window);
    policy_value_print(KNOB_CPU_BANDWIDTH, (QUOTA_MIN_USEC * 1000000 + period - 1) / period, least,
                       sizeof least);
    if (quota < QUOTA_MIN_USEC)
        doc_error(draft->origins[bandwidth].doc, loader->diags, draft->origins[bandwidth].node,
                  "cpu.bandwidth: found '%s', expected at least %s: the kernel grants no less than 1ms in "
                  "each period "
                  "of %s",
                  shown, least, window);
    else
        doc_error(draft->origins[bandwidth].doc, loader->diags, draft->origins[bandwidth].node,
                  "cpu.bandwidth: found '%s', more than the kernel can count in a period of %s", shown,
                  window);
    return false;
}

/* What is all inherited is wrong above already. */
static bool is_own(const struct draft *draft, int setting)
{
    return setting >= 0 && (unsigned)setting < draft->own_count;
}

/* The three values of CPU bandwidth as the kernel will see them together: kernel/sched/core.c,
 * tg_set_cfs_bandwidth. */
static void check_cpu(struct policy_loader *loader, const struct draft *draft)
{
    const struct quota *q = &draft->quota;
    int bandwidth = setting_index(q, KNOB_CPU_BANDWIDTH, ""),
        period_at = setting_index(q, KNOB_CPU_PERIOD, "");
    int burst = setting_index(q, KNOB_CPU_BURST, "");
    bool own = is_own(draft, bandwidth) || is_own(draft, period_at) || is_own(draft, burst);
    if (!own || bandwidth < 0 || q->settings[bandwidth].value == KNOB_UNLIMITED)
        return;
    uint64_t period = period_at >= 0 ? q->settings[period_at].value : PERIOD_DEFAULT_USEC;
    uint64_t quota = q->settings[bandwidth].value * period / 1000000;
    if (!check_bandwidth(loader, draft, bandwidth, period, quota))
        return;
    if (burst < 0 || q->settings[burst].value <= quota)
        return;
    char found[64], most[64];
    doc_error(
        draft->origins[burst].doc, loader->diags, draft->origins[burst].node,
        "cpu.burst: found '%s' in quota '%s', expected at most %s, which is its cpu.bandwidth in one period",
        policy_value_print(KNOB_CPU_BURST, q->settings[burst].value, found, sizeof found), q->name,
        policy_value_print(KNOB_CPU_BURST, quota, most, sizeof most));
}

static int compare_settings(const void *a, const void *b)
{
    const struct policy_setting *left = a, *right = b;
    if (left->knob != right->knob)
        return left->knob < right->knob ? -1 : 1;
    return strcmp(left->device, right->device);
}

static void check_groups(struct policy_loader *loader)
{
    for (unsigned i = 0; i < loader->group_count; i++) {
        const struct group_draft *draft = loader->groups[i];
        if (draft->quota && !map_get_str(&loader->draft_names, draft->group.quota))
            report_unknown(loader, draft->doc, draft->quota);
    }
}

void policy_resolve(struct policy_loader *loader)
{
    struct draft **chain = calloc(loader->draft_count + 1, sizeof *chain);
    if (!chain) {
        loader->error = -ENOMEM;
        return;
    }
    for (unsigned i = 0; i < loader->draft_count; i++)
        resolve_extends(loader, loader->drafts[i], chain);
    free(chain);
    for (unsigned i = 0; i < loader->draft_count; i++) {
        struct draft *draft = loader->drafts[i];
        if (draft->state == DRAFT_RESOLVED)
            check_cpu(loader, draft);
        /* From here on the origins no longer stand beside their settings. */
        qsort(draft->quota.settings, draft->quota.setting_count, sizeof draft->quota.settings[0],
              compare_settings);
    }
    check_groups(loader);
}
