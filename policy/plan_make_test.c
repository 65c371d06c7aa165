#include "policy/plan_stage.h"

#include "base/str.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

static void what_the_kernel_already_holds_is_not_written(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    struct plan_group *web = add_managed(&s, "/web", -1);
    holds(web, KNOB_CPU_BANDWIDTH, 150000);
    holds(web, KNOB_MEMORY_LIMIT, 512 * MIB);
    holds(web, KNOB_PIDS, 200);
    asks(&s, KNOB_CPU_BANDWIDTH, CORE * 3 / 2);
    asks(&s, KNOB_MEMORY_LIMIT, 512 * MIB + 17); /* the kernel rounds it down to the page */
    asks(&s, KNOB_CPU_WEIGHT, 100);
    asks(&s, KNOB_PIDS, 200);
    asks(&s, KNOB_IO_READ, KNOB_UNLIMITED);
    assert_string_equal(planned(&s, text), "");
    plan_fini(&s.plan);
}

static void a_row_names_its_group_and_the_line_of_the_policy(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    add_managed(&s, "/web", -1);
    asks(&s, KNOB_PIDS, 200);
    assert_string_equal(planned(&s, text), "/web pids -1 -> 200\n");
    assert_string_equal(plan_text(&s.plan, s.plan.rows[0].why_off), "quota 'web' (shop.yaml:11)");
    assert_int_equal(s.plan.rows[0].hierarchy, 40 + PIDS_TREE);
    assert_int_equal(s.plan.rows[0].cgroup_id, s.groups[0].ids[PIDS_TREE]);
    plan_fini(&s.plan);
}

static void memory_and_swap_move_together_on_v1(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    struct plan_group *web = add_managed(&s, "/web", -1);
    holds(web, KNOB_MEMORY_LIMIT, 64 * MIB);
    holds(web, KNOB_MEMORY_SWAP, 32 * MIB);
    asks(&s, KNOB_MEMORY_LIMIT, 128 * MIB); /* swap is not asked for: memsw goes along */
    assert_string_equal(planned(&s, text), "/web memory.swap 33554432 -> 33554432\n"
                                           "/web memory.limit 67108864 -> 134217728\n");
    assert_int_equal(s.plan.rows[0].old_pair, 64 * MIB);
    assert_int_equal(s.plan.rows[0].pair, 128 * MIB);
    s.quota.setting_count = 0;
    asks(&s, KNOB_MEMORY_LIMIT, 16 * MIB);
    asks(&s, KNOB_MEMORY_SWAP, 0);
    assert_string_equal(planned(&s, text), "/web memory.limit 67108864 -> 16777216\n"
                                           "/web memory.swap 33554432 -> 0\n");
    s.quota.setting_count = 0;
    asks(&s, KNOB_MEMORY_LIMIT, KNOB_UNLIMITED); /* finite memsw above it cannot be said */
    assert_string_equal(planned(&s, text), "/web memory.swap 33554432 -> -1\n"
                                           "/web memory.limit 67108864 -> -1\n");
    plan_fini(&s.plan);
}

static void swap_alone_is_refused_on_v1_and_fine_on_v2(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    add_managed(&s, "/web", -1);
    asks(&s, KNOB_MEMORY_SWAP, 0);
    assert_string_equal(planned(&s, text), "");
    assert_string_equal(
        refusal(&s), "memory.swap of /web needs a memory.limit: cgroup v1 limits memory and swap together");
    plan_fini(&s.plan);
    scene_init(&s, 2);
    add_managed(&s, "/web", -1);
    asks(&s, KNOB_MEMORY_SWAP, 0);
    assert_string_equal(planned(&s, text), "/web memory.swap -1 -> 0\n");
    plan_fini(&s.plan);
}

static void a_limit_below_what_is_used_is_a_shrink(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 2);
    struct plan_group *web = add_managed(&s, "/web", -1);
    web->memory_usage = 100 * MIB;
    asks(&s, KNOB_MEMORY_LIMIT, 64 * MIB);
    planned(&s, text);
    assert_int_equal(s.plan.rows[0].flags, PLAN_ROW_SHRINK);
    web->memory_usage = 10 * MIB;
    planned(&s, text);
    assert_int_equal(s.plan.rows[0].flags, 0);
    plan_fini(&s.plan);
}

static void groups_are_made_in_every_hierarchy_parents_first(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    s.host.count = 2; /* cpu and memory only */
    for (unsigned id = 0; id < KNOB_N; id++)
        if (s.support[id].hierarchy > MEMORY)
            s.support[id] = (struct knob_support){-1, "not here"};
    s.groups[s.count++] = (struct plan_group){.path = "/batch", .parent = -1, .missing = true};
    s.groups[s.count++] = (struct plan_group){.path = "/batch/night",
                                              .parent = 0,
                                              .missing = true,
                                              .masu_made = true,
                                              .managed = true,
                                              .quota = &s.quota};
    asks(&s, KNOB_CPU_BANDWIDTH, CORE);
    assert_string_equal(planned(&s, text), "make /batch in 40\n"
                                           "make /batch in 41\n"
                                           "make /batch/night in 40\n"
                                           "make /batch/night in 41\n"
                                           "/batch/night cpu.bandwidth -1 -> 100000\n");
    assert_int_equal(s.plan.rows[4].flags, PLAN_ROW_CREATED);
    plan_fini(&s.plan);
}

