#pragma once
/* The planner's tests: a host, a few groups and one quota, built up by each story, and plans as text. */

#include "policy/plan_make.h"

#define MIB UINT64_C(1048576)
#define CORE UINT64_C(1000000)

enum { CPU = 0, MEMORY = 1, BLKIO = 2, PIDS_TREE = 3, GROUPS_MAX = 8 };

struct scene {
    struct cgroup_host host;
    struct knob_support support[KNOB_N];
    struct plan_group groups[GROUPS_MAX];
    unsigned count;
    struct quota quota;
    struct plan_input input;
    struct plan plan;
};

void scene_init(struct scene *s, int version);
/* A group that holds what a new one holds; the other is held by the scene's quota. */
struct plan_group *add_group(struct scene *s, const char *path, int parent);
struct plan_group *add_managed(struct scene *s, const char *path, int parent);
void holds(struct plan_group *group, enum knob_id knob, uint64_t value);
void found(struct plan_group *group, enum knob_id knob, uint64_t value);
void asks_of(struct quota *quota, enum knob_id knob, uint64_t value);
void asks(struct scene *s, enum knob_id knob, uint64_t value);
/* The plan as text, one row per line: "/a cpu.bandwidth 1 -> 2". */
const char *planned(struct scene *s, char text[static 4096]);
/* The first refusal's reason, "" when there is none. */
const char *refusal(const struct scene *s);
