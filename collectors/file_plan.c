#include "collectors/file_plan.h"

#include <string.h>

static bool form_is_file(enum metric_form form)
{
    return form != METRIC_FORM_NONE && form != METRIC_FORM_LINK && form != METRIC_FORM_AGENT;
}

/* The hierarchy of @source when it is of @version, or -1. */
static int source_hierarchy(const struct cgroup_host *host, const struct metric_source *source, int version)
{
    if (!form_is_file(source->form))
        return -1;
    int hierarchy = cgroup_host_find(host, source->controller);
    return hierarchy >= 0 && host->hierarchies[hierarchy].version == version ? hierarchy : -1;
}

static const struct metric_source *source_pick(const struct cgroup_host *host, const struct metric *metric,
                                               int *ret_hierarchy)
{
    const struct metric_source *const sources[] = {&metric->v1, &metric->v2};
    for (int i = 0; i < 2; i++) {
        *ret_hierarchy = source_hierarchy(host, sources[i], i + 1);
        if (*ret_hierarchy >= 0)
            return sources[i];
    }
    return NULL;
}

struct choice {
    const struct metric_source *source; /* NULL: this host does not have it, or it is in the plan already */
    int hierarchy;
};

static bool same_file(const struct choice *a, const struct choice *b)
{
    return a->source && b->source && a->hierarchy == b->hierarchy &&
           strcmp(a->source->file, b->source->file) == 0;
}

/* Whether every number of the file of choices[first] moves along with numbers of other files. */
static bool file_moves_along(const struct choice choices[METRIC_N], unsigned first)
{
    for (unsigned id = first; id < METRIC_N; id++)
        if (same_file(&choices[first], &choices[id]) && !metrics[id].along)
            return false;
    return true;
}

/* Moves every choice of the file of choices[first] into the plan. */
static void plan_add_file(struct file_plan *plan, struct choice choices[METRIC_N], unsigned first)
{
    const struct choice of = choices[first];
    struct file_plan_file *file = &plan->files[plan->file_count++];
    *file = (struct file_plan_file){
        .name = of.source->file,
        .hierarchy = (unsigned)of.hierarchy,
        .form = of.source->form,
        .first = plan->key_count,
        .layout = plan->layout_words,
    };
    for (unsigned id = first; id < METRIC_N; id++) {
        if (!same_file(&of, &choices[id]))
            continue;
        const struct metric_source *source = choices[id].source;
        plan->keys[plan->key_count] = (struct parse_key){source->key, source->key ? strlen(source->key) : 0};
        plan->metrics[plan->key_count] = (uint16_t)id;
        plan->divides[plan->key_count] = source->divide ? source->divide : 1;
        plan->key_count++;
        choices[id].source = NULL;
    }
    file->count = plan->key_count - file->first;
    /* 3 to 8 s on hosts with many dead groups: google/cadvisor#2259 */
    file->not_at_root = strcmp(file->name, "memory.stat") == 0;
    if (file->form == METRIC_FORM_FLAT)
        plan->layout_words += file->count + 1;
    plan->hierarchies |= UINT32_C(1) << file->hierarchy;
}

static void plan_add_files(struct file_plan *plan, const struct cgroup_host *host,
                           struct choice choices[METRIC_N], bool along)
{
    for (int hierarchy = 0; hierarchy < (int)host->count; hierarchy++)
        for (unsigned id = 0; id < METRIC_N; id++)
            if (choices[id].source && choices[id].hierarchy == hierarchy &&
                file_moves_along(choices, id) == along)
                plan_add_file(plan, choices, id);
}

void file_plan_make(const struct cgroup_host *host, struct file_plan *ret)
{
    struct choice choices[METRIC_N];
    *ret = (struct file_plan){.file_count = 0};
    for (unsigned id = 0; id < METRIC_N; id++) {
        choices[id].source = source_pick(host, &metrics[id], &choices[id].hierarchy);
        if (form_is_file(metrics[id].v1.form) || form_is_file(metrics[id].v2.form))
            ret->mask[id / 64] |= UINT64_C(1) << (id % 64);
    }
    plan_add_files(ret, host, choices, false);
    ret->leading_files = ret->file_count;
    ret->leading_keys = ret->key_count;
    plan_add_files(ret, host, choices, true);
}