static void controllers_are_enabled_above_groups_that_masu_makes(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 2);
    struct plan_group *root = add_group(&s, "/", -1);
    struct plan_group *batch = add_group(&s, "/batch", 0);
    root->have.count = batch->have.count = 0;
    root->populated = true;
    batch->masu_made = true;
    batch->controllers = "memory";
    s.groups[s.count++] = (struct plan_group){.path = "/batch/night",
                                              .parent = 1,
                                              .missing = true,
                                              .masu_made = true,
                                              .managed = true,
                                              .quota = &s.quota};
    asks(&s, KNOB_CPU_WEIGHT, 50);
    asks(&s, KNOB_MEMORY_LIMIT, 64 * MIB);
    assert_string_equal(planned(&s, text), "enable in / cpu\n"
                                           "enable in /batch cpu\n"
                                           "enable in /batch memory\n"
                                           "make /batch/night in 40\n"
                                           "/batch/night memory.limit -1 -> 67108864\n"
                                           "/batch/night cpu.weight 100 -> 50\n");
    batch->masu_made = false; /* somebody else's */
    assert_string_equal(planned(&s, text), "make /batch/night in 40\n");
    assert_string_equal(refusal(&s),
                        "/batch/night has no cpu controller: /batch is not masu's: enable it in its "
                        "cgroup.subtree_control, or name it under 'groups'");
    batch->controllers = batch->passes_on = "cpu memory"; /* so nothing has to be enabled in it */
    assert_string_equal(planned(&s, text), "make /batch/night in 40\n"
                                           "/batch/night memory.limit -1 -> 67108864\n"
                                           "/batch/night cpu.weight 100 -> 50\n");
    batch->controllers = "memory";
    batch->passes_on = NULL;
    batch->masu_made = true;
    batch->populated = true; /* "+cpu" would silently turn it threaded */
    assert_string_equal(planned(&s, text), "make /batch/night in 40\n");
    assert_string_equal(
        refusal(&s),
        "/batch/night has no cpu controller: /batch has processes, so it cannot enable it for its "
        "children");
    plan_fini(&s.plan);
}

static void a_container_without_the_controller_is_refused_on_v2(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 2);
    add_group(&s, "/", -1);
    struct plan_group *web = add_managed(&s, "/web", 0);
    web->controllers = "memory pids";
    asks(&s, KNOB_IO_READ, 1000000);
    s.quota.unsupported_warn = true;
    assert_string_equal(planned(&s, text), "");
    assert_string_equal(
        refusal(&s),
        "/web has no io controller: cgroup.subtree_control of / does not list it, and masu enables "
        "controllers only for groups that it makes");
    assert_true(s.plan.refusals[0].warn_only);
    plan_fini(&s.plan);
}

static void what_this_kernel_lacks_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    add_managed(&s, "/web", -1);
    s.support[KNOB_CPU_BURST] = (struct knob_support){-1, "this kernel has no CPU burst"};
    asks(&s, KNOB_CPU_BURST, 1000);
    asks(&s, KNOB_PIDS, 10);
    assert_string_equal(planned(&s, text), "/web pids -1 -> 10\n"); /* the rest goes on */
    assert_string_equal(refusal(&s), "cpu.burst: this kernel has no CPU burst");
    assert_false(s.plan.refusals[0].warn_only);
    plan_fini(&s.plan);
}

static void a_partition_is_refused_with_its_disk(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 2);
    add_managed(&s, "/web", -1);
    asks(&s, KNOB_IO_WRITE, 1000000);
    (void)str_copy(s.quota.settings[0].device, sizeof s.quota.settings[0].device, "/dev/vda1");
    assert_string_equal(planned(&s, text), "");
    assert_string_equal(refusal(&s), "io.write: '/dev/vda1' is a partition, use '/dev/vda'");
    plan_fini(&s.plan);
}

