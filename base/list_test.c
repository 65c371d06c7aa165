#include "base/list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct guest {
    char name;
    struct list_link link;
};

static void assert_order(struct list *l, const char *names)
{
    struct guest *g;
    LIST_FOR_EACH(g, l, struct guest, link)
        assert_int_equal(g->name, *names++);
    assert_int_equal(*names, '\0');
}

static void order_is_kept(void **state)
{
    (void)state;
    struct list l;
    struct guest a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    list_init(&l);
    assert_true(list_empty(&l));
    assert_order(&l, "");
    list_append(&l, &a.link);
    list_append(&l, &c.link);
    list_insert_before(&c.link, &b.link);
    assert_false(list_empty(&l));
    assert_order(&l, "abc");
}

static void removing_twice_is_legal(void **state)
{
    (void)state;
    struct list l;
    struct guest a = {.name = 'a'}, b = {.name = 'b'}, never_in = {.name = 'n'};
    list_init(&l);
    list_append(&l, &a.link);
    list_append(&l, &b.link);
    list_remove(&a.link);
    list_remove(&a.link);
    list_remove(&never_in.link);
    assert_false(list_linked(&a.link));
    assert_true(list_linked(&b.link));
    assert_order(&l, "b");
}

static void the_visited_may_leave(void **state)
{
    (void)state;
    struct list l;
    struct guest guests[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
    list_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(guests); i++)
        list_append(&l, &guests[i].link);
    struct guest *g;
    LIST_FOR_EACH(g, &l, struct guest, link) {
        if (g->name != 'b')
            list_remove(&g->link);
    }
    assert_order(&l, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(removing_twice_is_legal),
        cmocka_unit_test(the_visited_may_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
