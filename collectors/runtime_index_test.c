/* Many containers of runc under a root of the test's own. */

#include "collectors/runtime_index.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { CONTAINERS = 500 };

struct host {
    char root[64], dir[96];
    struct runtime_index *index;
};

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int host_begin(void **state)
{
    static struct host host;
    str_copy(host.root, sizeof host.root, "/tmp/masu-runtime-index-XXXXXX");
    if (!mkdtemp(host.root))
        return -1;
    str_format(host.dir, sizeof host.dir, "%s/run/runc", host.root);
    host.index = runtime_index_new();
    *state = &host;
    return fs_make_dirs(host.dir, 0700);
}

static int host_end(void **state)
{
    struct host *host = *state;
    runtime_index_free(host->index);
    return nftw(host->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_directory(const struct host *host, const char *id)
{
    char path[128];
    str_format(path, sizeof path, "%s/%s", host->dir, id);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void write_state(const struct host *host, const char *id, const char *group)
{
    char path[160];
    str_format(path, sizeof path, "%s/%s/state.json", host->dir, id);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "{\"id\":\"%s\",\"cgroup_paths\":{\"cpu\":\"/sys/fs/cgroup/cpu%s\","
            "\"memory\":\"/sys/fs/cgroup/memory%s\"}}",
            id, group, group);
    fclose(file);
}

static void start_container(const struct host *host, const char *id, const char *group)
{
    make_directory(host, id);
    write_state(host, id, group);
}

/* When the directory of all containers changed last, as far as it tells. */
static void set_changed(const struct host *host, uint64_t wall_ns)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)(wall_ns / NSEC_PER_SEC)}};
    assert_int_equal(utimensat(AT_FDCWD, host->dir, times, 0), 0);
}

/* The container of the group, "" for none, "above" when it lies in one. */
static const char *owner_of(const struct host *host, const char *path)
{
    static char id[GROUP_ID_MAX];
    const char *runtime;
    switch (runtime_index_find(host->index, host->root, path, &runtime, id)) {
    case RUNTIME_STATE_FOUND:
        assert_string_equal(runtime, "runc");
        return id;
    case RUNTIME_STATE_ABOVE:
        return "above";
    case RUNTIME_STATE_NONE:
        break;
    }
    return "";
}

static void each_of_many_containers_is_found_and_read_once(void **state)
{
    struct host *host = *state;
    char id[32], group[64];
    for (unsigned i = 0; i < CONTAINERS; i++) {
        str_format(id, sizeof id, "box-%u", i);
        str_format(group, sizeof group, "/tools/group-of-%u", i);
        start_container(host, id, group);
    }
    for (unsigned i = 0; i < CONTAINERS; i++) {
        str_format(id, sizeof id, "box-%u", i);
        str_format(group, sizeof group, "/tools/group-of-%u", i);
        assert_string_equal(owner_of(host, group), id);
    }
    assert_string_equal(owner_of(host, "/tools/group-of-7/inner"), "above");
    assert_string_equal(owner_of(host, "/tools/group-of-"), "");
    assert_int_equal(runtime_index_reads(host->index), CONTAINERS);

    start_container(host, "one-more", "/tools/one-more");
    assert_string_equal(owner_of(host, "/tools/one-more"), "one-more");
    assert_int_equal(runtime_index_reads(host->index), CONTAINERS + 1);
}

static void directory_that_stands_still_is_not_listed_again(void **state)
{
    struct host *host = *state;
    uint64_t hour_ago_ns = clock_wall_ns() - 3600 * NSEC_PER_SEC;
    start_container(host, "old", "/old");
    set_changed(host, hour_ago_ns);
    assert_string_equal(owner_of(host, "/old"), "old");
    start_container(host, "new", "/new");
    set_changed(host, hour_ago_ns); /* as no kernel does: it shows that nobody looks */
    assert_string_equal(owner_of(host, "/new"), "");
    set_changed(host, hour_ago_ns + NSEC_PER_SEC);
    assert_string_equal(owner_of(host, "/new"), "new");
}

static void change_within_the_same_tick_of_the_kernel_is_not_missed(void **state)
{
    struct host *host = *state;
    uint64_t now_ns = clock_wall_ns() + NSEC_PER_SEC;
    start_container(host, "old", "/old");
    set_changed(host, now_ns);
    assert_string_equal(owner_of(host, "/old"), "old");
    start_container(host, "new", "/new");
    set_changed(host, now_ns);
    assert_string_equal(owner_of(host, "/new"), "new");
}

static void state_that_is_written_after_the_group_was_asked_for_is_found(void **state)
{
    struct host *host = *state;
    make_directory(host, "late");
    set_changed(host, clock_wall_ns() - 3600 * NSEC_PER_SEC);
    assert_string_equal(owner_of(host, "/late"), "");
    write_state(host, "late", "/late");
    assert_string_equal(owner_of(host, "/late"), "late");
}

static void container_that_is_gone_or_made_anew_is_not_what_it_was(void **state)
{
    struct host *host = *state;
    char from[128], to[128];
    start_container(host, "web", "/web-1");
    assert_string_equal(owner_of(host, "/web-1"), "web");
    str_format(from, sizeof from, "%s/web", host->dir);
    str_format(to, sizeof to, "%s/removed", host->root);
    assert_int_equal(rename(from, to), 0);
    assert_string_equal(owner_of(host, "/web-1"), "");
    start_container(host, "web", "/web-2");
    assert_string_equal(owner_of(host, "/web-2"), "web");
    assert_string_equal(owner_of(host, "/web-1"), "");

    str_format(to, sizeof to, "%s/removed-too", host->root);
    assert_int_equal(rename(from, to), 0);
    start_container(host, "web", "/web-3"); /* and nobody asked meanwhile */
    assert_string_equal(owner_of(host, "/web-3"), "web");
    assert_string_equal(owner_of(host, "/web-2"), "");
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, host_begin, host_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(each_of_many_containers_is_found_and_read_once),
        STORY(directory_that_stands_still_is_not_listed_again),
        STORY(change_within_the_same_tick_of_the_kernel_is_not_missed),
        STORY(state_that_is_written_after_the_group_was_asked_for_is_found),
        STORY(container_that_is_gone_or_made_anew_is_not_what_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
