/* Lowering memory below what is used, on the running kernel. */

#include "agent/enforcer_stage.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define BASE "/masu-test-planner-shrink"

static int begin(void **state)
{
    (void)state;
    stage_forget();
    stage_make(BASE);
    stage_make(BASE "/a");
    return 0;
}

static int end(void **state)
{
    (void)state;
    stage_unmake(BASE "/a");
    stage_unmake(BASE);
    return 0;
}

static void memory_that_cannot_be_taken_back_is_lowered_as_far_as_it_goes(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    pid_t pid = stage_hold(BASE "/a", 32 * MIB, -1);
    stage_row(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 8 * MIB, PLAN_ROW_SHRINK);
    stage_row(&plan, BASE "/a", KNOB_PIDS, 20, 0);
    struct plan_outcomes outcomes = stage_execute(&plan, NULL);
    assert_true(outcomes.items[0].error == -EBUSY || outcomes.items[0].error == -ETIMEDOUT);
    assert_false(outcomes.items[0].undone);
    assert_in_range(outcomes.items[0].read_back, 32 * MIB, 48 * MIB);
    assert_int_equal(stage_held(BASE "/a", KNOB_MEMORY_LIMIT), outcomes.items[0].read_back);
    assert_int_equal(stage_held(BASE "/a", KNOB_PIDS), 20); /* the rest of the group goes on */
    assert_int_equal(stage_found_count(), 2);
    stage_end_holder(pid);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

/* A file, or where there is no disk to write to a disk itself, whose pages are charged to who reads them; or
 * -1. */
static int open_readable(uint64_t bytes)
{
    char path[] = MASU_BINARY_DIR "/enforcer-test-XXXXXX";
    static char block[65536];
    int file = mkstemp(path);
    if (file < 0)
        return open("/dev/vda", O_RDONLY | O_CLOEXEC);
    unlink(path);
    for (uint64_t at = 0; at < bytes; at += sizeof block)
        assert_int_equal(write(file, block, sizeof block), sizeof block);
    assert_int_equal(fdatasync(file), 0);
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    return file;
}

static void page_cache_is_taken_back(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    int file = open_readable(32 * MIB);
    if (file < 0) {
        print_message("skipped: no disk whose pages could be taken back\n");
        skip();
    }
    pid_t pid = stage_hold(BASE "/a", 32 * MIB, file);
    assert_true(stage_memory_used(BASE "/a") > 24 * MIB); /* else there is nothing to take back */
    stage_row(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 8 * MIB, PLAN_ROW_SHRINK);
    struct plan_outcomes outcomes =
        stage_execute(&plan, &(struct enforcer_options){.shrink_ns = UINT64_C(30000000000)});
    assert_int_equal(outcomes.items[0].error, 0);
    assert_int_equal(stage_held(BASE "/a", KNOB_MEMORY_LIMIT), 8 * MIB);
    assert_in_range(stage_memory_used(BASE "/a"), 1, 8 * MIB);
    stage_end_holder(pid);
    close(file);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(memory_that_cannot_be_taken_back_is_lowered_as_far_as_it_goes),
        STORY(page_cache_is_taken_back),
    };
    return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
