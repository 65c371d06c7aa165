/*
 * What the planner needs to know, read from the kernel. The groups are chosen and copied at once, since any
 * of them may vanish while their knobs are read in slices; one that did is left in as an empty, unmanaged
 * entry.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "cgroup/device.h"
#include "cgroup/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct gather {
    struct core *core;
    const struct policy *policy;
    struct plan_group *groups; /* heap; paths owned */
    unsigned count, capacity;
    unsigned next;   /* first one not yet read */
    unsigned told;   /* first one whose subject was not yet told */
    uint32_t wanted; /* knobs that a quota sets or that are to be given back: no others are read */
};

static void want_knobs(struct gather *gather, const struct knob_set *found)
{
    for (uint32_t i = 0; i < found->count; i++)
        gather->wanted |= knob_companions(UINT32_C(1) << found->settings[i].knob);
}

static struct plan_group *add(struct gather *gather, const char *path, int parent)
{
    if (gather->count == gather->capacity) {
        unsigned capacity = gather->capacity ? gather->capacity * 2 : 32;
        struct plan_group *groups = reallocarray(gather->groups, capacity, sizeof *groups);
        if (!groups)
            return NULL;
        gather->groups = groups;
        gather->capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy)
        return NULL;
    struct plan_group *entry = &gather->groups[gather->count++];
    *entry = (struct plan_group){.path = copy, .parent = parent};
    return entry;
}

/* Whether @path is, or lies under, a group that the policy itself makes. */
static bool policy_makes(const struct policy *policy, const char *path)
{
    for (unsigned i = 0; i < policy->group_count; i++) {
        const char *made = policy->groups[i].path;
        size_t made_len = strlen(made);
        if (strncmp(made, path, made_len) == 0 && (path[made_len] == '/' || path[made_len] == '\0'))
            return true;
    }
    return false;
}

/* For the policy in force every subject knows its quota; it is looked for where another policy is tried. */
static bool manages(const struct gather *gather, const struct subject *subject,
                    const struct quota **ret_quota)
{
    if (gather->policy != &gather->core->policy || gather->core->released)
        return core_manages(gather->core, gather->policy, &subject->identity, ret_quota);
    *ret_quota = subject->quota;
    return subject->quota != NULL;
}

static int add_group(struct gather *gather, struct group *group, int parent)
{
    struct core *core = gather->core;
    struct subject *subject = group->owner;
    struct plan_group *entry = add(gather, group->path, parent);
    if (!entry)
        return -ENOMEM;
    memcpy(entry->ids, group->ids, sizeof entry->ids);
    entry->masu_made = policy_makes(gather->policy, group->path);
    if (!subject) { /* inside a container: at most a rate was pushed down to it */
        const struct knob_set *found = map_get_str(&core->found, group->path);
        if (found)
            entry->found = *found;
        want_knobs(gather, &entry->found);
        return (int)gather->count - 1;
    }
    entry->managed = manages(gather, subject, &entry->quota);
    entry->found = subject->found;
    want_knobs(gather, &entry->found);
    entry->release = subject->release;
    entry->populated = subject->populated;
    if (row_has(&subject->row, METRIC_MEMORY_USAGE))
        entry->memory_usage = subject->row.values[METRIC_MEMORY_USAGE];
    return (int)gather->count - 1;
}

/* A group that counts by itself: it has a quota, or found values to give back. */
static bool counts(const struct gather *gather, const struct group *group)
{
    const struct subject *subject = group->owner;
    const struct quota *quota;
    if (!subject)
        return map_get_str(&gather->core->found, group->path) != NULL;
    return subject->found.count > 0 || manages(gather, subject, &quota);
}

static bool counts_below(const struct gather *gather, const struct group *group)
{
    struct group *child;
    LIST_FOR_EACH(child, &group->children, struct group, siblings)
        if (counts(gather, child) || counts_below(gather, child))
            return true;
    return false;
}

static int add_below(struct gather *gather, struct group *group, int parent, bool inside)
{
    struct group *child;
    LIST_FOR_EACH(child, &group->children, struct group, siblings) {
        bool in = inside || counts(gather, child);
        if (!in && !counts_below(gather, child))
            continue;
        int index = add_group(gather, child, parent);
        if (index < 0)
            return index;
        int r = add_below(gather, child, index, in);
        if (r < 0)
            return r;
    }
    return 0;
}

static int find_entry(const struct gather *gather, const char *path)
{
    for (unsigned i = 0; i < gather->count; i++)
        if (strcmp(gather->groups[i].path, path) == 0)
            return (int)i;
    return -1;
}

static struct group_identity identity_to_be(const char *path)
{
    struct group_identity identity = {.kind = SUBJECT_GROUP, .runtime = "cgroup"};
    str_copy(identity.path, sizeof identity.path, path);
    str_copy(identity.name, sizeof identity.name, path);
    return identity;
}

