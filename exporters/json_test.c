#include "base/clock.h"
#include "base/str.h"
#include "exporters/json.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t gib = UINT64_C(1) << 30;
static const uint32_t disk = 254 << 8, loop3 = 7 << 8 | 3; /* as makedev packs 254:0 and 7:3 */

static bool name_device(void *context UNUSED, uint32_t device, char *name, size_t size)
{
    return device == disk && str_copy(name, size, "/dev/vda");
}

static const char *name_mount(void *context UNUSED, uint32_t hierarchy)
{
    return hierarchy == 0 ? "/sys/fs/cgroup/memory" : NULL;
}

static const struct json_host v1_host = {.cpu_version = 1, .device = name_device, .mount = name_mount};
static const struct json_host v2_host = {.cpu_version = 2, .device = name_device};

/* A container that has been sampled twice, one second apart. */
static struct view a_container(void)
{
    struct view view = {.flags = VIEW_MANAGED | VIEW_POPULATED,
                        .born_wall_ns = 1795000000 * NSEC_PER_SEC,
                        .identity = {.path = "/lxc/web", .name = "web", .runtime = "lxc", .id = "web"},
                        .quota = "small"};

    view.before.mono_ns = 100 * NSEC_PER_SEC;
    row_set(&view.before, METRIC_CPU_USAGE, 12000000);
    row_set(&view.before, METRIC_IO_READ_BYTES, 0);
    view.row.mono_ns = 101 * NSEC_PER_SEC;
    view.row.wall_ns = 1795000001 * NSEC_PER_SEC + 20 * NSEC_PER_MSEC;
    row_set(&view.row, METRIC_CPU_USAGE, 12250000);
    row_set(&view.row, METRIC_IO_READ_BYTES, 4096);
    row_set(&view.row, METRIC_MEMORY_USAGE, gib);
    return view;
}

static void put(struct knob_set *set, enum knob_id knob, uint32_t device, uint64_t value)
{
    assert_int_equal(knob_set_put(set, knob, device, value), 0);
}

/* Compares an object with the JSON a reader of docs/api.md expects. Takes @object. */
static void assert_json(json_t *object, const char *expected)
{
    char *text = json_dumps(object, JSON_DUMP_FLAGS);

    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
    json_decref(object);
}

static json_t *container(const struct json_host *host, const char *fields_text, const struct view *view)
{
    struct json_fields fields;

    assert_true(json_fields_parse(fields_text, &fields));
    return json_container(host, &fields, view);
}

static void a_sampled_container_reads_as_the_api_promises(void **state UNUSED)
{
    struct view view = a_container();

    assert_json(
        container(&v2_host, "", &view),
        "{\"path\":\"/lxc/web\",\"name\":\"web\",\"runtime\":\"lxc\",\"id\":\"web\",\"kind\":\"group\","
        "\"born\":1795000000.0,\"populated\":true,\"managed\":true,\"settling\":false,\"created\":false,"
        "\"io_per_leaf\":false,\"quota\":\"small\",\"level\":\"none\",\"level_since\":null,\"wanted\":{},"
        "\"limits\":{},\"adopted\":[],"
        "\"sample\":{\"time\":1795000001.02,\"metrics\":{\"cpu_usage\":12.25,\"memory_usage\":1073741824,"
        "\"io_read\":4096},"
        "\"rates\":{\"cpu_usage\":0.25,\"io_read\":4096.0}}}");
}

static void limits_left_to_somebody_else_are_named(void **state UNUSED)
{
    struct view view = a_container();

    view.adopted = UINT32_C(1) << KNOB_CPU_BANDWIDTH | UINT32_C(1) << KNOB_PIDS;
    assert_json(container(&v2_host, "adopted", &view), "{\"adopted\":[\"cpu.bandwidth\",\"pids\"]}");
}

static void a_container_not_sampled_yet_has_no_numbers_rather_than_zeros(void **state UNUSED)
{
    struct view view = {.identity = {.path = "/new", .name = "/new", .runtime = "cgroup"}};

    assert_json(container(&v2_host, "sample,quota", &view), "{\"quota\":null,\"sample\":null}");
}

