#include "base/clock.h"
#include "cgroup/kernel_test.h"
#include "cgroup/tree.h"

struct story {
    struct kernel *kernel;
    struct group_tree tree;
    struct group_listener listener;
    unsigned born, gone; /* below the test's own group */
};

static void count(void *context, struct group *group, bool born)
{
    struct story *s = context;
    if (str_starts(group->path, s->kernel->top))
        *(born ? &s->born : &s->gone) += 1;
}

static void on_born(void *context, struct group *group)
{
    count(context, group, true);
}

static void on_gone(void *context, struct group *group)
{
    count(context, group, false);
}

static void scan(struct story *s)
{
    struct group_scan *scan = group_scan_begin(&s->tree, &s->listener);
    assert_non_null(scan);
    int r;
    while ((r = group_scan_step(scan, clock_mono_ns() + NSEC_PER_MSEC)) == GROUP_SCAN_MORE)
        ;
    assert_int_equal(r, GROUP_SCAN_DONE);
    group_scan_free(scan);
}

static void scans_follow_births_and_deaths_in_every_hierarchy(void **state)
{
    (void)state;
    struct story s = {.kernel = kernel_open("tree")};
    if (!s.kernel)
        SKIP("no cgroups to work with");
    s.listener = (struct group_listener){on_born, on_gone, &s};
    assert_int_equal(group_tree_init(&s.tree, &s.kernel->host), 0);
    kernel_make(s.kernel, kernel_path(s.kernel, "/a"));
    kernel_make(s.kernel, kernel_path(s.kernel, "/a/b"));
    scan(&s);
    assert_int_equal(s.born, 3);
    const struct group *b = group_tree_find(&s.tree, kernel_path(s.kernel, "/a/b"));
    for (unsigned i = 0; i < s.kernel->host.count; i++) {
        uint64_t id;
        assert_int_equal(group_id(&s.kernel->host, i, b->path, &id), 0);
        assert_int_equal(b->ids[i], id);
    }
    assert_int_equal(group_remove(&s.kernel->host, 0, kernel_path(s.kernel, "/a/b")), GROUP_OK);
    scan(&s);
    assert_int_equal(b->ids[0], 0);
    for (unsigned i = 1; i < s.kernel->host.count; i++)
        assert_int_equal(group_remove(&s.kernel->host, i, kernel_path(s.kernel, "/a/b")), GROUP_OK);
    scan(&s);
    assert_int_equal(s.gone, 1);
    assert_null(group_tree_find(&s.tree, kernel_path(s.kernel, "/a/b")));
    group_tree_fini(&s.tree);
    kernel_close(s.kernel);
}

static void a_group_made_anew_between_scans_is_another_one(void **state)
{
    (void)state;
    struct story s = {.kernel = kernel_open("anew")};
    if (!s.kernel)
        SKIP("no cgroups to work with");
    s.listener = (struct group_listener){on_born, on_gone, &s};
    assert_int_equal(group_tree_init(&s.tree, &s.kernel->host), 0);
    kernel_make(s.kernel, kernel_path(s.kernel, "/a"));
    scan(&s);
    for (unsigned i = 0; i < s.kernel->host.count; i++)
        assert_int_equal(group_remove(&s.kernel->host, i, kernel_path(s.kernel, "/a")), GROUP_OK);
    kernel_make(s.kernel, kernel_path(s.kernel, "/a"));
    scan(&s);
    assert_int_equal(s.born, 3);
    assert_int_equal(s.gone, 1);
    for (unsigned i = 0; i < s.kernel->host.count; i++)
        assert_true(group_tree_find(&s.tree, kernel_path(s.kernel, "/a"))->ids[i] != 0);
    group_tree_fini(&s.tree);
    kernel_close(s.kernel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_follow_births_and_deaths_in_every_hierarchy),
        cmocka_unit_test(a_group_made_anew_between_scans_is_another_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
