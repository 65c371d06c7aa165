#include "base/diag.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *formatted(const struct diag *d)
{
    static char buf[1024];
    return diag_format(d, buf, sizeof buf);
}

static void an_error_says_where_it_stands(void **state)
{
    (void)state;
    struct diag d;
    diag_set(&d, "shop.yaml", 12, 7, "quotas.web.memory.limit", "expected a size, found '%s'", "2G");
    assert_string_equal(formatted(&d), "shop.yaml:12:7: expected a size, found '2G'");
    assert_string_equal(d.key, "quotas.web.memory.limit");
}

static void unknown_parts_are_left_out(void **state)
{
    (void)state;
    struct diag d;
    diag_set(&d, "shop.yaml", 12, 0, NULL, "x");
    assert_string_equal(formatted(&d), "shop.yaml:12: x");
    diag_set(&d, "shop.yaml", 0, 0, NULL, "x");
    assert_string_equal(formatted(&d), "shop.yaml: x");
    diag_set(&d, NULL, 0, 0, NULL, "x");
    assert_string_equal(formatted(&d), "x");
}

static void a_long_text_ends_with_an_ellipsis(void **state)
{
    (void)state;
    char name[2000];
    for (size_t i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xbc", 2);
    name[1998] = '\0';
    struct diag d;
    diag_set(&d, name, 1, 1, name, "x%s", name);
    const char *const cut[] = {d.file, d.key, d.text};
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        size_t len = strlen(cut[i]);
        assert_string_equal(cut[i] + len - 3, "…");
        assert_int_equal((unsigned char)cut[i][len - 4], 0xbc); /* a whole ü before it */
    }
}

static void a_sentence_stays_on_its_line(void **state)
{
    (void)state;
    struct diag d;
    diag_set(&d, "a\nb", 1, 1, NULL, "found '%s'", "x\r\n\x1b[31m");
    assert_null(strpbrk(formatted(&d), "\r\n\x1b"));
}

static void a_flood_is_counted_not_kept(void **state)
{
    (void)state;
    struct diags list = DIAGS_NULL;
    for (unsigned i = 0; i < DIAGS_MAX + 10; i++) {
        struct diag d;
        diag_set(&d, "f", i + 1, 1, NULL, "x");
        diags_add(&list, &d);
    }
    assert_int_equal(list.count, DIAGS_MAX);
    assert_int_equal(list.dropped, 10);
    assert_int_equal(list.items[DIAGS_MAX - 1].line, DIAGS_MAX);
    diags_fini(&list);
    assert_int_equal(list.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_says_where_it_stands),     cmocka_unit_test(unknown_parts_are_left_out),
        cmocka_unit_test(a_long_text_ends_with_an_ellipsis), cmocka_unit_test(a_sentence_stays_on_its_line),
        cmocka_unit_test(a_flood_is_counted_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
