/*
 * Groups to make, and controllers to enable below them.
 *
 * A group that masu makes is made in every hierarchy that limits or counts something, under the same path. On
 * v2 a group has a controller only when all its ancestors enabled it in cgroup.subtree_control. masu does
 * that only for groups that it makes, in its own groups above them and in the root, which is nobody's, and
 * only where it cannot harm: in groups without processes ("+memory" beside processes is EBUSY; "+cpu" and
 * "+pids" succeed and silently turn the group threaded). Everywhere else the knob is refused.
 */

#include "base/str.h"
#include "policy/plan_work.h"
#include <string.h>

enum { NONE = -1 };

static const struct plan_group *group_at(const struct plan_work *work, int i)
{
    return &work->input->groups[i];
}

static bool ours(const struct plan_group *group)
{
    return group->missing || group->masu_made;
}

static bool is_root(const struct plan_group *group)
{
    return strcmp(group->path, "/") == 0;
}

/* The bit of a v2 controller: that of the first knob that belongs to it. */
static unsigned controller_bit(const char *controller)
{
    unsigned id = 0;
    while (strcmp(knobs[id].v2.controller ? knobs[id].v2.controller : "", controller) != 0)
        id++;
    return id;
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        if ((at == text || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' ' || at[len] == '\n'))
            return true;
    return false;
}

/* Whether an existing v2 group has @controller. */
static bool has_controller(const struct plan_group *group, const char *controller)
{
    if (group->missing)
        return false;
    if (group->controllers)
        return has_word(group->controllers, controller);
    bool tells = false; /* some knob of the controller is there in every group that has it */
    for (unsigned id = 0; id < KNOB_N; id++) {
        if (strcmp(knobs[id].v2.controller ? knobs[id].v2.controller : "", controller) != 0)
            continue;
        tells |= !knobs[id].per_device;
        for (unsigned s = 0; s < group->have.count; s++)
            if (group->have.settings[s].knob == id)
                return true;
    }
    return !tells;
}

/* The hierarchies in which masu makes its groups. */
static uint32_t useful_hierarchies(const struct plan_work *work)
{
    const struct cgroup_host *host = work->input->host;
    uint32_t bits = 0;
    for (unsigned id = 0; id < KNOB_N; id++)
        if (work->input->support[id].hierarchy >= 0)
            bits |= 1U << work->input->support[id].hierarchy;
    for (unsigned h = 0; h < host->count; h++)
        if (host->hierarchies[h].version == 2 || strstr(host->hierarchies[h].controllers, "cpuacct"))
            bits |= 1U << h;
    return bits;
}

static uint32_t named_controllers(const char *text)
{
    uint32_t bits = 0;
    for (unsigned id = 0; id < KNOB_N; id++)
        if (knobs[id].v2.controller && has_word(text, knobs[id].v2.controller))
            bits |= 1U << controller_bit(knobs[id].v2.controller);
    return bits;
}

/* Notes at each parent which controllers it already enables: it says so, or some child of it has them. */
static void note_enabled(struct plan_work *work)
{
    int h = cgroup_host_find(work->input->host, "");
    for (int i = 0; h >= 0 && i < (int)work->input->group_count; i++) {
        const struct plan_group *group = group_at(work, i);
        if (group->passes_on)
            work->nodes[i].enabled |= named_controllers(group->passes_on);
        uint32_t *enabled = group->parent == NONE ? &work->root_enabled : &work->nodes[group->parent].enabled;
        if (!group->ids[h] || is_root(group))
            continue;
        for (unsigned id = 0; id < KNOB_N; id++) {
            const char *controller = knobs[id].v2.controller;
            if (controller && controller_bit(controller) == id && has_controller(group, controller))
                *enabled |= 1U << id;
        }
    }
}

void plan_groups_prepare(struct plan_work *work)
{
    uint32_t useful = useful_hierarchies(work);
    note_enabled(work);
    for (int i = 0; i < (int)work->input->group_count; i++) {
        const struct plan_group *group = group_at(work, i);
        if (!ours(group) || group->outside || work->input->release_all)
            continue;
        for (unsigned h = 0; h < work->input->host->count; h++) {
            if (!(useful & (1U << h)))
                continue;
            for (int at = i; at != NONE && !group_at(work, at)->ids[h] && !is_root(group_at(work, at));
                 at = group_at(work, at)->parent)
                work->nodes[at].make |= 1U << h;
        }
    }
}

/*
 * Walks the ancestors of @i that have to enable @controller; with @mark they will. The ancestor that must
 * not, or NONE.
 */