static void the_first_sample_has_values_but_no_rates(void **state UNUSED)
{
    struct view view = a_container();

    memset(&view.before, 0, sizeof view.before);
    assert_json(container(&v2_host, "sample.rates", &view),
                "{\"sample\":{\"time\":1795000001.02,\"rates\":{}}}");
}

static void fields_choose_whole_members_and_single_numbers(void **state UNUSED)
{
    struct view view = a_container();

    assert_json(
        container(&v2_host, "name,sample.metrics.memory_usage,sample.rates.cpu_usage", &view),
        "{\"name\":\"web\",\"sample\":{\"time\":1795000001.02,\"metrics\":{\"memory_usage\":1073741824},"
        "\"rates\":{\"cpu_usage\":0.25}}}");
}

static void a_field_that_no_container_has_is_refused(void **state UNUSED)
{
    struct json_fields fields;

    assert_false(json_fields_parse("path,nmae", &fields));
    assert_false(json_fields_parse("pathology", &fields));
    assert_true(json_fields_parse("path,,name,", &fields));
    assert_int_equal(fields.count, 2);
}

static void limits_are_in_base_units_with_devices_by_name(void **state UNUSED)
{
    struct view view = a_container();

    put(&view.in_force, KNOB_CPU_BANDWIDTH, 0, 75000);
    put(&view.in_force, KNOB_CPU_PERIOD, 0, 50000);
    put(&view.in_force, KNOB_CPU_WEIGHT, 0, 100);
    put(&view.in_force, KNOB_MEMORY_LIMIT, 0, KNOB_UNLIMITED);
    put(&view.in_force, KNOB_MEMORY_SWAP, 0, 0);
    put(&view.in_force, KNOB_IO_READ, disk, 50000000);
    put(&view.in_force, KNOB_IO_WRITE_IOPS, disk, KNOB_UNLIMITED);
    put(&view.in_force, KNOB_IO_READ, loop3, 1000);
    assert_json(container(&v2_host, "limits", &view),
                "{\"limits\":{\"cpu.bandwidth\":1.5,\"cpu.period\":0.05,\"cpu.weight\":100,\"memory.limit\":"
                "null,\"memory.swap\":0,"
                "\"io\":{\"7:3\":{\"read\":1000},\"/dev/vda\":{\"read\":50000000,\"write_iops\":null}}}}");
}

static void weights_read_the_same_on_both_versions(void **state UNUSED)
{
    struct view view = a_container();

    put(&view.wanted, KNOB_CPU_WEIGHT, 0, 2048); /* cpu.shares */
    assert_json(container(&v1_host, "wanted", &view), "{\"wanted\":{\"cpu.weight\":200}}");
}

static void a_name_that_is_no_text_still_gives_json(void **state UNUSED)
{
    struct view view = a_container();

    str_copy(view.identity.name, sizeof view.identity.name, "w\xff\"b");
    assert_json(container(&v2_host, "name", &view), "{\"name\":\"w\xef\xbf\xbd\\\"b\"}");
}

static void a_pressure_event_tells_both_levels(void **state UNUSED)
{
    struct event event = {.sequence = 17,
                          .wall_ns = 1795000002 * NSEC_PER_SEC + 500 * NSEC_PER_MSEC,
                          .type = EVENT_PRESSURE,
                          .level_before = LEVEL_LOW,
                          .level = LEVEL_MEDIUM,
                          .path = "/lxc/web",
                          .name = "web",
                          .runtime = "lxc",
                          .text = "300 refaults/s"};

    assert_json(json_event(&event), "{\"number\":17,\"time\":1795000002.5,\"type\":\"pressure\",\"severity\":"
                                    "\"warning\",\"path\":\"/lxc/web\","
                                    "\"name\":\"web\",\"runtime\":\"lxc\",\"level\":\"medium\",\"before\":"
                                    "\"low\",\"text\":\"300 refaults/s\"}");
    event.level = LEVEL_CRITICAL;
    assert_string_equal(event_severity_name(event_severity(&event)), "page");
    event.level = LEVEL_NONE;
    assert_string_equal(event_severity_name(event_severity(&event)), "info");
}

