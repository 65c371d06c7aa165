#include "policy/plan_stage.h"

#include "base/str.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

static int find_device(void *context, const char *path, uint32_t *ret_device, char *why, size_t why_size)
{
    (void)context;
    if (strcmp(path, "/dev/vda1") == 0) {
        (void)str_copy(why, why_size, "'/dev/vda1' is a partition, use '/dev/vda'");
        return -ENXIO;
    }
    *ret_device = (uint32_t)makedev(254, 0);
    return 0;
}

void scene_init(struct scene *s, int version)
{
    static const char *const v1[] = {"cpu", "memory", "blkio", "pids"};
    memset(s, 0, sizeof *s);
    s->host.count = version == 1 ? ARRAY_LEN(v1) : 1;
    for (unsigned h = 0; h < s->host.count; h++) {
        struct hierarchy *hierarchy = &s->host.hierarchies[h];
        hierarchy->version = version;
        hierarchy->device = 40 + h;
        (void)str_copy(hierarchy->controllers, sizeof hierarchy->controllers,
                       version == 1 ? v1[h] : "cpu,io,memory,pids");
        (void)str_format(hierarchy->mount, sizeof hierarchy->mount, "/sys/fs/cgroup/%s",
                         version == 1 ? v1[h] : "");
    }
    for (unsigned id = 0; id < KNOB_N; id++)
        for (unsigned h = 0; version == 1 && h < ARRAY_LEN(v1); h++)
            if (strcmp(v1[h], knobs[id].v1.controller) == 0)
                s->support[id].hierarchy = (int)h;
    (void)str_copy(s->quota.name, sizeof s->quota.name, "web");
    s->quota.file = "/etc/masu/policy.d/shop.yaml";
    s->quota.line = 10;
    s->input = (struct plan_input){
        .host = &s->host, .support = s->support, .groups = s->groups, .device = find_device};
}

struct plan_group *add_group(struct scene *s, const char *path, int parent)
{
    struct plan_group *group = &s->groups[s->count++];
    int version = s->host.hierarchies[0].version;
    group->path = path;
    group->parent = parent;
    for (unsigned h = 0; h < s->host.count; h++)
        group->ids[h] = 1000 * (h + 1) + s->count;
    group->controllers = version == 2 ? "cpu io memory pids" : NULL;
    static const struct knob_setting fresh[] = {
        {KNOB_CPU_BANDWIDTH, 0, KNOB_UNLIMITED},
        {KNOB_CPU_PERIOD, 0, 100000},
        {KNOB_CPU_BURST, 0, 0},
        {KNOB_MEMORY_LIMIT, 0, KNOB_UNLIMITED},
        {KNOB_MEMORY_SWAP, 0, KNOB_UNLIMITED},
        {KNOB_PIDS, 0, KNOB_UNLIMITED},
    };
    for (unsigned i = 0; i < ARRAY_LEN(fresh); i++)
        assert_int_equal(knob_set_put(&group->have, fresh[i].knob, 0, fresh[i].value), 0);
    assert_int_equal(knob_set_put(&group->have, KNOB_CPU_WEIGHT, 0, version == 1 ? 1024 : 100), 0);
    return group;
}

struct plan_group *add_managed(struct scene *s, const char *path, int parent)
{
    struct plan_group *group = add_group(s, path, parent);
    group->managed = true;
    group->quota = &s->quota;
    return group;
}

void holds(struct plan_group *group, enum knob_id knob, uint64_t value)
{
    uint32_t device = knobs[knob].per_device ? (uint32_t)makedev(254, 0) : 0;
    assert_int_equal(knob_set_put(&group->have, knob, device, value), 0);
}

void found(struct plan_group *group, enum knob_id knob, uint64_t value)
{
    uint32_t device = knobs[knob].per_device ? (uint32_t)makedev(254, 0) : 0;
    assert_int_equal(knob_set_put(&group->found, knob, device, value), 0);
}

void asks_of(struct quota *quota, enum knob_id knob, uint64_t value)
{
    struct policy_setting *setting = &quota->settings[quota->setting_count++];
    *setting = (struct policy_setting){.knob = knob, .value = value, .line = 10 + quota->setting_count};
    if (knobs[knob].per_device)
        (void)str_copy(setting->device, sizeof setting->device, "/dev/vda");
}

void asks(struct scene *s, enum knob_id knob, uint64_t value)
{
    asks_of(&s->quota, knob, value);
}

const char *planned(struct scene *s, char text[static 4096])
{
    size_t used = 0;
    text[0] = '\0';
    s->input.group_count = s->count;
    plan_fini(&s->plan);
    assert_int_equal(plan_make(&s->input, &s->plan), 0);
    for (uint32_t i = 0; i < s->plan.row_count; i++) {
        const struct plan_row *row = &s->plan.rows[i];
        const char *path = plan_text(&s->plan, row->path_off);
        const char *key = knobs[row->knob].key;
        char *at = text + used;
        size_t room = 4096 - used;
        int len = 0;
        if (row->kind == PLAN_MAKE_GROUP)
            len = snprintf(at, room, "make %s in %u\n", path, row->hierarchy);
        else if (row->kind == PLAN_ENABLE)
            len = snprintf(at, room, "enable in %s %.*s\n", path,
                           (int)strcspn(plan_text(&s->plan, row->why_off), ":"),
                           plan_text(&s->plan, row->why_off));
        else if (row->kind == PLAN_FORGET)
            len = snprintf(at, room, "forget %s %s\n", path, key);
        else
            len = snprintf(at, room, "%s %s %lld -> %lld\n", path, key, (long long)row->old_value,
                           (long long)row->value);
        used += (size_t)len;
    }
    return text;
}

const char *refusal(const struct scene *s)
{
    return s->plan.refusal_count ? plan_text(&s->plan, s->plan.refusals[0].why_off) : "";
}