static void a_v1_throttle_follows_the_processes_down(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    add_managed(&s, "/web", -1);
    add_group(&s, "/web/init", 0)->populated = true;
    add_group(&s, "/web/user", 0);
    asks(&s, KNOB_IO_READ, 1000000);
    assert_string_equal(planned(&s, text), "/web/init io.read -1 -> 1000000\n"
                                           "/web io.read -1 -> 1000000\n");
    assert_string_equal(plan_text(&s.plan, s.plan.rows[0].why_off),
                        "quota 'web' (shop.yaml:11), pushed down from /web");
    s.groups[2].populated = true;
    assert_string_equal(planned(&s, text), "");
    assert_string_equal(
        refusal(&s),
        "io.read of /web: cgroup v1 throttles each group by itself, and 2 groups from it on down "
        "have processes; 'io: { per_leaf: true }' gives each of them the whole rate");
    s.quota.io_per_leaf = true;
    assert_string_equal(planned(&s, text), "/web/user io.read -1 -> 1000000\n"
                                           "/web/init io.read -1 -> 1000000\n"
                                           "/web io.read -1 -> 1000000\n");
    plan_fini(&s.plan);
}

static void what_was_there_comes_back_when_a_key_goes(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    struct plan_group *web = add_managed(&s, "/web", -1);
    holds(web, KNOB_PIDS, 200);
    holds(web, KNOB_CPU_WEIGHT, 512);
    holds(web, KNOB_IO_READ, 1000000);
    found(web, KNOB_PIDS, 300);
    found(web, KNOB_CPU_WEIGHT, 512);
    found(web, KNOB_IO_READ, KNOB_UNLIMITED);
    asks(&s, KNOB_MEMORY_LIMIT, KNOB_UNLIMITED);
    assert_string_equal(planned(&s, text), "/web pids 200 -> 300\n"
                                           "/web io.read 1000000 -> -1\n"
                                           "forget /web cpu.weight\n");
    assert_int_equal(s.plan.rows[0].flags, PLAN_ROW_RESTORE);
    s.quota.release = RELEASE_KEEP;
    assert_string_equal(planned(&s, text), "forget /web cpu.weight\nforget /web pids\nforget /web io.read\n");
    s.quota.release = RELEASE_UNLIMITED;
    assert_string_equal(planned(&s, text), "/web cpu.weight 512 -> 1024\n"
                                           "/web pids 200 -> -1\n"
                                           "/web io.read 1000000 -> -1\n");
    plan_fini(&s.plan);
}

static void release_all_gives_back_whatever_the_policy_says(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    struct plan_group *web = add_managed(&s, "/web", -1);
    holds(web, KNOB_MEMORY_LIMIT, 64 * MIB);
    holds(web, KNOB_MEMORY_SWAP, 0);
    found(web, KNOB_MEMORY_LIMIT, KNOB_UNLIMITED);
    found(web, KNOB_MEMORY_SWAP, KNOB_UNLIMITED);
    asks(&s, KNOB_MEMORY_LIMIT, 32 * MIB);
    s.quota.release = RELEASE_KEEP;
    s.input.release_all = true;
    assert_string_equal(planned(&s, text), "/web memory.swap 0 -> -1\n"
                                           "/web memory.limit 67108864 -> -1\n");
    plan_fini(&s.plan);
}

static void wanted_is_what_the_kernel_would_store(void **state)
{
    (void)state;
    struct scene s;
    struct knob_set wanted;
    scene_init(&s, 1);
    struct plan_group *web = add_managed(&s, "/web", -1);
    holds(web, KNOB_CPU_PERIOD, 50000);
    asks(&s, KNOB_CPU_BANDWIDTH, CORE * 3 / 2);
    asks(&s, KNOB_CPU_WEIGHT, 50);
    asks(&s, KNOB_MEMORY_LIMIT, 10000001);
    assert_int_equal(plan_wanted(&s.input, web, &wanted), 0);
    assert_int_equal(wanted.count, 3);
    assert_int_equal(knob_set_get(&wanted, KNOB_CPU_BANDWIDTH, 0)->value, 75000);
    assert_int_equal(knob_set_get(&wanted, KNOB_CPU_WEIGHT, 0)->value, 512);
    assert_int_equal(knob_set_get(&wanted, KNOB_MEMORY_LIMIT, 0)->value, 9998336);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_kernel_already_holds_is_not_written),
        cmocka_unit_test(a_row_names_its_group_and_the_line_of_the_policy),
        cmocka_unit_test(memory_and_swap_move_together_on_v1),
        cmocka_unit_test(swap_alone_is_refused_on_v1_and_fine_on_v2),
        cmocka_unit_test(a_limit_below_what_is_used_is_a_shrink),
        cmocka_unit_test(groups_are_made_in_every_hierarchy_parents_first),
        cmocka_unit_test(controllers_are_enabled_above_groups_that_masu_makes),
        cmocka_unit_test(a_container_without_the_controller_is_refused_on_v2),
        cmocka_unit_test(what_this_kernel_lacks_is_refused_with_its_reason),
        cmocka_unit_test(a_partition_is_refused_with_its_disk),
        cmocka_unit_test(a_v1_throttle_follows_the_processes_down),
        cmocka_unit_test(what_was_there_comes_back_when_a_key_goes),
        cmocka_unit_test(release_all_gives_back_whatever_the_policy_says),
        cmocka_unit_test(wanted_is_what_the_kernel_would_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
