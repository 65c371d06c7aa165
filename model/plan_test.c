#include "model/plan.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Two writes and a refusal, as a planner would make them. */
static struct plan small_plan(void)
{
    struct plan plan = PLAN_NULL;
    struct plan_row row = {
        .kind = PLAN_WRITE,
        .flags = PLAN_ROW_SHRINK,
        .knob = KNOB_MEMORY_LIMIT,
        .version = 1,
        .hierarchy = 30,
        .cgroup_id = 4711,
        .old_value = KNOB_UNLIMITED,
        .value = UINT64_C(2) << 30,
        .path_off = plan_string(&plan, "/web"),
        .why_off = plan_string(&plan, "quota 'web' (shop.yaml:12)"),
    };
    assert_int_equal(plan_add(&plan, &row), 0);
    row.knob = KNOB_PIDS;
    row.path_off = plan_string(&plan, "/web");
    row.why_off = plan_string(&plan, "quota 'web' (shop.yaml:12)");
    assert_int_equal(plan_add(&plan, &row), 0);
    struct plan_refusal refusal = {.knob = KNOB_CPU_BURST, .warn_only = 1, .path_off = row.path_off};
    refusal.why_off = plan_string(&plan, "this kernel has no cpu.cfs_burst_us");
    assert_int_equal(plan_add_refusal(&plan, &refusal), 0);
    return plan;
}

static struct buf encoded(const struct plan *plan)
{
    struct buf bytes = BUF_NULL;
    plan_encode(plan, &bytes);
    assert_int_equal(buf_error(&bytes), 0);
    return bytes;
}

static void a_plan_arrives_as_it_was_sent(void **state)
{
    (void)state;
    struct plan sent = small_plan(), got;
    struct buf bytes = encoded(&sent);
    assert_int_equal(plan_decode(bytes.data, bytes.len, &got), 0);
    assert_int_equal(got.row_count, 2);
    assert_memory_equal(got.rows, sent.rows, 2 * sizeof *sent.rows);
    assert_int_equal(got.refusal_count, 1);
    assert_memory_equal(got.refusals, sent.refusals, sizeof *sent.refusals);
    assert_string_equal(plan_text(&got, got.rows[0].path_off), "/web");
    assert_string_equal(plan_text(&got, got.rows[1].why_off), "quota 'web' (shop.yaml:12)");
    assert_string_equal(plan_text(&got, got.refusals[0].why_off), "this kernel has no cpu.cfs_burst_us");
    assert_int_equal(plan_add(&got, &sent.rows[0]), 0); /* a decoded plan can grow */
    plan_fini(&got);
    plan_fini(&sent);
    buf_fini(&bytes);
}

static void an_empty_plan_arrives_too(void **state)
{
    (void)state;
    struct plan sent = PLAN_NULL, got;
    struct buf bytes = encoded(&sent);
    assert_int_equal(plan_decode(bytes.data, bytes.len, &got), 0);
    assert_int_equal(got.row_count, 0);
    assert_string_equal(plan_text(&got, 0), "");
    plan_fini(&got);
    buf_fini(&bytes);
}

static void repeated_texts_are_kept_once(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    uint32_t web = plan_string(&plan, "/web"), why = plan_string(&plan, "quota 'web'");
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(plan_string(&plan, "/web"), web);
        assert_int_equal(plan_string(&plan, "quota 'web'"), why);
    }
    assert_int_not_equal(plan_string(&plan, "web"), web); /* the end of another text is not that text */
    assert_int_equal(plan_string(&plan, ""), 0);
    assert_string_equal(plan_text(&plan, web), "/web");
    assert_string_equal(plan_text(&plan, 100000), "");
    plan_fini(&plan);
}

/* Changes one thing of a good plan; it must be refused. */
static void assert_row_refused(void (*damage)(struct plan_row *row))
{
    struct plan plan = small_plan(), got = PLAN_NULL;
    damage(&plan.rows[1]);
    struct buf bytes = encoded(&plan);
    assert_int_equal(plan_decode(bytes.data, bytes.len, &got), -EBADMSG);
    assert_null(got.rows);
    plan_fini(&plan);
    buf_fini(&bytes);
}

