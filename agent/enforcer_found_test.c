#include "agent/enforcer_found.h"
#include "base/str.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define THIS_BOOT "11111111-2222-3333-4444-555555555555"
#define NEXT_BOOT "66666666-7777-8888-9999-000000000000"

struct place {
    char path[64];
    int dirfd;
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)str_copy(place->path, sizeof place->path, "/tmp/masu-found-test-XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->dirfd = open(place->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *state = place;
    return place->dirfd < 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    (void)unlinkat(place->dirfd, "found", 0);
    close(place->dirfd);
    rmdir(place->path);
    free(place);
    return 0;
}

static struct found_store open_store(const struct place *place, const char *boot)
{
    struct found_store store;
    char boot_id[RECORD_BOOT_MAX] = "";
    (void)str_copy(boot_id, sizeof boot_id, boot);
    assert_int_equal(found_open(&store, place->dirfd, boot_id), 0);
    return store;
}

/* A write of pids in group @id: @old -> @value. */
static struct plan_row row_of(uint64_t id, uint64_t old, uint64_t value)
{
    return (struct plan_row){.kind = PLAN_WRITE,
                             .knob = KNOB_PIDS,
                             .version = 1,
                             .hierarchy = 40,
                             .cgroup_id = id,
                             .old_value = old,
                             .value = value};
}

static int add(struct found_store *store, uint64_t id, uint64_t old)
{
    struct plan_row row = row_of(id, old, old + 1);
    struct knob_setting settings[2];
    assert_int_equal(found_of_row(&row, settings), 1);
    return found_add(store, &row, "/web", &settings[0]);
}

static void drop(struct found_store *store, uint64_t id)
{
    struct plan_row row = row_of(id, 0, 0);
    found_drop(store, &row, KNOB_PIDS, 0);
}

static uint64_t value_of(struct found_store *store, uint64_t id)
{
    struct plan_row row = row_of(id, 0, 0);
    const struct knob_setting *setting = found_get(store, &row, KNOB_PIDS, 0);
    return setting ? setting->value : 0;
}

static off_t log_size(const struct place *place)
{
    struct stat st;
    assert_int_equal(fstatat(place->dirfd, "found", &st, 0), 0);
    return st.st_size;
}

static void the_first_value_stays_and_outlives_the_process(void **state)
{
    struct found_store store = open_store(*state, THIS_BOOT);
    assert_int_equal(add(&store, 7, 100), FOUND_ADDED);
    assert_int_equal(add(&store, 7, 200), FOUND_KNOWN);
    assert_int_equal(add(&store, 8, 300), FOUND_ADDED);
    assert_int_equal(found_flush(&store), 0);
    drop(&store, 8);
    assert_int_equal(found_flush(&store), 0);
    found_close(&store);
    store = open_store(*state, THIS_BOOT);
    assert_int_equal(value_of(&store, 7), 100);
    assert_int_equal(store.count, 1);
    found_close(&store);
}

static void another_boot_begins_with_nothing(void **state)
{
    struct found_store store = open_store(*state, THIS_BOOT);
    assert_int_equal(add(&store, 7, 100), FOUND_ADDED);
    assert_int_equal(found_flush(&store), 0);
    found_close(&store);
    store = open_store(*state, NEXT_BOOT); /* the ids mean other groups now */
    assert_int_equal(store.count, 0);
    found_close(&store);
}

static void a_torn_tail_costs_only_itself(void **state)
{
    struct place *place = *state;
    struct found_store store = open_store(place, THIS_BOOT);
    assert_int_equal(add(&store, 7, 100), FOUND_ADDED);
    assert_int_equal(found_flush(&store), 0);
    off_t whole = log_size(place);
    assert_int_equal(add(&store, 8, 200), FOUND_ADDED);
    assert_int_equal(found_flush(&store), 0);
    off_t both = log_size(place);
    found_close(&store);
    char *bytes = malloc((size_t)both);
    assert_non_null(bytes);
    int fd = openat(place->dirfd, "found", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, bytes, (size_t)both, 0), both);
    close(fd);
    for (off_t cut = both - 1; cut >= whole; cut--) {
        fd = openat(place->dirfd, "found", O_WRONLY | O_TRUNC | O_CLOEXEC);
        assert_int_equal(write(fd, bytes, (size_t)cut), cut);
        close(fd);
        store = open_store(place, THIS_BOOT);
        assert_int_equal(value_of(&store, 7), 100);
        assert_int_equal(value_of(&store, 8), 0);
        assert_int_equal(add(&store, 9, 300), FOUND_ADDED); /* the log goes on behind what was whole */
        assert_int_equal(found_flush(&store), 0);
        found_close(&store);
        store = open_store(place, THIS_BOOT);
        assert_int_equal(store.count, 2);
        assert_int_equal(value_of(&store, 9), 300);
        found_close(&store);
    }
    free(bytes);
}

static void a_changed_byte_is_noticed(void **state)
{
    struct place *place = *state;
    struct found_store store = open_store(place, THIS_BOOT);
    assert_int_equal(add(&store, 7, 100), FOUND_ADDED);
    assert_int_equal(found_flush(&store), 0);
    found_close(&store);
    int fd = openat(place->dirfd, "found", O_RDWR | O_CLOEXEC);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, log_size(place) - 30), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, log_size(place) - 30), 1);
    close(fd);
    store = open_store(place, THIS_BOOT);
    assert_int_equal(store.count, 0);
    found_close(&store);
}

static void a_long_history_is_written_anew(void **state)
{
    struct place *place = *state;
    struct found_store store = open_store(place, THIS_BOOT);
    off_t largest = 0;
    for (unsigned n = 0; n < 20000; n++) { /* containers come and go */
        assert_int_equal(add(&store, 100 + n, n + 1), FOUND_ADDED);
        assert_int_equal(found_flush(&store), 0);
        drop(&store, 100 + n);
        assert_int_equal(found_flush(&store), 0);
        largest = log_size(place) > largest ? log_size(place) : largest;
    }
    assert_true(largest < 2 * 1024 * 1024);
    assert_int_equal(add(&store, 7, 100), FOUND_ADDED);
    assert_int_equal(found_flush(&store), 0);
    found_close(&store);
    store = open_store(place, THIS_BOOT);
    assert_int_equal(store.count, 1);
    assert_int_equal(value_of(&store, 7), 100);
    found_close(&store);
}

static void a_period_that_goes_with_the_bandwidth_is_remembered_on_v2(void **state)
{
    (void)state;
    struct plan_row row = {.kind = PLAN_WRITE,
                           .knob = KNOB_CPU_BANDWIDTH,
                           .version = 2,
                           .old_value = 50000,
                           .value = 20000,
                           .old_pair = 100000,
                           .pair = 50000};
    struct knob_setting settings[2];
    assert_int_equal(found_of_row(&row, settings), 2);
    assert_int_equal(settings[1].knob, KNOB_CPU_PERIOD);
    assert_int_equal(settings[1].value, 100000);
    row.value = 50000; /* the quota is the same, only the period moves */
    assert_int_equal(found_of_row(&row, settings), 1);
    assert_int_equal(settings[0].knob, KNOB_CPU_PERIOD);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_first_value_stays_and_outlives_the_process),
        STORY(another_boot_begins_with_nothing),
        STORY(a_torn_tail_costs_only_itself),
        STORY(a_changed_byte_is_noticed),
        STORY(a_long_history_is_written_anew),
        cmocka_unit_test(a_period_that_goes_with_the_bandwidth_is_remembered_on_v2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
