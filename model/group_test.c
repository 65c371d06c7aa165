#include "base/str.h"
#include "model/group.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *key_of(const char *path, const char *name, const char *runtime)
{
    static char buf[GROUP_PATH_MAX];
    struct group_identity identity = {0};
    str_copy(identity.path, sizeof identity.path, path);
    str_copy(identity.name, sizeof identity.name, name);
    str_copy(identity.runtime, sizeof identity.runtime, runtime);
    return group_archive_key(&identity, buf);
}

static void a_recreated_container_keeps_its_history(void **state)
{
    (void)state;
    char first[GROUP_PATH_MAX];
    strcpy(first, key_of("/docker/4f1c9a", "shop-db", "docker"));
    assert_string_equal(first, "docker:shop-db");
    assert_string_equal(key_of("/docker/b77e02", "shop-db", "docker"), first);
}

static void equal_base_names_stay_apart(void **state)
{
    (void)state;
    assert_string_equal(key_of("/a/x", "/a/x", "cgroup"), "/a/x");
    assert_string_equal(key_of("/b/x", "/b/x", "cgroup"), "/b/x");
    assert_string_equal(key_of("/b/x", "x", "cgroup"), "/b/x");
    assert_string_equal(key_of("/lxc/web", "web", "lxc"), "lxc:web");
    assert_string_equal(key_of("/x", "", "docker"), "/x");
}

static void the_longest_path_is_a_key(void **state)
{
    (void)state;
    char path[GROUP_PATH_MAX];
    memset(path, 'p', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_string_equal(key_of(path, "", "cgroup"), path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recreated_container_keeps_its_history),
        cmocka_unit_test(equal_base_names_stay_apart),
        cmocka_unit_test(the_longest_path_is_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