static int enable_above(struct plan_work *work, int i, const char *controller, bool mark)
{
    uint32_t bit = 1U << controller_bit(controller);
    for (int child = i;; child = group_at(work, child)->parent) {
        int parent = group_at(work, child)->parent;
        if (parent == NONE) {
            if (mark && !is_root(group_at(work, child)) && !(work->root_enabled & bit))
                work->root_enable |= bit;
            return NONE;
        }
        struct plan_node *node = &work->nodes[parent];
        if ((node->enabled | node->enable) & bit)
            return NONE;
        const struct plan_group *above = group_at(work, parent);
        if (!is_root(above) && (above->populated || !ours(above)))
            return parent;
        if (mark)
            node->enable |= bit;
        if (is_root(above) || has_controller(above, controller))
            return NONE;
    }
}

static const char *lack_controller(struct plan_work *work, int i, const char *controller, char *buf,
                                   size_t size)
{
    const struct plan_group *group = group_at(work, i);
    const char *parent = group->parent == NONE ? "/" : group_at(work, group->parent)->path;
    if (!ours(group)) {
        (void)str_format(buf, size,
                         "%s has no %s controller: cgroup.subtree_control of %s does not list it, and masu "
                         "enables controllers "
                         "only for groups that it makes",
                         group->path, controller, parent);
        return buf;
    }
    int obstacle = enable_above(work, i, controller, false);
    if (obstacle != NONE) {
        const struct plan_group *above = group_at(work, obstacle);
        const char *why =
            above->populated
                ? "has processes, so it cannot enable it for its children"
                : "is not masu's: enable it in its cgroup.subtree_control, or name it under 'groups'";
        (void)str_format(buf, size, "%s has no %s controller: %s %s", group->path, controller, above->path,
                         why);
        return buf;
    }
    (void)enable_above(work, i, controller, true);
    return NULL;
}

const char *plan_groups_lack(struct plan_work *work, unsigned i, const struct plan_quota_setting *setting,
                             char *buf, size_t size)
{
    const struct plan_group *group = group_at(work, (int)i);
    const struct hierarchy *hierarchy = &work->input->host->hierarchies[setting->hierarchy];
    const struct knob_file *file = knob_file(setting->knob, setting->version);
    bool makes = work->nodes[i].make & (1U << setting->hierarchy);
    if (group->outside) {
        (void)str_format(
            buf, size,
            "%s of %s is outside the 'scope' that masu.yaml gives: the group is neither made nor "
            "limited",
            knobs[setting->knob].key, group->path);
        return buf;
    }
    if (!group->ids[setting->hierarchy] && !makes) {
        (void)str_format(buf, size, "%s is not in the hierarchy of the %s controller (%s)", group->path,
                         file->controller, hierarchy->mount);
        return buf;
    }
    if (setting->version == 2 && !has_controller(group, file->controller))
        return lack_controller(work, (int)i, file->controller, buf, size);
    if (makes || knobs[setting->knob].per_device || knob_set_get(&group->have, setting->knob, 0))
        return NULL;
    (void)str_format(buf, size, "%s has no %s", group->path, file->file);
    return buf;
}

static void emit_make(struct plan_work *work, unsigned i)
{
    const struct plan_group *group = group_at(work, (int)i);
    const struct plan_quota *quota = group->quota ? plan_quota_get(work, group->quota) : NULL;
    const char *without = group->named ? "the policy makes it" : "the policy makes groups below it";
    for (unsigned h = 0; h < work->input->host->count; h++)
        if (work->nodes[i].make & (1U << h))
            plan_work_row(work, (struct plan_row){
                                    .kind = PLAN_MAKE_GROUP,
                                    .version = (uint16_t)work->input->host->hierarchies[h].version,
                                    .hierarchy = work->input->host->hierarchies[h].device,
                                    .path_off = plan_work_path(work, i),
                                    .why_off = quota ? quota->why : plan_work_text(work, "%s", without),
                                });
}

/* @i NONE: the root, which is not in the array. */
static void emit_enable(struct plan_work *work, int i, uint32_t bits)
{
    int h = cgroup_host_find(work->input->host, "");
    for (unsigned id = 0; h >= 0 && id < KNOB_N; id++) {
        if (!(bits & (1U << id)))
            continue;
        uint64_t cgroup_id = i == NONE ? 0 : group_at(work, i)->ids[h];
        plan_work_row(
            work, (struct plan_row){
                      .kind = PLAN_ENABLE,
                      .flags = i != NONE && !cgroup_id ? PLAN_ROW_CREATED : 0,
                      .version = 2,
                      .hierarchy = work->input->host->hierarchies[h].device,
                      .cgroup_id = cgroup_id,
                      .path_off = i == NONE ? plan_work_text(work, "/") : plan_work_path(work, (unsigned)i),
                      .why_off = plan_work_text(work, "%s: for the groups that the policy makes below",
                                                knobs[id].v2.controller),
                  });
    }
}

void plan_groups_emit(struct plan_work *work)
{
    emit_enable(work, NONE, work->root_enable);
    for (unsigned i = 0; i < work->input->group_count; i++) {
        emit_make(work, i);
        emit_enable(work, (int)i, work->nodes[i].enable);
    }
}
