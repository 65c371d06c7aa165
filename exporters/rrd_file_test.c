#include "exporters/rrd_file.h"

#include "model/group.h"

#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <rrd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOON_S = 1795000000, STEP_S = 10 };

static char root[64];
static char why[RRD_WHY_MAX];

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/masu-rrd-test-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void names_are_safe_and_lead_back_to_their_key(void **state)
{
    static const struct {
        const char *key, *name;
    } cases[] = {
        {"lxc:web", "lxc%3Aweb.avg.rrd"}, {"/batch/a", "%2Fbatch%2Fa.avg.rrd"},
        {"..", "%2E..avg.rrd"},           {"/", "%2F.avg.rrd"},
        {"a%2Fb", "a%252Fb.avg.rrd"},     {"caf\303\251 x", "caf%C3%A9%20x.avg.rrd"},
    };
    char path[RRD_PATH_MAX], key[GROUP_PATH_MAX];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        assert_true(rrd_file_path("/d", cases[i].key, FOLD_AVERAGE, path));
        assert_string_equal(path + 3, cases[i].name);
        assert_true(rrd_file_key(path + 3, key, sizeof key));
        assert_string_equal(key, cases[i].key);
    }
    assert_false(rrd_file_path("/d", "", FOLD_PEAK, path));
    assert_false(rrd_file_key("other.txt", key, sizeof key));
}

static void the_longest_path_of_odd_bytes_has_a_name_too(void **state)
{
    char key[GROUP_PATH_MAX], path[RRD_PATH_MAX], back[GROUP_PATH_MAX];
    int64_t last_s;

    (void)state;
    memset(key, '/', sizeof key);
    key[sizeof key - 1] = '\0';
    assert_true(rrd_file_path(root, key, FOLD_PEAK, path));
    assert_int_equal(rrd_file_prepare(path, FOLD_PEAK, STEP_S, NOON_S, &last_s, why), RRD_FILE_OK);
    assert_true(rrd_file_key(path + strlen(root) + 1, back, sizeof back));
    assert_string_equal(back, key);
}

/* One value of a column at a time, as any RRD tool reads it. */
static double fetch(const char *path, const char *function, const char *column, int64_t at_s)
{
    time_t start = at_s - 1, end = at_s - 1;
    unsigned long step = STEP_S, count;
    rrd_value_t *data;
    double value = -1;
    char **names;

    assert_int_equal(rrd_fetch_r(path, function, &start, &end, &step, &count, &names, &data), 0);
    for (unsigned long i = 0; i < count; i++) {
        if (strcmp(names[i], column) == 0)
            value = data[(unsigned long)(at_s - start - 1) / step * count + i];
        free(names[i]);
    }
    free(names);
    free(data);
    return value;
}

static struct fold_point point_at(int64_t end_s, double cores, double bytes)
{
    struct fold_point point = {.end_s = end_s};

    for (unsigned id = 0; id < METRIC_N; id++)
        point.average[id] = point.peak[id] = NAN;
    point.average[METRIC_CPU_USAGE] = cores;
    point.peak[METRIC_CPU_USAGE] = 2 * cores;
    point.average[METRIC_MEMORY_USAGE] = bytes;
    return point;
}

static void points_come_back_as_they_were_given(void **state)
{
    char path[RRD_PATH_MAX], peaks[RRD_PATH_MAX];
    struct buf texts = BUF_NULL, peak_texts = BUF_NULL;
    int64_t last_s;

    (void)state;
    assert_true(rrd_file_path(root, "lxc:web", FOLD_AVERAGE, path));
    assert_true(rrd_file_path(root, "lxc:web", FOLD_PEAK, peaks));
    assert_int_equal(rrd_file_prepare(path, FOLD_AVERAGE, STEP_S, NOON_S, &last_s, why), RRD_FILE_OK);
    assert_int_equal(rrd_file_prepare(peaks, FOLD_PEAK, STEP_S, NOON_S, &last_s, why), RRD_FILE_OK);
    for (int i = 1; i <= 12; i++) {
        struct fold_point point = point_at(NOON_S + i * STEP_S, 0.125 * i, 2147483648.0 + i);
        rrd_file_encode(&point, FOLD_AVERAGE, &texts);
        rrd_file_encode(&point, FOLD_PEAK, &peak_texts);
    }
    assert_int_equal(rrd_file_update(path, texts.data, 12, why), RRD_FILE_OK);
    assert_int_equal(rrd_file_update(peaks, peak_texts.data, 12, why), RRD_FILE_OK);
    assert_true(fetch(path, "AVERAGE", "cpu_usage", NOON_S + 70) == 0.875);
    assert_true(fetch(path, "AVERAGE", "mem_usage", NOON_S + 20) == 2147483650.0);
    assert_true(isnan(fetch(path, "AVERAGE", "pids", NOON_S + 20)));
    assert_true(fetch(peaks, "MAX", "cpu_usage", NOON_S + 70) == 1.75);
    /* the same again, and one more: what is past is skipped, the new one is not lost */
    struct fold_point point = point_at(NOON_S + 130, 3, 1);
    rrd_file_encode(&point, FOLD_AVERAGE, &texts);
    assert_int_equal(rrd_file_update(path, texts.data, 13, why), RRD_FILE_OK);
    assert_true(fetch(path, "AVERAGE", "cpu_usage", NOON_S + 130) == 3);
    assert_int_equal(rrd_file_prepare(path, FOLD_AVERAGE, STEP_S, 1, &last_s, why), RRD_FILE_OK);
    assert_int_equal(last_s, NOON_S + 130);
    buf_fini(&texts);
    buf_fini(&peak_texts);
}

