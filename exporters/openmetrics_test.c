#include "base/str.h"
#include "exporters/openmetrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct view a_group(const char *path, const char *name, uint64_t cpu_usec)
{
    struct view view = {.identity = {.kind = SUBJECT_GROUP, .runtime = "lxc"}};

    str_copy(view.identity.path, sizeof view.identity.path, path);
    str_copy(view.identity.name, sizeof view.identity.name, name);
    row_set(&view.row, METRIC_CPU_USAGE, cpu_usec);
    return view;
}

static struct view an_interface(const char *name)
{
    struct view view = {.identity = {.kind = SUBJECT_INTERFACE, .runtime = "interface"}};

    str_copy(view.identity.path, sizeof view.identity.path, name);
    str_copy(view.identity.name, sizeof view.identity.name, name);
    row_set(&view.row, METRIC_NETWORK_RECEIVE_BYTES, 1500);
    return view;
}

/* The whole page, made in pieces of @limit bytes; frees @page. */
static char *whole(struct openmetrics *page, size_t limit)
{
    struct buf out = BUF_NULL, piece = BUF_NULL;
    bool more = true;

    while (more) {
        buf_clear(&piece);
        more = openmetrics_next(page, limit, &piece);
        buf_append(&out, piece.data, piece.len);
    }
    assert_int_equal(buf_error(&out), 0);
    buf_fini(&piece);
    openmetrics_free(page);
    char *text = buf_take(&out);
    return text ? text : strdup("");
}

static void add(struct openmetrics *page, struct view view)
{
    assert_int_equal(openmetrics_add(page, &view), 0);
}

static void two_containers_stand_in_one_family(void **state UNUSED)
{
    struct openmetrics *page = openmetrics_new(OPENMETRICS_PROMETHEUS);

    add(page, a_group("/lxc/web", "web", 12500000));
    add(page, a_group("/lxc/db", "db", 1));
    char *text = whole(page, 4096);
    assert_string_equal(
        text,
        "# HELP masu_container_cpu_usage_seconds_total CPU time consumed\n"
        "# TYPE masu_container_cpu_usage_seconds_total counter\n"
        "masu_container_cpu_usage_seconds_total{container=\"web\",path=\"/lxc/web\",runtime=\"lxc\"} 12.5\n"
        "masu_container_cpu_usage_seconds_total{container=\"db\",path=\"/lxc/db\",runtime=\"lxc\"} "
        "0.000001\n");
    free(text);
}

static void openmetrics_has_units_families_without_total_and_an_end(void **state UNUSED)
{
    struct openmetrics *page = openmetrics_new(OPENMETRICS_OPENMETRICS);

    add(page, a_group("/lxc/web", "web", 2000000));
    char *text = whole(page, 4096);
    assert_string_equal(
        text,
        "# HELP masu_container_cpu_usage_seconds CPU time consumed\n"
        "# TYPE masu_container_cpu_usage_seconds counter\n"
        "# UNIT masu_container_cpu_usage_seconds seconds\n"
        "masu_container_cpu_usage_seconds_total{container=\"web\",path=\"/lxc/web\",runtime=\"lxc\"} 2\n"
        "# EOF\n");
    free(text);
}

static void a_number_that_the_kernel_does_not_offer_is_not_there(void **state UNUSED)
{
    struct openmetrics *page = openmetrics_new(OPENMETRICS_PROMETHEUS);
    struct view bare = a_group("/bare", "/bare", 0);

    row_unset(&bare.row, METRIC_CPU_USAGE);
    add(page, bare);
    char *text = whole(page, 4096);
    assert_string_equal(text, "");
    free(text);
}

static void interfaces_and_the_host_have_families_of_their_own(void **state UNUSED)
{
    struct openmetrics *page = openmetrics_new(OPENMETRICS_PROMETHEUS);
    struct view host = a_group("/", "buchla", 3000000);

    host.identity.kind = SUBJECT_HOST;
    add(page, host);
    add(page, an_interface("eth0"));
    char *text = whole(page, 4096);
    assert_non_null(strstr(text, "\nmasu_host_cpu_usage_seconds_total 3\n"));
    assert_non_null(strstr(text, "\nmasu_interface_network_receive_bytes_total{interface=\"eth0\"} 1500\n"));
    assert_null(strstr(text, "masu_container_"));
    free(text);
}