/* Left in for its refusals. */
static int add_outside(struct gather *gather, const struct policy_group *wanted)
{
    struct plan_group *entry = add(gather, wanted->path, -1);
    if (!entry)
        return -ENOMEM;
    struct group_identity identity = identity_to_be(wanted->path);
    entry->quota = policy_find(gather->policy, &identity);
    entry->missing = entry->outside = true;
    entry->managed = entry->quota != NULL;
    return 0;
}

/* The group and each missing parent, outermost first. */
static int add_missing(struct gather *gather, const struct policy_group *wanted)
{
    if (!core_in_scope(gather->core, wanted->path))
        return add_outside(gather, wanted);
    char path[GROUP_PATH_MAX];
    int parent = -1;
    for (const char *end = strchr(wanted->path + 1, '/');; end = strchr(end + 1, '/')) {
        size_t len = end ? (size_t)(end - wanted->path) : strlen(wanted->path);
        memcpy(path, wanted->path, len);
        path[len] = '\0';
        int index = find_entry(gather, path);
        struct group *group = group_tree_find(&gather->core->tree, path);
        if (index < 0 && group)
            index = add_group(gather, group, parent);
        else if (index < 0) {
            struct plan_group *entry = add(gather, path, parent);
            index = entry ? (int)gather->count - 1 : -ENOMEM;
            if (entry)
                entry->missing = entry->masu_made = true;
        }
        if (index < 0)
            return index;
        parent = index;
        if (!end)
            break;
    }
    struct plan_group *entry = &gather->groups[parent];
    entry->named = true;
    if (!entry->missing)
        return 0;
    struct group_identity identity = identity_to_be(wanted->path);
    entry->managed = core_manages(gather->core, gather->policy, &identity, &entry->quota);
    return 0;
}

static struct gather *gather_new(struct core *core, const struct policy *policy)
{
    struct gather *gather = calloc(1, sizeof *gather);
    if (gather) {
        gather->core = core;
        gather->policy = policy;
        gather->wanted = policy_knobs(policy);
    }
    return gather;
}

struct gather *gather_all(struct core *core, const struct policy *policy)
{
    struct gather *gather = gather_new(core, policy);
    if (!gather)
        return NULL;
    int r = add_below(gather, core->tree.root, -1, false);
    for (unsigned i = 0; r == 0 && i < policy->group_count && !core->released; i++)
        r = add_missing(gather, &policy->groups[i]);
    return r == 0 ? gather : gather_free(gather);
}

static bool holds_per_leaf(const struct core *core, const struct quota *quota)
{
    for (unsigned i = 0; i < quota->setting_count; i++) {
        enum knob_id knob = quota->settings[i].knob;
        int hierarchy = core->support[knob].hierarchy;
        if (hierarchy >= 0 &&
            knob_file(knob, core->host.hierarchies[hierarchy].version)->nesting == KNOB_NEST_LEAF)
            return true;
    }
    return false;
}

struct group *gather_leaf_top(const struct core *core, struct group *group)
{
    struct group *top = NULL;
    for (struct group *g = group; g && g->parent; g = g->parent) {
        const struct subject *subject = g->owner;
        if (subject && subject->quota && holds_per_leaf(core, subject->quota))
            top = g;
    }
    return top;
}

/* Only the group itself and what lies below it is planned: what is above is context, neither limited nor
 * given anything back. */
static void make_context(struct plan_group *entry)
{
    entry->managed = false;
    entry->quota = NULL;
    entry->found.count = 0;
}

struct gather *gather_one(struct core *core, struct group *group)
{
    struct gather *gather = gather_new(core, &core->policy);
    if (!gather)
        return NULL;
    struct group *line[GROUP_PATH_MAX / 2], *top = gather_leaf_top(core, group);
    unsigned depth = 0;
    for (struct group *g = top ? top : group; g && g->parent && depth < ARRAY_LEN(line); g = g->parent)
        line[depth++] = g;
    int index = -1;
    while (depth > 0) {
        index = add_group(gather, line[--depth], index);
        if (index < 0)
            return gather_free(gather);
        if (depth > 0)
            make_context(&gather->groups[index]);
    }
    return add_below(gather, top ? top : group, index, true) == 0 ? gather : gather_free(gather);
}

/* Whether a group that the policy makes lies below @path. */
static bool leads_to_made(const struct policy *policy, const char *path)
{
    size_t len = strlen(path);
    for (unsigned i = 0; i < policy->group_count; i++)
        if (strncmp(policy->groups[i].path, path, len) == 0 && policy->groups[i].path[len] == '/')
            return true;
    return false;
}

/* The line of a v2 file of the group, on the heap; NULL: it cannot be read. */
static char *read_words(const struct cgroup_host *host, int v2, const char *path, const char *file)
{
    char name[GROUP_PATH_MAX + 32], text[CGROUP_CONTROLLERS_MAX];
    str_format(name, sizeof name, ".%s/%s", path, file);
    if (fs_read_at(host->hierarchies[v2].dirfd, name, text, sizeof text) < 0)
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return strdup(text);
}

