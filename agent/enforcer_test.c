/* The enforcer on the running kernel, in groups of its own: whatever hierarchies this host has. */

#include "agent/enforcer_stage.h"
#include "base/fs.h"
#include "cgroup/subtree.h"
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE "/masu-test-planner-enforcer"

static int begin(void **state)
{
    (void)state;
    stage_forget();
    stage_make(BASE);
    stage_make(BASE "/a");
    stage_make(BASE "/b");
    return 0;
}

static int end(void **state)
{
    (void)state;
    stage_unmake(BASE "/a/c");
    stage_unmake(BASE "/a");
    stage_unmake(BASE "/b");
    stage_unmake(BASE);
    return 0;
}

/* ---- stories */

static void a_plan_is_in_force_and_read_back(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    stage_row(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 50000, 0);
    stage_row(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 64 * MIB, 0);
    stage_row(&plan, BASE "/b", KNOB_PIDS, 20, 0);
    struct plan_outcomes outcomes = stage_execute(&plan, NULL);
    assert_int_equal(outcomes.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes.items[i].error, 0);
        assert_int_equal(outcomes.items[i].undone, 0);
        assert_int_equal(outcomes.items[i].read_back, plan.rows[i].value);
    }
    assert_int_equal(stage_held(BASE "/a", KNOB_CPU_BANDWIDTH), 50000);
    assert_int_equal(stage_held(BASE "/a", KNOB_MEMORY_LIMIT), 64 * MIB);
    assert_int_equal(stage_held(BASE "/b", KNOB_PIDS), 20);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void a_row_that_the_kernel_refuses_undoes_its_group_and_no_other(void **state)
{
    (void)state;
    static const struct {
        enum knob_id knob;
        uint64_t value;
    } good[] = {{KNOB_CPU_BANDWIDTH, 50000}, {KNOB_MEMORY_LIMIT, 64 * MIB}, {KNOB_PIDS, 20}};
    for (unsigned k = 0; k <= ARRAY_LEN(good); k++) { /* the refused one stands at place k */
        struct plan plan = PLAN_NULL;
        for (unsigned i = 0; i <= ARRAY_LEN(good); i++) {
            if (i == k)
                stage_row(&plan, BASE "/a", KNOB_CPU_PERIOD, 1000001, 0);
            if (i < ARRAY_LEN(good))
                stage_row(&plan, BASE "/a", good[i].knob, good[i].value, 0);
        }
        stage_row(&plan, BASE "/b", KNOB_PIDS, 30 + k, 0);
        struct plan_outcomes outcomes = stage_execute(&plan, NULL);
        for (unsigned i = 0; i < k; i++)
            assert_true(outcomes.items[i].error == 0 && outcomes.items[i].undone);
        assert_int_equal(outcomes.items[k].error, -EINVAL);
        for (unsigned i = k + 1; i <= ARRAY_LEN(good); i++)
            assert_int_equal(outcomes.items[i].error, -ECANCELED);
        assert_int_equal(stage_held(BASE "/a", KNOB_CPU_BANDWIDTH), UNLIMITED);
        assert_int_equal(stage_held(BASE "/a", KNOB_MEMORY_LIMIT), UNLIMITED);
        assert_int_equal(stage_held(BASE "/a", KNOB_PIDS), UNLIMITED);
        assert_int_equal(stage_held(BASE "/b", KNOB_PIDS), 30 + k);
        assert_int_equal(stage_found_count(), 1); /* only what was really overwritten */
        plan_outcomes_fini(&outcomes);
        plan_fini(&plan);
    }
}