static void a_file_of_an_older_table_gains_columns_and_keeps_its_points(void **state)
{
    static const char *older[] = {"DS:cpu_usage:GAUGE:10:U:U", "DS:retired:GAUGE:10:U:U",
                                  "RRA:AVERAGE:0.999:1:2160"};
    static const char *update[] = {"1795000010:1.5:9", "1795000020:2.5:9"};
    char path[RRD_PATH_MAX];
    struct buf texts = BUF_NULL;
    int64_t last_s;

    (void)state;
    assert_true(rrd_file_path(root, "/old", FOLD_AVERAGE, path));
    assert_int_equal(rrd_create_r(path, STEP_S, NOON_S, 3, older), 0);
    assert_int_equal(rrd_update_r(path, NULL, 2, update), 0);
    assert_int_equal(rrd_file_prepare(path, FOLD_AVERAGE, STEP_S, 1, &last_s, why), RRD_FILE_OK);
    assert_int_equal(last_s, NOON_S + 20);
    struct fold_point point = point_at(NOON_S + 30, 3.5, 77);
    rrd_file_encode(&point, FOLD_AVERAGE, &texts);
    assert_int_equal(rrd_file_update(path, texts.data, 1, why), RRD_FILE_OK);
    assert_true(fetch(path, "AVERAGE", "cpu_usage", NOON_S + 10) == 1.5);
    assert_true(fetch(path, "AVERAGE", "cpu_usage", NOON_S + 20) == 2.5);
    assert_true(fetch(path, "AVERAGE", "cpu_usage", NOON_S + 30) == 3.5);
    assert_true(fetch(path, "AVERAGE", "mem_usage", NOON_S + 30) == 77);
    buf_fini(&texts);
}

static void a_file_of_another_step_is_made_anew_with_its_points(void **state)
{
    char path[RRD_PATH_MAX];
    struct buf texts = BUF_NULL;
    int64_t last_s;

    (void)state;
    assert_true(rrd_file_path(root, "/step", FOLD_AVERAGE, path));
    assert_int_equal(rrd_file_prepare(path, FOLD_AVERAGE, 5, NOON_S, &last_s, why), RRD_FILE_OK);
    for (int i = 1; i <= 100; i++) {
        struct fold_point point = point_at(NOON_S + i * 5, 4, 8);
        rrd_file_encode(&point, FOLD_AVERAGE, &texts);
    }
    assert_int_equal(rrd_file_update(path, texts.data, 100, why), RRD_FILE_OK);
    assert_int_equal(rrd_file_prepare(path, FOLD_AVERAGE, STEP_S, 1, &last_s, why), RRD_FILE_OK);
    assert_true(fetch(path, "AVERAGE", "cpu_usage", NOON_S + 250) == 4);
    buf_fini(&texts);
}

static void every_step_a_setting_allows_makes_a_file(void **state)
{
    static const unsigned steps_s[] = {1, 7, 10, 60, 300};
    char path[RRD_PATH_MAX], key[32];
    int64_t last_s;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(steps_s); i++) {
        snprintf(key, sizeof key, "/s%u", steps_s[i]);
        assert_true(rrd_file_path(root, key, FOLD_PEAK, path));
        assert_int_equal(rrd_file_prepare(path, FOLD_PEAK, steps_s[i], NOON_S, &last_s, why), RRD_FILE_OK);
    }
}

static void what_stands_in_the_way_is_told(void **state)
{
    char path[RRD_PATH_MAX];
    struct buf texts = BUF_NULL;
    struct fold_point point = point_at(NOON_S + 10, 1, 1);
    int64_t last_s;

    (void)state;
    rrd_file_encode(&point, FOLD_AVERAGE, &texts);
    assert_true(rrd_file_path(root, "/absent", FOLD_AVERAGE, path));
    assert_int_equal(rrd_file_update(path, texts.data, 1, why), RRD_FILE_MISSING);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "garbage\n", 8), 8);
    close(fd);
    assert_int_equal(rrd_file_prepare(path, FOLD_AVERAGE, STEP_S, NOON_S, &last_s, why), RRD_FILE_FAILED);
    assert_true(strlen(why) > 0);
    buf_fini(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_safe_and_lead_back_to_their_key),
        cmocka_unit_test(the_longest_path_of_odd_bytes_has_a_name_too),
        cmocka_unit_test(points_come_back_as_they_were_given),
        cmocka_unit_test(a_file_of_an_older_table_gains_columns_and_keeps_its_points),
        cmocka_unit_test(a_file_of_another_step_is_made_anew_with_its_points),
        cmocka_unit_test(every_step_a_setting_allows_makes_a_file),
        cmocka_unit_test(what_stands_in_the_way_is_told),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