static void an_event_of_the_agent_has_no_container(void **state UNUSED)
{
    struct event event = {.sequence = 1, .type = EVENT_POLICY, .text = "2 quotas"};

    assert_json(
        json_event(&event),
        "{\"number\":1,\"time\":0.0,\"type\":\"policy\",\"severity\":\"info\",\"text\":\"2 quotas\"}");
}

static struct plan a_plan(void)
{
    struct plan plan = PLAN_NULL;
    uint32_t path = plan_string(&plan, "/lxc/web"), why = plan_string(&plan, "quota 'web' (shop.yaml:12)");
    const struct plan_row rows[] = {
        {.kind = PLAN_WRITE,
         .knob = KNOB_MEMORY_LIMIT,
         .version = 1,
         .old_value = KNOB_UNLIMITED,
         .value = 2 * gib},
        {.kind = PLAN_WRITE, .knob = KNOB_CPU_WEIGHT, .version = 1, .old_value = 1024, .value = 512},
        {.kind = PLAN_FORGET, .knob = KNOB_PIDS, .version = 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct plan_row row = rows[i];
        row.path_off = path;
        row.why_off = why;
        assert_int_equal(plan_add(&plan, &row), 0);
    }
    return plan;
}

static const char *text_of(json_t *plan, size_t row)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(plan, "rows"), row), "text"));
}

static void a_plan_tells_each_write_in_words(void **state UNUSED)
{
    struct plan plan = a_plan();
    json_t *object = json_plan(&v1_host, &plan, NULL);

    assert_string_equal(text_of(object, 0), "memory limit unlimited → 2GiB");
    assert_string_equal(text_of(object, 1), "CPU weight 100 → 50");
    json_t *row = json_incref(json_array_get(json_object_get(object, "rows"), 0));
    assert_json(
        row,
        "{\"kind\":\"write\",\"path\":\"/lxc/web\",\"knob\":\"memory.limit\",\"device\":null,\"version\":1,"
        "\"mount\":\"/sys/fs/cgroup/memory\","
        "\"file\":\"memory.limit_in_bytes\",\"old\":null,\"new\":2147483648,\"text\":\"memory limit "
        "unlimited → 2GiB\","
        "\"why\":\"quota 'web' (shop.yaml:12)\",\"step\":false,\"restore\":false}");
    json_decref(object);
    plan_fini(&plan);
}

static void a_group_to_make_tells_where(void **state UNUSED)
{
    struct plan plan = PLAN_NULL;
    const struct plan_row make = {.kind = PLAN_MAKE_GROUP, .version = 1};

    assert_int_equal(plan_add(&plan, &make), 0);
    json_t *object = json_plan(&v1_host, &plan, NULL);
    assert_string_equal(text_of(object, 0), "make the group in /sys/fs/cgroup/memory");
    json_decref(object);
    plan_fini(&plan);
}

static void a_write_of_memory_and_swap_together_tells_both(void **state UNUSED)
{
    struct plan plan = PLAN_NULL;
    const struct plan_row narrowed = {.kind = PLAN_WRITE,
                                      .knob = KNOB_MEMORY_SWAP,
                                      .version = 1,
                                      .old_value = KNOB_UNLIMITED,
                                      .old_pair = KNOB_UNLIMITED,
                                      .value = gib,
                                      .pair = 2 * gib},
                          moved = {.kind = PLAN_WRITE,
                                   .knob = KNOB_MEMORY_SWAP,
                                   .version = 1,
                                   .old_pair = gib,
                                   .pair = 2 * gib},
                          apart = {.kind = PLAN_WRITE, .knob = KNOB_MEMORY_SWAP, .version = 2, .value = gib};

    assert_int_equal(plan_add(&plan, &narrowed), 0);
    assert_int_equal(plan_add(&plan, &moved), 0);
    assert_int_equal(plan_add(&plan, &apart), 0);
    json_t *object = json_plan(&v1_host, &plan, NULL);
    assert_string_equal(text_of(object, 0), "swap limit unlimited → 1GiB: memory+swap unlimited → 3GiB");
    assert_string_equal(text_of(object, 1), "swap limit stays 0B: memory+swap 1GiB → 2GiB");
    assert_string_equal(text_of(object, 2), "swap limit 0B → 1GiB");
    json_decref(object);
    plan_fini(&plan);
}

