#include "cgroup/kernel_test.h"

static int setup(void **state)
{
    *state = kernel_open("group");
    return 0;
}

static int teardown(void **state)
{
    if (*state)
        kernel_close(*state);
    return 0;
}

static struct kernel *need(void **state)
{
    if (!*state)
        SKIP("no cgroups to work with");
    return *state;
}

static void a_group_is_made_once_and_removed_once(void **state)
{
    struct kernel *k = need(state);
    for (unsigned i = 0; i < k->host.count; i++) {
        uint64_t id = 0, again = 0;
        struct stat st;
        assert_int_equal(group_make(&k->host, i, kernel_path(k, "/a"), &id), GROUP_OK);
        assert_int_equal(fstatat(k->host.hierarchies[i].dirfd, cgroup_below(kernel_path(k, "/a")), &st, 0),
                         0);
        assert_int_equal(st.st_ino, id);
        assert_int_equal(st.st_mode & 07777, 0755);
        assert_int_equal(group_id(&k->host, i, kernel_path(k, "/a"), &again), 0);
        assert_int_equal(again, id);
        assert_int_equal(group_make(&k->host, i, kernel_path(k, "/a"), &id), GROUP_EXISTS);
        assert_int_equal(group_make(&k->host, i, kernel_path(k, "/no/child"), &id), GROUP_GONE);
        assert_int_equal(group_id(&k->host, i, kernel_path(k, "/no"), &id), GROUP_GONE);
        assert_int_equal(group_make(&k->host, i, kernel_path(k, "/a/b"), &id), GROUP_OK);
        assert_int_equal(group_remove(&k->host, i, kernel_path(k, "/a")), GROUP_BUSY);
        assert_int_equal(group_remove(&k->host, i, kernel_path(k, "/a/b")), GROUP_OK);
        assert_int_equal(group_remove(&k->host, i, kernel_path(k, "/a")), GROUP_OK);
        assert_int_equal(group_remove(&k->host, i, kernel_path(k, "/a")), GROUP_GONE);
        assert_int_equal(group_remove(&k->host, i, "/"), GROUP_BUSY);
    }
}

/* Whether every line of /proc/PID/cgroup that is of a hierarchy of ours ends with @path. */
static unsigned lines_in(pid_t pid, const char *path)
{
    char name[64], text[8192];
    str_format(name, sizeof name, "/proc/%d/cgroup", pid);
    assert_true(fs_read_at(AT_FDCWD, name, text, sizeof text) > 0);
    unsigned n = 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        n += str_ends(line, path);
    return n;
}

static void a_process_is_moved_in_every_hierarchy(void **state)
{
    struct kernel *k = need(state);
    pid_t first = 0;
    struct worker w = worker_start(NULL);
    assert_int_equal(group_first_pid(&k->host, k->top, &first), -ENOENT);
    assert_int_equal(group_attach(&k->host, k->top, w.pid), GROUP_OK);
    assert_int_equal(lines_in(w.pid, k->top), k->host.count);
    assert_int_equal(group_first_pid(&k->host, k->top, &first), 0);
    assert_int_equal(first, w.pid);
    for (unsigned i = 0; i < k->host.count; i++)
        assert_int_equal(group_remove(&k->host, i, k->top), GROUP_BUSY);
    assert_int_equal(lines_in(w.pid, k->top), k->host.count); /* no removal moved it to the parent */
    worker_end(&w);
}

static void attaching_fails_plainly(void **state)
{
    struct kernel *k = need(state);
    pid_t first;
    struct worker w = worker_start(NULL);
    assert_int_equal(group_attach(&k->host, kernel_path(k, "/no"), w.pid), GROUP_GONE);
    assert_int_equal(group_first_pid(&k->host, kernel_path(k, "/no"), &first), GROUP_GONE);
    worker_end(&w);
    assert_int_equal(group_attach(&k->host, k->top, w.pid), -ESRCH);
}

static void a_v1_cpuset_inherits_what_its_parent_has(void **state)
{
    struct kernel *k = need(state);
    int index = cgroup_host_find(&k->host, "cpuset");
    if (index < 0 || k->host.hierarchies[index].version != 1)
        SKIP("no v1 cpuset hierarchy");
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
    kernel_make(k, kernel_path(k, "/a"));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char ours[4096], roots[4096], name[GROUP_PATH_MAX];
        assert_true(str_format(name, sizeof name, "%s/a/%s", cgroup_below(k->top), files[i]));
        assert_true(fs_read_at(k->host.hierarchies[index].dirfd, name, ours, sizeof ours) > 0);
        assert_true(fs_read_at(k->host.hierarchies[index].dirfd, files[i], roots, sizeof roots) > 0);
        assert_string_equal(ours, roots);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_group_is_made_once_and_removed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_process_is_moved_in_every_hierarchy, setup, teardown),
        cmocka_unit_test_setup_teardown(attaching_fails_plainly, setup, teardown),
        cmocka_unit_test_setup_teardown(a_v1_cpuset_inherits_what_its_parent_has, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