/* What the group's parent hands down to it, on v2: not every controller can be told from its files; and what
 * it hands down itself, where that matters. */
static void read_controllers(struct gather *gather, struct plan_group *entry)
{
    const struct cgroup_host *host = &gather->core->host;
    int v2 = cgroup_host_find(host, "");
    if (v2 < 0 || !entry->ids[v2])
        return;
    entry->controllers = read_words(host, v2, entry->path, "cgroup.controllers");
    if (leads_to_made(gather->policy, entry->path))
        entry->passes_on = read_words(host, v2, entry->path, "cgroup.subtree_control");
}

/* Who sits where matters for rules that hold per leaf, and on v2, where only empty groups hand controllers
 * down. */
static bool asks_for_processes(const struct gather *gather)
{
    for (unsigned k = 0; k < KNOB_N; k++) {
        int hierarchy = gather->core->support[k].hierarchy;
        if (!(gather->wanted >> k & 1) || hierarchy < 0)
            continue;
        int version = gather->core->host.hierarchies[hierarchy].version;
        if (version == 2 || knob_file((enum knob_id)k, version)->nesting == KNOB_NEST_LEAF)
            return true;
    }
    return false;
}

static void read_entry(struct gather *gather, struct plan_group *entry)
{
    struct core *core = gather->core;
    pid_t pid;
    if (entry->missing)
        return;
    if (knob_read_some(&core->host, core->support, gather->wanted, entry->path, &entry->have) != 0) {
        entry->have = (struct knob_set){0};
        make_context(entry);
        entry->unread = true;
        return;
    }
    if (asks_for_processes(gather))
        entry->populated = group_first_pid(&core->host, entry->path, &pid) == 0;
    read_controllers(gather, entry);
}

bool gather_step(struct gather *gather, uint64_t until_ns)
{
    while (gather->next < gather->count) {
        read_entry(gather, &gather->groups[gather->next++]);
        if (clock_mono_ns() >= until_ns)
            break;
    }
    return gather->next < gather->count;
}

static int resolve_device(void *context, const char *path, uint32_t *ret_device, char *why, size_t why_size)
{
    (void)context;
    return device_resolve(path, ret_device, why, why_size);
}

int gather_plan(struct gather *gather, enum plan_purpose purpose, struct plan *ret)
{
    bool release_all = purpose == PURPOSE_RELEASE || (gather->core->released && purpose != PURPOSE_PLAN);
    struct plan_input input = {
        .host = &gather->core->host,
        .support = gather->core->support,
        .groups = gather->groups,
        .group_count = gather->count,
        .release_all = release_all,
        .device = resolve_device,
    };
    return plan_make(&input, ret);
}

/* What was not read is as it was known. */
static void tell_in_force(const struct gather *gather, const struct plan_group *entry,
                          struct subject *subject)
{
    struct knob_set now = entry->have;
    for (uint32_t i = 0; i < subject->in_force.count; i++) {
        const struct knob_setting *known = &subject->in_force.settings[i];
        if (!(gather->wanted >> known->knob & 1) &&
            knob_set_put(&now, known->knob, known->device, known->value) < 0)
            break; /* more than are shown */
    }
    subject->in_force = now;
}

static void tell_entry(struct gather *gather, struct plan_group *entry)
{
    struct core *core = gather->core;
    const struct plan_input input = {
        .host = &core->host,
        .support = core->support,
        .groups = gather->groups,
        .group_count = gather->count,
        .device = resolve_device,
    };
    struct subject *subject = core_subject_at(core, entry->path);
    bool context = !entry->managed && subject && subject->quota;
    if (!subject || context || entry->unread)
        return;
    tell_in_force(gather, entry, subject);
    subject->populated = entry->populated;
    subject->wanted = (struct knob_set){0};
    if (entry->managed && plan_wanted(&input, entry, &subject->wanted) < 0)
        subject->wanted = (struct knob_set){0};
    core_limit_effective(subject);
    core_publish_view(core, subject);
}

bool gather_tell(struct gather *gather, uint64_t until_ns)
{
    while (gather->told < gather->count) {
        tell_entry(gather, &gather->groups[gather->told++]);
        if (clock_mono_ns() >= until_ns)
            break;
    }
    return gather->told < gather->count;
}

/* The planner's texts are borrowed and therefore const; here is their owner. */
static void free_text(const char *text)
{
    char *owned;
    memcpy(&owned, &text, sizeof owned);
    free(owned);
}

struct gather *gather_free(struct gather *gather)
{
    if (!gather)
        return NULL;
    for (unsigned i = 0; i < gather->count; i++) {
        free_text(gather->groups[i].path);
        free_text(gather->groups[i].controllers);
        free_text(gather->groups[i].passes_on);
    }
    free(gather->groups);
    free(gather);
    return NULL;
}
