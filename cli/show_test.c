#include "cli/plan_show.h"
#include "cli/show.h"
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_shown(const char *(*show)(const json_t *, char *), double value, const char *expected)
{
    char buf[SHOW_MAX];
    json_t *number = json_real(value);

    assert_string_equal(show(number, buf), expected);
    json_decref(number);
}

static void live_numbers_have_three_digits(void **state UNUSED)
{
    assert_shown(show_bytes, 0, "0B");
    assert_shown(show_bytes, 999, "999B");
    assert_shown(show_bytes, 1048576, "1.00MiB");
    assert_shown(show_bytes, 3801088, "3.62MiB");
    assert_shown(show_bytes, 1072693248, "1.00GiB"); /* not 1023MiB */
    assert_shown(show_rate, 303456, "303kB/s");
    assert_shown(show_cores, 1.999, "2.00");
}

static void limits_read_as_a_policy_writes_them(void **state UNUSED)
{
    assert_shown(show_limit, 67108864, "64MiB");
    assert_shown(show_limit, 2147483648, "2GiB");
}

static void what_is_absent_is_a_dash_and_never_zero(void **state UNUSED)
{
    char buf[SHOW_MAX];

    assert_string_equal(show_bytes(NULL, buf), "-");
    assert_string_equal(show_cores(json_null(), buf), "-");
    assert_string_equal(show_limit(NULL, buf), "-");
}

static void ages_and_spans_are_short(void **state UNUSED)
{
    char buf[SHOW_MAX];

    assert_string_equal(show_age(42.4, buf), "42s");
    assert_string_equal(show_age(3 * 3600 + 12 * 60 + 5, buf), "3h 12m");
    assert_string_equal(show_age(5 * 86400 + 3600, buf), "5d 1h");
    assert_string_equal(show_seconds(0.00214, buf), "2.14ms");
}

static void members_are_found_by_their_path(void **state UNUSED)
{
    json_t *object = json_loads("{\"sample\":{\"rates\":{\"cpu_usage\":0.5}},\"quota\":null}", 0, NULL);

    assert_true(show_number(object, "sample.rates.cpu_usage", -1) > 0.49);
    assert_true(show_number(object, "sample.metrics.cpu_usage", -1) < 0);
    assert_string_equal(show_text(object, "quota"), "");
    json_decref(object);
}

static const struct table_column two[] = {{"NAME", false}, {"MEMORY", true}};

static char *rendered(const struct table *table, unsigned width)
{
    struct buf out = BUF_NULL;

    table_render(table, 0, width, &out);
    return buf_take(&out);
}

static void columns_are_as_wide_as_what_stands_in_them(void **state UNUSED)
{
    struct table table;

    table_init(&table, two, ARRAY_LEN(two));
    table_put(&table, PAINT_NONE, "wéb");
    table_put(&table, PAINT_NONE, "1MiB");
    table_put(&table, PAINT_NONE, "database");
    table_put(&table, PAINT_NONE, "12.5MiB");
    char *text = rendered(&table, 0);
    assert_string_equal(text, "NAME       MEMORY\n"
                              "wéb          1MiB\n"
                              "database  12.5MiB\n");
    free(text);
    text = rendered(&table, 12);
    assert_string_equal(text, "NAME    \nwéb     \ndatabase\n");
    free(text);
    table_fini(&table);
}

static void a_name_cannot_command_the_terminal(void **state UNUSED)
{
    struct buf out = BUF_NULL;

    paint_put(&out, PAINT_NONE, "a\033[2Jb\nc");
    assert_string_equal(out.data, "a?[2Jb?c");
    buf_fini(&out);
}

static void a_plan_reads_by_group_with_its_outcomes(void **state UNUSED)
{
    json_t *plan = json_loads(
        "{\"writes\":2,\"rows\":["
        "{\"kind\":\"write\",\"path\":\"/web\",\"knob\":\"pids\",\"text\":\"tasks limit 10 → "
        "20\",\"why\":\"quota 'w'\","
        "\"outcome\":{\"error\":null,\"undone\":false}},"
        "{\"kind\":\"write\",\"path\":\"/web\",\"knob\":\"io.read\",\"device\":\"/dev/vda\","
        "\"text\":\"read rate unlimited → 1MB/s\",\"outcome\":{\"error\":\"the group is "
        "gone\",\"undone\":false}}],"
        "\"refusals\":[{\"path\":\"/web\",\"knob\":\"memory.swap\",\"why\":\"no swap accounting\"}]}",
        0, NULL);
    struct plan_totals totals;
    struct buf out = BUF_NULL;

    assert_non_null(plan);
    plan_show(plan, &out, &totals);
    assert_string_equal(out.data,
                        "/web  quota 'w'\n"
                        "  tasks limit     10 → 20  done\n"
                        "  read rate       unlimited → 1MB/s on /dev/vda  failed: the group is gone\n"
                        "refused:\n"
                        "  /web  memory.swap: no swap accounting\n");
    assert_int_equal(totals.writes, 2);
    assert_int_equal(totals.groups, 1);
    assert_int_equal(totals.failed, 1);
    assert_int_equal(totals.refused, 1);
    buf_fini(&out);
    json_decref(plan);
}

static void a_refusal_says_once_what_it_is_about(void **state UNUSED)
{
    json_t *plan = json_pack("{s:[{s:s, s:s, s:s, s:s}, {s:s, s:s, s:n, s:b, s:s}]}", "refusals", /**/
                             "path", "/a", "knob", "io.read", "device", "0:0", "why",
                             "io.read of /a: the kernel does not take 1B/s", /**/
                             "path", "/a", "knob", "memory.swap", "device", "warn", 1, "why",
                             "memory.swap: this kernel does not account swap");
    struct plan_totals totals;
    struct buf out = BUF_NULL;

    assert_non_null(plan);
    plan_show(plan, &out, &totals);
    assert_string_equal(
        out.data, "refused:\n"
                  "  /a  io.read: the kernel does not take 1B/s\n"
                  "  /a  memory.swap: this kernel does not account swap (left out, as the policy says)\n");
    buf_fini(&out);
    json_decref(plan);
}

static void one_is_not_many(void **state UNUSED)
{
    char buf[SHOW_MAX];

    assert_string_equal(show_counted(0, "write", "writes", buf), "0 writes");
    assert_string_equal(show_counted(1, "write", "writes", buf), "1 write");
    assert_string_equal(show_counted(2, "hierarchy", "hierarchies", buf), "2 hierarchies");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_numbers_have_three_digits),
        cmocka_unit_test(limits_read_as_a_policy_writes_them),
        cmocka_unit_test(what_is_absent_is_a_dash_and_never_zero),
        cmocka_unit_test(ages_and_spans_are_short),
        cmocka_unit_test(members_are_found_by_their_path),
        cmocka_unit_test(columns_are_as_wide_as_what_stands_in_them),
        cmocka_unit_test(a_name_cannot_command_the_terminal),
        cmocka_unit_test(a_plan_reads_by_group_with_its_outcomes),
        cmocka_unit_test(a_refusal_says_once_what_it_is_about),
        cmocka_unit_test(one_is_not_many),
    };
    setenv("NO_COLOR", "1", 1);
    return cmocka_run_group_tests_name("show", tests, NULL, NULL);
}
