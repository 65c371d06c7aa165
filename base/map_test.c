#include "base/map.h"
#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int things[4];

static void an_empty_map_has_nothing(void **state)
{
    (void)state;
    struct map m = MAP_NULL;
    size_t cursor = 0;
    assert_null(map_get_str(&m, "a"));
    assert_null(map_remove_str(&m, "a"));
    assert_null(map_next(&m, &cursor));
    map_fini(&m);
}

static void a_second_set_replaces(void **state)
{
    (void)state;
    struct map m = MAP_NULL;
    assert_int_equal(map_set_str(&m, "/lxc/web", &things[0]), 0);
    assert_int_equal(map_set_str(&m, "/lxc/web", &things[1]), 0);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(map_get_str(&m, "/lxc/web"), &things[1]);
    assert_ptr_equal(map_remove_str(&m, "/lxc/web"), &things[1]);
    assert_null(map_get_str(&m, "/lxc/web"));
    assert_int_equal(m.count, 0);
    map_fini(&m);
}

static void keys_are_bytes_and_copied(void **state)
{
    (void)state;
    struct map m = MAP_NULL;
    char key[] = {'a', '\0', 'b'};
    assert_int_equal(map_set(&m, key, sizeof key, &things[2]), 0);
    assert_null(map_get_str(&m, "a"));
    key[0] = 'x';
    assert_ptr_equal(map_get(&m, "a\0b", 3), &things[2]);
    assert_int_equal(map_set(&m, "", 0, &things[3]), 0);
    assert_ptr_equal(map_get_str(&m, ""), &things[3]);
    map_fini(&m);
}

/* The same 20,000 random sets and removes, on the map and on a plain table. */
static void a_long_life_loses_nothing(void **state)
{
    (void)state;
    enum { KEYS = 500 };
    static int values[KEYS];
    void *model[KEYS] = {0};
    struct map m = MAP_NULL;
    size_t count = 0;
    srand(1);
    for (unsigned step = 0; step < 20000; step++) {
        unsigned k = (unsigned)rand() % KEYS;
        if (rand() % 2) {
            count += !model[k];
            model[k] = &values[rand() % KEYS];
            assert_int_equal(map_set_u64(&m, k, model[k]), 0);
        } else {
            assert_ptr_equal(map_remove_u64(&m, k), model[k]);
            count -= model[k] != NULL;
            model[k] = NULL;
        }
        assert_int_equal(m.count, count);
        k = (unsigned)rand() % KEYS;
        assert_ptr_equal(map_get_u64(&m, k), model[k]);
    }
    for (unsigned k = 0; k < KEYS; k++)
        assert_ptr_equal(map_get_u64(&m, k), model[k]);
    map_fini(&m);
}

static void a_walk_meets_every_entry_once(void **state)
{
    (void)state;
    enum { KEYS = 100 };
    static bool seen[KEYS];
    struct map m = MAP_NULL;
    for (unsigned k = 0; k < KEYS; k++) {
        char key[16];
        str_format(key, sizeof key, "group-%u", k);
        assert_int_equal(map_set_str(&m, key, &seen[k]), 0);
    }
    size_t cursor = 0, met = 0;
    for (const struct map_entry *e; (e = map_next(&m, &cursor)) != NULL; met++) {
        bool *mark = e->value;
        assert_false(*mark);
        *mark = true;
        assert_int_equal(strlen(e->key), e->key_len);
    }
    assert_int_equal(met, KEYS);
    map_fini(&m);
}

static void the_hash_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(map_hash("", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(map_hash("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(map_hash("foobar", 6) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),      cmocka_unit_test(a_second_set_replaces),
        cmocka_unit_test(keys_are_bytes_and_copied),     cmocka_unit_test(a_long_life_loses_nothing),
        cmocka_unit_test(a_walk_meets_every_entry_once), cmocka_unit_test(the_hash_is_fnv_1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
