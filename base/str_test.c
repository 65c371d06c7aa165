#include "base/str.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void copies_say_when_they_cut(void **state)
{
    (void)state;
    char small[4];
    assert_true(str_copy(small, sizeof small, "abc"));
    assert_string_equal(small, "abc");
    assert_false(str_copy(small, sizeof small, "abcd"));
    assert_string_equal(small, "abc");
    assert_false(str_copy(small, 0, "x"));
    assert_string_equal(small, "abc");
}

static void a_cut_tears_no_character(void **state)
{
    (void)state;
    char small[4];
    assert_false(str_copy(small, sizeof small, "ab\xc3\xbc"));
    assert_string_equal(small, "ab");
}

static void formats_say_when_they_cut(void **state)
{
    (void)state;
    char small[4];
    assert_true(str_format(small, sizeof small, "%d", 123));
    assert_false(str_format(small, sizeof small, "%d", 1234));
    assert_string_equal(small, "123");
}

static void prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(str_starts("web-1", "web-"));
    assert_true(str_starts("web-1", ""));
    assert_false(str_starts("we", "web-"));
    assert_true(str_ends("a.yaml", ".yaml"));
    assert_false(str_ends("yaml", ".yaml"));
}

static void only_plain_digits_are_numbers(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_int_equal(str_to_u64("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(str_to_u64("007", &value), 0);
    assert_int_equal(value, 7);
    static const char *const wrong[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1.5", "1\n"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(str_to_u64(wrong[i], &value), -EINVAL);
    assert_int_equal(str_to_u64("18446744073709551616", &value), -ERANGE);
    assert_int_equal(str_to_u64("99999999999999999999999x", &value), -EINVAL);
    assert_int_equal(value, 7);
}

static void a_typing_error_finds_the_key_that_was_meant(void **state)
{
    (void)state;
    static const char *const keys[] = {"bandwidth", "burst", "period", "weight", "swap", NULL};
    assert_string_equal(str_nearest("bandwith", keys), "bandwidth");
    assert_string_equal(str_nearest("bnadwdith", keys), "bandwidth"); /* two swaps are two errors */
    assert_string_equal(str_nearest("wieght", keys), "weight");
    assert_string_equal(str_nearest("swpa", keys), "swap");
    assert_string_equal(str_nearest("period", keys), "period");
    assert_null(str_nearest("limit", keys));
    assert_null(str_nearest("x", keys));
    assert_null(str_nearest("", keys));
}

static void a_suggestion_is_never_far_fetched(void **state)
{
    (void)state;
    static const char *const keys[] = {"abcdefghijklmnop", NULL};
    assert_non_null(str_nearest("abcdefghijklm", keys)); /* three away */
    assert_null(str_nearest("abcdefghijkl", keys));      /* four away */
    char endless[200];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_null(str_nearest(endless, keys));
}

static void percent_escapes(void **state)
{
    (void)state;
    char good[] = "%2Flxc%2fweb+1%25";
    assert_true(str_percent_decode(good));
    assert_string_equal(good, "/lxc/web+1%");
    static const char *const wrong[] = {"%", "%2", "%zz", "a%00b", "%2g"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char text[8];
        str_copy(text, sizeof text, wrong[i]);
        assert_false(str_percent_decode(text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_say_when_they_cut),
        cmocka_unit_test(a_cut_tears_no_character),
        cmocka_unit_test(formats_say_when_they_cut),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(only_plain_digits_are_numbers),
        cmocka_unit_test(a_typing_error_finds_the_key_that_was_meant),
        cmocka_unit_test(a_suggestion_is_never_far_fetched),
        cmocka_unit_test(percent_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
