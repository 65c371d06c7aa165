#include "cli/containers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

static json_t *a_container(const char *kind, int usage_mib, int active_mib, int inactive_mib)
{
    return json_pack("{s:s, s:{s:{s:i, s:i, s:i, s:i}}}", "kind", kind, "sample", "metrics", /**/
                     "memory_usage", usage_mib * MIB, "memory_active_file", active_mib * MIB,
                     "memory_inactive_file", inactive_mib * MIB, "memory_limit", 64 * MIB);
}

static void assert_firm(json_t *container, int expected_mib)
{
    assert_non_null(container);
    assert_int_equal((long)container_firm_memory(container), (long)expected_mib * MIB);
    json_decref(container);
}

static void page_cache_that_fills_the_limit_is_not_firm(void **state UNUSED)
{
    assert_firm(a_container("group", 64, 10, 50), 4);
    assert_firm(a_container("group", 64, 0, 0), 64);
    assert_firm(a_container("group", 8, 6, 4), 0); /* files are read a moment apart */
}

static void what_the_host_uses_is_without_page_cache(void **state UNUSED)
{
    assert_firm(a_container("host", 64, 10, 50), 64);
}

static void what_is_not_known_stays_so(void **state UNUSED)
{
    json_t *container = json_pack("{s:s}", "kind", "group");

    assert_true(container_firm_memory(container) < 0);
    json_decref(container);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_cache_that_fills_the_limit_is_not_firm),
        cmocka_unit_test(what_the_host_uses_is_without_page_cache),
        cmocka_unit_test(what_is_not_known_stays_so),
    };
    return cmocka_run_group_tests_name("containers", tests, NULL, NULL);
}