static void another_group_under_the_same_path_is_not_touched(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    stage_row(&plan, BASE "/a", KNOB_PIDS, 20, 0);
    stage_unmake(BASE "/a");
    stage_make(BASE "/a");
    struct plan_outcomes outcomes = stage_execute(&plan, NULL);
    assert_int_equal(outcomes.items[0].error, -ESTALE);
    assert_int_equal(stage_held(BASE "/a", KNOB_PIDS), UNLIMITED);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void remove_at(void *context, uint32_t row)
{
    if (row == *(const uint32_t *)context)
        stage_unmake(BASE "/a");
}

static void a_group_may_vanish_at_each_step(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 4; k++) {
        struct plan plan = PLAN_NULL;
        stage_row(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 50000, 0);
        stage_row(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 64 * MIB, 0);
        stage_row(&plan, BASE "/a", KNOB_PIDS, 20, 0);
        stage_row(&plan, BASE "/b", KNOB_PIDS, 30 + k, 0);
        struct plan_outcomes outcomes =
            stage_execute(&plan, &(struct enforcer_options){.before_row = remove_at, .context = &k});
        if (k < 3)
            assert_int_equal(outcomes.items[k].error, -ENOENT);
        assert_int_equal(outcomes.items[3].error, 0);
        assert_int_equal(stage_held(BASE "/b", KNOB_PIDS), 30 + k);
        assert_int_equal(stage_found_count(), 1);
        plan_outcomes_fini(&outcomes);
        plan_fini(&plan);
        stage_make(BASE "/a");
    }
}

static void what_was_there_is_remembered_until_it_is_given_back(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL, found;
    stage_row(&plan, BASE "/a", KNOB_PIDS, 20, 0);
    struct plan_outcomes outcomes = stage_execute(&plan, NULL);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
    stage_row(&plan, BASE "/a", KNOB_PIDS, 30, 0); /* a second write does not change what was there first */
    outcomes = stage_execute(&plan, NULL);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);

    struct enforcer *e = stage_open(NULL);
    assert_int_equal(enforcer_found(e, &found), 0);
    assert_int_equal(found.row_count, 1);
    assert_string_equal(plan_text(&found, found.rows[0].path_off), BASE "/a");
    assert_int_equal(found.rows[0].old_value, UNLIMITED);
    plan_fini(&found);
    enforcer_close(e);

    stage_row(&plan, BASE "/a", KNOB_PIDS, UNLIMITED, PLAN_ROW_RESTORE);
    outcomes = stage_execute(&plan, NULL);
    assert_int_equal(outcomes.items[0].error, 0);
    assert_int_equal(stage_held(BASE "/a", KNOB_PIDS), UNLIMITED);
    assert_int_equal(stage_found_count(), 0);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void what_was_there_goes_with_its_group(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    stage_row(&plan, BASE "/a", KNOB_PIDS, 20, 0);
    stage_row(&plan, BASE "/b", KNOB_PIDS, 20, 0);
    struct plan_outcomes outcomes = stage_execute(&plan, NULL);
    assert_int_equal(stage_found_count(), 2);
    stage_unmake(BASE "/a");
    stage_make(BASE "/a");
    assert_int_equal(stage_found_count(), 1);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void die_at(void *context, uint32_t row)
{
    if (row == *(const uint32_t *)context)
        _exit(9);
}

static void a_killed_enforcer_leaves_a_group_whole(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 4; k++) {
        struct plan plan = PLAN_NULL;
        stage_row(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 50000, 0);
        stage_row(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 64 * MIB, 0);
        stage_row(&plan, BASE "/a", KNOB_PIDS, 20, 0);
        stage_row(&plan, BASE "/b", KNOB_PIDS, 30 + k, 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct plan_outcomes outcomes =
                stage_execute(&plan, &(struct enforcer_options){.before_row = die_at, .context = &k});
            _exit(outcomes.count > 0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), 9);

        struct enforcer *e = stage_open(NULL);
        bool whole = k == 3;
        assert_int_equal(enforcer_undone_at_start(e), k == 1 || k == 2);
        assert_int_equal(stage_held(BASE "/a", KNOB_CPU_BANDWIDTH), whole ? 50000 : UNLIMITED);
        assert_int_equal(stage_held(BASE "/a", KNOB_MEMORY_LIMIT), whole ? 64 * MIB : UNLIMITED);
        assert_int_equal(stage_held(BASE "/a", KNOB_PIDS), whole ? 20 : UNLIMITED);
        enforcer_close(e);
        assert_int_equal(stage_found_count(), whole ? 3 : 0);
        plan_fini(&plan);
    }
}

