#pragma once
/*
 * A random host: a tree of groups on the fake, a state that others left there, a policy; and what the planner
 * is told of it. The same seed makes the same world.
 */

#include "policy/plan_make.h"
#include "tests/conformance/fake_cgroupfs.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { WORLD_QUOTAS = 3, WORLD_MISSING_MAX = 4 };

struct world {
    uint64_t seed, random;
    const char *stage; /* for messages */
    struct cgroup_host host;
    struct knob_support support[KNOB_N];
    struct fake_cgroupfs fs;
    struct knob_set found[FAKE_GROUPS_MAX];
    bool ours[FAKE_GROUPS_MAX];                     /* groups that the policy makes */
    char missing[WORLD_MISSING_MAX][FAKE_PATH_MAX]; /* ... and that are not there yet */
    unsigned missing_count;
    struct quota quotas[WORLD_QUOTAS];
    int quota_of[FAKE_GROUPS_MAX]; /* -1: none */
    bool strict;                   /* release: restore everywhere, so that all comes back */
};

#define WORLD_CHECK(w, condition, ...)                                                                       \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_message("seed %llu, %s: ", (unsigned long long)(w)->seed, (w)->stage);                     \
            print_message(__VA_ARGS__);                                                                      \
            print_message("\n");                                                                             \
            fail();                                                                                          \
        }                                                                                                    \
    } while (0)

/* A tree in a state; @version 1 or 2, 0: the seed decides. */
void world_init(struct world *w, uint64_t seed, int version);
/* Another policy. */
void world_policy(struct world *w);

struct gathered {
    struct plan_group groups[FAKE_GROUPS_MAX];
    char controllers[FAKE_GROUPS_MAX][64];
    unsigned count;
};
void world_gather(struct world *w, struct gathered *ret);
struct plan_input world_input(const struct world *w, const struct gathered *g, bool release_all);
/* Plans for the world as it is. */
void world_plan(struct world *w, bool release_all, struct plan *ret);
/* Carries out one row on the fake; anything but success fails the test. */
void world_execute(struct world *w, const struct plan *plan, const struct plan_row *row);
void world_print(const struct plan *plan);