static void hostile_names_cannot_break_out_of_their_label(void **state UNUSED)
{
    struct openmetrics *page = openmetrics_new(OPENMETRICS_PROMETHEUS);

    add(page, a_group("/a\\b", "x\"} 1\nevil 2\xff", 1000000));
    char *text = whole(page, 4096);
    assert_non_null(
        strstr(text, "{container=\"x\\\"} 1\\nevil 2\xef\xbf\xbd\",path=\"/a\\\\b\",runtime=\"lxc\"} 1\n"));
    free(text);
}

static void the_page_is_the_same_however_small_the_pieces(void **state UNUSED)
{
    char *texts[2];

    for (unsigned i = 0; i < 2; i++) {
        struct openmetrics *page = openmetrics_new(OPENMETRICS_OPENMETRICS);
        add(page, an_interface("lo"));
        for (unsigned k = 0; k < 50; k++) {
            char path[32];
            str_format(path, sizeof path, "/c%u", k);
            struct view view = a_group(path, path, k);
            row_set(&view.row, METRIC_MEMORY_USAGE, k);
            add(page, view);
        }
        texts[i] = whole(page, i ? 1 : 1 << 20);
    }
    assert_string_equal(texts[0], texts[1]);
    free(texts[0]);
    free(texts[1]);
}

static void numbers_about_masu_follow_with_one_head_per_name(void **state UNUSED)
{
    struct openmetrics *page = openmetrics_new(OPENMETRICS_PROMETHEUS);
    struct openmetrics_self self = {.name = "masu_agent_process_restarts",
                                    .help = "Times a process of masu was started again",
                                    .kind = METRIC_COUNTER,
                                    .unit = "",
                                    .label = "role",
                                    .label_value = "core",
                                    .value = 2};

    assert_int_equal(openmetrics_add_self(page, &self), 0);
    self.label_value = "gateway";
    self.value = 0.5;
    assert_int_equal(openmetrics_add_self(page, &self), 0);
    char *text = whole(page, 4096);
    assert_string_equal(text,
                        "# HELP masu_agent_process_restarts_total Times a process of masu was started again\n"
                        "# TYPE masu_agent_process_restarts_total counter\n"
                        "masu_agent_process_restarts_total{role=\"core\"} 2\n"
                        "masu_agent_process_restarts_total{role=\"gateway\"} 0.5\n");
    free(text);
}

static void the_accept_header_chooses_the_format(void **state UNUSED)
{
    assert_int_equal(openmetrics_negotiate(NULL), OPENMETRICS_PROMETHEUS);
    assert_int_equal(openmetrics_negotiate("text/html,*/*"), OPENMETRICS_PROMETHEUS);
    assert_int_equal(openmetrics_negotiate("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"),
                     OPENMETRICS_OPENMETRICS);
}

/* Prometheus' own linter reads a page that has every metric of the table. */
static void promtool_finds_nothing_to_say(void **state UNUSED)
{
    if (system("command -v promtool >/dev/null")) {
        print_message("skipped: promtool is not installed\n");
        skip();
    }
    char file[] = "/tmp/masu-openmetrics-XXXXXX", command[128];
    struct openmetrics *page = openmetrics_new(OPENMETRICS_PROMETHEUS);
    struct view group = a_group("/lxc/web", "web", 1), host = a_group("/", "here", 1),
                link = an_interface("eth0");

    host.identity.kind = SUBJECT_HOST;
    for (unsigned i = 0; i < METRIC_N; i++) {
        row_set(&group.row, (enum metric_id)i, i);
        row_set(&host.row, (enum metric_id)i, i);
    }
    add(page, host);
    add(page, group);
    add(page, link);
    char *text = whole(page, 4096);
    int fd = mkstemp(file);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    free(text);
    str_format(command, sizeof command, "promtool check metrics <%s", file);
    int status = system(command);
    unlink(file);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_containers_stand_in_one_family),
        cmocka_unit_test(openmetrics_has_units_families_without_total_and_an_end),
        cmocka_unit_test(a_number_that_the_kernel_does_not_offer_is_not_there),
        cmocka_unit_test(interfaces_and_the_host_have_families_of_their_own),
        cmocka_unit_test(hostile_names_cannot_break_out_of_their_label),
        cmocka_unit_test(the_page_is_the_same_however_small_the_pieces),
        cmocka_unit_test(numbers_about_masu_follow_with_one_head_per_name),
        cmocka_unit_test(the_accept_header_chooses_the_format),
        cmocka_unit_test(promtool_finds_nothing_to_say),
    };
    return cmocka_run_group_tests_name("openmetrics", tests, NULL, NULL);
}