static void groups_are_made_filled_and_taken_away_with_their_failure(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    unsigned h = stage_place(KNOB_PIDS);
    if (stage_host.hierarchies[h].version == 2)
        assert_int_equal(subtree_enable(&stage_host, h, BASE "/a", "pids"), GROUP_OK);
    struct plan_row row = {.kind = PLAN_MAKE_GROUP,
                           .version = (uint16_t)stage_host.hierarchies[h].version,
                           .hierarchy = stage_host.hierarchies[h].device,
                           .path_off = plan_string(&plan, BASE "/a/c")};
    assert_int_equal(plan_add(&plan, &row), 0);
    row.kind = PLAN_WRITE;
    row.flags = PLAN_ROW_CREATED;
    row.knob = KNOB_PIDS;
    row.old_value = UNLIMITED;
    row.value = 20;
    assert_int_equal(plan_add(&plan, &row), 0);
    struct plan_outcomes outcomes = stage_execute(&plan, NULL);
    assert_int_equal(outcomes.items[0].error, 0);
    assert_int_equal(outcomes.items[1].error, 0);
    assert_int_equal(stage_held(BASE "/a/c", KNOB_PIDS), 20);
    plan_outcomes_fini(&outcomes);

    stage_unmake(BASE "/a/c");
    plan.rows[1].value = 4194305; /* more than the kernel takes */
    outcomes = stage_execute(&plan, NULL);
    assert_int_equal(outcomes.items[0].undone, 1);
    assert_int_equal(outcomes.items[1].error, -EINVAL);
    assert_false(fs_exists_at(stage_host.hierarchies[h].dirfd, cgroup_below(BASE "/a/c")));
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void a_parent_that_fails_takes_its_widened_child_along_on_v1(void **state)
{
    (void)state;
    if (stage_host.hierarchies[stage_place(KNOB_CPU_BANDWIDTH)].version != 1)
        skip();
    struct plan plan = PLAN_NULL;
    stage_make(BASE "/a/c");
    stage_row(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 100000, 0);
    stage_row(&plan, BASE "/a/c", KNOB_CPU_BANDWIDTH, 100000, 0);
    struct plan_outcomes outcomes = stage_execute(&plan, NULL);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
    stage_row(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 200000, 0);
    stage_row(&plan, BASE "/a/c", KNOB_CPU_BANDWIDTH, 200000, 0);
    stage_row(&plan, BASE "/a", KNOB_PIDS, 4194305, 0); /* refused */
    outcomes = stage_execute(&plan, NULL);
    assert_true(outcomes.items[0].undone && outcomes.items[1].undone);
    assert_int_equal(stage_held(BASE "/a", KNOB_CPU_BANDWIDTH), 100000);
    assert_int_equal(stage_held(BASE "/a/c", KNOB_CPU_BANDWIDTH), 100000);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_plan_is_in_force_and_read_back),
        STORY(a_row_that_the_kernel_refuses_undoes_its_group_and_no_other),
        STORY(another_group_under_the_same_path_is_not_touched),
        STORY(a_group_may_vanish_at_each_step),
        STORY(what_was_there_is_remembered_until_it_is_given_back),
        STORY(what_was_there_goes_with_its_group),
        STORY(a_killed_enforcer_leaves_a_group_whole),
        STORY(groups_are_made_filled_and_taken_away_with_their_failure),
        STORY(a_parent_that_fails_takes_its_widened_child_along_on_v1),
    };
    return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
