#include "base/buf.h"
#include "base/clock.h"
#include "cgroup/fixture_test.h"
#include "cgroup/tree.h"
#include <errno.h>

enum { ONE, TWO }; /* the fixture's hierarchies */

struct story {
    struct fixture *fixture;
    struct group_tree tree;
    struct group_listener listener;
    struct buf told; /* "+/a -/a ..." */
};

static void on_born(void *context, struct group *group)
{
    struct story *s = context;
    buf_printf(&s->told, "+%s ", group->path);
}

static void on_gone(void *context, struct group *group)
{
    struct story *s = context;
    buf_printf(&s->told, "-%s ", group->path);
}

static int setup(void **state)
{
    struct story *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->fixture = fixture_open("memory", "pids\n");
    s->listener = (struct group_listener){on_born, on_gone, s};
    assert_int_equal(group_tree_init(&s->tree, &s->fixture->host), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct story *s = *state;
    group_tree_fini(&s->tree);
    fixture_close(s->fixture);
    buf_fini(&s->told);
    free(s);
    return 0;
}

static void add(struct story *s, unsigned hierarchy, const char *path, uint64_t id)
{
    assert_int_equal(group_tree_add(&s->tree, hierarchy, path, id, &s->listener), 0);
}

static void assert_told(struct story *s, const char *text)
{
    assert_string_equal(s->told.data ? s->told.data : "", text);
    buf_clear(&s->told);
}

static void scan(struct story *s)
{
    struct group_scan *scan = group_scan_begin(&s->tree, &s->listener);
    assert_non_null(scan);
    int r;
    while ((r = group_scan_step(scan, 0)) == GROUP_SCAN_MORE)
        ;
    assert_int_equal(r, GROUP_SCAN_DONE);
    group_scan_free(scan);
}

static void one_group_is_born_once_over_all_hierarchies(void **state)
{
    struct story *s = *state;
    add(s, ONE, "/a", 10);
    add(s, TWO, "/a", 20);
    add(s, TWO, "/a", 20);
    assert_told(s, "+/a ");
    struct group *a = group_tree_find(&s->tree, "/a");
    assert_ptr_equal(group_tree_by_id(&s->tree, ONE, 10), a);
    assert_ptr_equal(group_tree_by_id(&s->tree, TWO, 20), a);
    assert_null(group_tree_by_id(&s->tree, ONE, 20));
    assert_ptr_equal(a->parent, s->tree.root);
}

static void it_is_gone_when_the_last_hierarchy_lost_it(void **state)
{
    struct story *s = *state;
    add(s, ONE, "/a", 10);
    add(s, TWO, "/a", 20);
    group_tree_remove(&s->tree, ONE, "/a", &s->listener);
    assert_told(s, "+/a ");
    group_tree_remove(&s->tree, TWO, "/a", &s->listener);
    assert_told(s, "-/a ");
    assert_null(group_tree_find(&s->tree, "/a"));
    assert_null(group_tree_by_id(&s->tree, TWO, 20));
    group_tree_remove(&s->tree, TWO, "/a", &s->listener);
    assert_told(s, "");
}

static void children_go_before_their_parent(void **state)
{
    struct story *s = *state;
    add(s, ONE, "/a", 10);
    add(s, ONE, "/a/b", 11);
    add(s, ONE, "/a/b/c", 12);
    add(s, ONE, "/a/d", 13);
    add(s, TWO, "/a", 20);
    add(s, TWO, "/a/d", 21);
    buf_clear(&s->told);
    group_tree_remove(&s->tree, ONE, "/a", &s->listener); /* its children's removals were lost */
    assert_told(s, "-/a/b/c -/a/b ");
    group_tree_remove(&s->tree, TWO, "/a", &s->listener);
    assert_told(s, "-/a/d -/a ");
}

static void a_directory_made_anew_is_another_group(void **state)
{
    struct story *s = *state;
    int owner;
    add(s, ONE, "/a", 10);
    add(s, TWO, "/a", 20);
    add(s, ONE, "/a/b", 11);
    group_tree_find(&s->tree, "/a")->owner = &owner;
    buf_clear(&s->told);
    add(s, ONE, "/a", 15);
    add(s, TWO, "/a", 25);
    assert_told(s, "-/a/b -/a +/a ");
    assert_null(group_tree_find(&s->tree, "/a")->owner);
    assert_null(group_tree_by_id(&s->tree, TWO, 20));
    assert_int_equal(group_tree_find(&s->tree, "/a")->ids[TWO], 25);
}

static void a_child_needs_its_parent(void **state)
{
    struct story *s = *state;
    assert_int_equal(group_tree_add(&s->tree, ONE, "/x/y", 5, &s->listener), -ENOENT);
    char path[GROUP_PATH_MAX + 2];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(group_tree_add(&s->tree, ONE, path, 5, &s->listener), -ENAMETOOLONG);
    assert_told(s, "");
}

static void a_scan_finds_what_is_there_and_forgets_what_is_not(void **state)
{
    struct story *s = *state;
    fixture_dir(s->fixture, "/one/a/b");
    fixture_dir(s->fixture, "/two/a/b");
    fixture_dir(s->fixture, "/two/only");
    scan(s);
    assert_int_equal(s->tree.count, 4);
    assert_non_null(group_tree_find(&s->tree, "/a/b"));
    assert_int_equal(group_tree_find(&s->tree, "/only")->ids[ONE], 0);
    assert_true(group_tree_find(&s->tree, "/a")->ids[ONE] != 0);
    buf_clear(&s->told);
    scan(s);
    assert_told(s, "");
    fixture_remove(s->fixture, "/two/a");
    scan(s);
    assert_told(s, "");
    assert_int_equal(group_tree_find(&s->tree, "/a/b")->ids[TWO], 0);
    fixture_remove(s->fixture, "/one/a");
    scan(s);
    assert_told(s, "-/a/b -/a ");
}

static void a_birth_during_the_scan_survives_it(void **state)
{
    struct story *s = *state;
    struct group_scan *running = group_scan_begin(&s->tree, &s->listener);
    while (group_scan_step(running, 0) == GROUP_SCAN_MORE && !list_empty(&s->tree.root->children))
        ;
    struct stat st;
    fixture_dir(s->fixture, "/one/late");
    assert_int_equal(fstatat(s->fixture->host.hierarchies[ONE].dirfd, "late", &st, 0), 0);
    add(s, ONE, "/late", st.st_ino);
    add(s, TWO, "/ghost", 77); /* came and went, the watch's second event is still to come */
    int r;
    while ((r = group_scan_step(running, 0)) == GROUP_SCAN_MORE)
        ;
    group_scan_free(running);
    assert_told(s, "+/late +/ghost -/ghost ");
}

static void too_long_paths_are_counted_not_followed(void **state)
{
    struct story *s = *state;
    char path[PATH_MAX] = "/one";
    for (int i = 0; i < 5; i++)
        for (size_t at = strlen(path), end = at + 200; at < end; at++)
            str_copy(path + at, sizeof path - at, at + 200 == end ? "/" : "n");
    fixture_dir(s->fixture, path);
    scan(s);
    assert_int_equal(s->tree.count, 4);
    assert_int_equal(s->tree.too_long, 1);
}

static void a_scan_may_be_dropped_halfway(void **state)
{
    struct story *s = *state;
    fixture_dir(s->fixture, "/one/a/b/c");
    struct group_scan *running = group_scan_begin(&s->tree, &s->listener);
    assert_int_equal(group_scan_step(running, 0), GROUP_SCAN_MORE);
    assert_null(group_scan_free(running));
}

static void many_children_are_read_in_slices(void **state)
{
    struct story *s = *state;
    char path[32];
    for (int i = 0; i < 20; i++) {
        str_format(path, sizeof path, "/one/g%d", i);
        fixture_dir(s->fixture, path);
    }
    struct group_scan *running = group_scan_begin(&s->tree, &s->listener);
    unsigned slices = 1;
    while (group_scan_step(running, 0) == GROUP_SCAN_MORE)
        slices++;
    assert_null(group_scan_free(running));
    assert_true(slices > 20);
    for (int i = 0; i < 20; i++) {
        str_format(path, sizeof path, "/g%d", i);
        assert_non_null(group_tree_find(&s->tree, path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_group_is_born_once_over_all_hierarchies, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_gone_when_the_last_hierarchy_lost_it, setup, teardown),
        cmocka_unit_test_setup_teardown(children_go_before_their_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_made_anew_is_another_group, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_needs_its_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_scan_finds_what_is_there_and_forgets_what_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(a_birth_during_the_scan_survives_it, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long_paths_are_counted_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_scan_may_be_dropped_halfway, setup, teardown),
        cmocka_unit_test_setup_teardown(many_children_are_read_in_slices, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