static void what_is_merely_forgotten_is_no_write(void **state UNUSED)
{
    struct plan plan = a_plan();
    json_t *object = json_plan(&v1_host, &plan, NULL);

    assert_int_equal(json_integer_value(json_object_get(object, "writes")), 2);
    assert_int_equal(json_array_size(json_object_get(object, "rows")), 3);
    json_decref(object);
    plan_fini(&plan);
}

static void outcomes_tell_what_the_kernel_holds_or_why_not(void **state UNUSED)
{
    struct plan plan = a_plan();
    struct plan_outcome items[] = {
        {.read_back = 2 * gib}, {.error = -ESTALE, .read_back = 1024}, {.error = -ECANCELED}};
    struct plan_outcomes outcomes = {.items = items, .count = ARRAY_LEN(items)};
    json_t *object = json_plan(&v1_host, &plan, &outcomes);
    json_t *rows = json_object_get(object, "rows");

    assert_json(json_incref(json_object_get(json_array_get(rows, 0), "outcome")),
                "{\"error\":null,\"undone\":false,\"read_back\":2147483648}");
    assert_json(
        json_incref(json_object_get(json_array_get(rows, 1), "outcome")),
        "{\"error\":\"the group is not the one the plan was made for\",\"undone\":false,\"read_back\":1024}");
    json_decref(object);
    plan_fini(&plan);
}

static void a_refusal_names_the_knob_the_device_and_the_reason(void **state UNUSED)
{
    struct plan plan = PLAN_NULL;
    struct plan_refusal refusal = {.knob = KNOB_IO_READ,
                                   .device = disk,
                                   .path_off = plan_string(&plan, "/lxc/web"),
                                   .why_off = plan_string(&plan, "no such disk")};

    assert_int_equal(plan_add_refusal(&plan, &refusal), 0);
    assert_json(json_plan(&v2_host, &plan, NULL), "{\"writes\":0,\"rows\":[],\"refusals\":[{\"path\":\"/lxc/"
                                                  "web\",\"knob\":\"io.read\",\"device\":\"/dev/vda\","
                                                  "\"warn\":false,\"why\":\"no such disk\"}]}");
    plan_fini(&plan);
}

static void the_metric_table_lists_every_metric(void **state UNUSED)
{
    json_t *object = json_metrics();
    json_t *list = json_object_get(object, "metrics");

    assert_int_equal(json_array_size(list), METRIC_N);
    assert_json(json_incref(json_array_get(list, METRIC_CPU_USAGE)),
                "{\"name\":\"cpu_usage\",\"group\":\"cpu\",\"kind\":\"counter\",\"unit\":\"seconds\","
                "\"help\":\"CPU time consumed\","
                "\"archived\":true,\"peak\":true}");
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sampled_container_reads_as_the_api_promises),
        cmocka_unit_test(limits_left_to_somebody_else_are_named),
        cmocka_unit_test(a_container_not_sampled_yet_has_no_numbers_rather_than_zeros),
        cmocka_unit_test(the_first_sample_has_values_but_no_rates),
        cmocka_unit_test(fields_choose_whole_members_and_single_numbers),
        cmocka_unit_test(a_field_that_no_container_has_is_refused),
        cmocka_unit_test(limits_are_in_base_units_with_devices_by_name),
        cmocka_unit_test(weights_read_the_same_on_both_versions),
        cmocka_unit_test(a_name_that_is_no_text_still_gives_json),
        cmocka_unit_test(a_pressure_event_tells_both_levels),
        cmocka_unit_test(an_event_of_the_agent_has_no_container),
        cmocka_unit_test(a_plan_tells_each_write_in_words),
        cmocka_unit_test(a_group_to_make_tells_where),
        cmocka_unit_test(a_write_of_memory_and_swap_together_tells_both),
        cmocka_unit_test(what_is_merely_forgotten_is_no_write),
        cmocka_unit_test(outcomes_tell_what_the_kernel_holds_or_why_not),
        cmocka_unit_test(a_refusal_names_the_knob_the_device_and_the_reason),
        cmocka_unit_test(the_metric_table_lists_every_metric),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