static void wrong_kind(struct plan_row *row)
{
    row->kind = 0;
}
static void wrong_high_kind(struct plan_row *row)
{
    row->kind = PLAN_FORGET + 1;
}
static void wrong_flags(struct plan_row *row)
{
    row->flags = 1 << 4;
}
static void wrong_knob(struct plan_row *row)
{
    row->knob = KNOB_N;
}
static void wrong_version(struct plan_row *row)
{
    row->version = 3;
}
static void wrong_path(struct plan_row *row)
{
    row->path_off = 4000;
}
static void no_path(struct plan_row *row)
{
    row->path_off = 0;
}
static void relative_path(struct plan_row *row)
{
    row->path_off += 1; /* "web" */
}
static void wrong_why(struct plan_row *row)
{
    row->why_off = 4000;
}

static void a_row_of_nonsense_is_refused(void **state)
{
    (void)state;
    assert_row_refused(wrong_kind);
    assert_row_refused(wrong_high_kind);
    assert_row_refused(wrong_flags);
    assert_row_refused(wrong_knob);
    assert_row_refused(wrong_version);
    assert_row_refused(wrong_path);
    assert_row_refused(no_path);
    assert_row_refused(relative_path);
    assert_row_refused(wrong_why);
}

static void a_path_cannot_climb(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int result;
    } cases[] = {{"/a/../b", -EBADMSG}, {"/..", -EBADMSG}, {"/a/..", -EBADMSG},
                 {"/a/..b", 0},         {"/...", 0},       {"/", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan plan = small_plan(), got;
        plan.rows[0].path_off = plan_string(&plan, cases[i].path);
        struct buf bytes = encoded(&plan);
        assert_int_equal(plan_decode(bytes.data, bytes.len, &got), cases[i].result);
        if (!cases[i].result)
            plan_fini(&got);
        plan_fini(&plan);
        buf_fini(&bytes);
    }
}

static void a_refusal_of_nonsense_is_refused(void **state)
{
    (void)state;
    static const struct plan_refusal nonsense[] = {
        {.knob = KNOB_N},
        {.warn_only = 2},
        {.path_off = 4000},
        {.why_off = 4000},
    };
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        struct plan plan = small_plan(), got;
        plan.refusals[0] = nonsense[i];
        struct buf bytes = encoded(&plan);
        assert_int_equal(plan_decode(bytes.data, bytes.len, &got), -EBADMSG);
        plan_fini(&plan);
        buf_fini(&bytes);
    }
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct plan plan = small_plan(), got;
    struct buf bytes = encoded(&plan);
    for (size_t len = 0; len < bytes.len; len++) {
        char *cut = malloc(len + 1); /* of its own, so that a sanitizer sees a read beyond it */
        memcpy(cut, bytes.data, len);
        assert_int_equal(plan_decode(cut, len, &got), -EBADMSG);
        free(cut);
    }
    buf_putc(&bytes, 'x');
    assert_int_equal(plan_decode(bytes.data, bytes.len, &got), -EBADMSG);
    plan_fini(&plan);
    buf_fini(&bytes);
}

static void outcomes_arrive_as_they_were_sent(void **state)
{
    (void)state;
    struct plan_outcome items[] = {
        {.read_back = 4096}, {.error = -EBUSY, .undone = 1}, {.error = -ECANCELED}};
    struct plan_outcomes sent = {items, 3}, got;
    struct buf bytes = BUF_NULL;
    plan_outcomes_encode(&sent, &bytes);
    assert_int_equal(plan_outcomes_decode(bytes.data, bytes.len, &got), 0);
    assert_int_equal(got.count, 3);
    assert_memory_equal(got.items, items, sizeof items);
    plan_outcomes_fini(&got);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(plan_outcomes_decode(bytes.data, len, &got), -EBADMSG);
    buf_clear(&bytes);
    items[1].error = 1; /* errno the wrong way round */
    plan_outcomes_encode(&sent, &bytes);
    assert_int_equal(plan_outcomes_decode(bytes.data, bytes.len, &got), -EBADMSG);
    buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_arrives_as_it_was_sent), cmocka_unit_test(an_empty_plan_arrives_too),
        cmocka_unit_test(repeated_texts_are_kept_once),  cmocka_unit_test(a_row_of_nonsense_is_refused),
        cmocka_unit_test(a_path_cannot_climb),           cmocka_unit_test(a_refusal_of_nonsense_is_refused),
        cmocka_unit_test(every_cut_is_noticed),          cmocka_unit_test(outcomes_arrive_as_they_were_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
