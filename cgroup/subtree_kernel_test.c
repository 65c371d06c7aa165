#include "cgroup/kernel_test.h"
#include "cgroup/subtree.h"

static int setup(void **state)
{
    *state = kernel_open("subtree");
    return 0;
}

static int teardown(void **state)
{
    if (*state)
        kernel_close(*state);
    return 0;
}

/* The kernel and the index of its v2 hierarchy. */
static struct kernel *need(void **state, unsigned *ret_v2)
{
    if (!*state)
        SKIP("no cgroups to work with");
    struct kernel *k = *state;
    int index = cgroup_host_find(&k->host, "");
    if (index < 0)
        SKIP("no cgroup2 hierarchy");
    *ret_v2 = (unsigned)index;
    return k;
}

static void the_root_lists_what_the_host_offers(void **state)
{
    unsigned v2;
    struct kernel *k = need(state, &v2);
    struct controller_set available, enabled;
    assert_int_equal(subtree_available(&k->host, v2, "/", &available), 0);
    assert_int_equal(subtree_enabled(&k->host, v2, "/", &enabled), 0);
    for (unsigned i = 0; i < available.count; i++)
        assert_true(cgroup_has_controller(k->host.hierarchies[v2].controllers, available.names[i]));
    for (unsigned i = 0; i < enabled.count; i++)
        assert_true(controller_set_has(&available, enabled.names[i]));
    assert_false(controller_set_has(&available, "no-such"));
}

static void a_controller_that_is_elsewhere_cannot_be_enabled(void **state)
{
    unsigned v2;
    struct kernel *k = need(state, &v2);
    assert_int_equal(subtree_enable(&k->host, v2, kernel_path(k, "/gone"), "memory"), GROUP_GONE);
    struct controller_set available;
    assert_int_equal(subtree_available(&k->host, v2, k->top, &available), 0);
    static const char *const controllers[] = {"cpu", "memory", "pids", "io", "hugetlb"};
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        if (!controller_set_has(&available, controllers[i]))
            assert_int_equal(subtree_enable(&k->host, v2, k->top, controllers[i]), -ENOENT);
}

static void a_populated_group_is_left_alone(void **state)
{
    unsigned v2;
    struct kernel *k = need(state, &v2);
    struct worker w = worker_start(NULL);
    assert_int_equal(group_attach(&k->host, k->top, w.pid), GROUP_OK);
    static const char *const controllers[] = {"cpu", "memory", "pids"};
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        assert_int_equal(subtree_enable(&k->host, v2, k->top, controllers[i]), GROUP_BUSY);
    char type[64], name[GROUP_PATH_MAX];
    assert_true(str_format(name, sizeof name, "%s/cgroup.type", cgroup_below(k->top)));
    assert_true(fs_read_at(k->host.hierarchies[v2].dirfd, name, type, sizeof type) > 0);
    assert_string_equal(type, "domain\n");
    worker_end(&w);
}

static void an_enabled_controller_shows_and_stays(void **state)
{
    unsigned v2;
    struct kernel *k = need(state, &v2);
    struct controller_set set;
    if (k->host.mode != CGROUP_UNIFIED)
        SKIP("the controllers of this host are on v1");
    kernel_hand_down(k, "pids", "/");
    kernel_make(k, kernel_path(k, "/a"));
    assert_int_equal(subtree_enable(&k->host, v2, k->top, "pids"), GROUP_OK);
    assert_int_equal(subtree_enable(&k->host, v2, k->top, "pids"), GROUP_OK);
    assert_int_equal(subtree_enabled(&k->host, v2, k->top, &set), 0);
    assert_true(controller_set_has(&set, "pids"));
    assert_int_equal(subtree_available(&k->host, v2, kernel_path(k, "/a"), &set), 0);
    assert_true(controller_set_has(&set, "pids"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_root_lists_what_the_host_offers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_controller_that_is_elsewhere_cannot_be_enabled, setup, teardown),
        cmocka_unit_test_setup_teardown(a_populated_group_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(an_enabled_controller_shows_and_stays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
