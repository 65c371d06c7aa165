#include "exporters/utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void assert_shown(const char *given, const char *expected)
{
    struct buf out = BUF_NULL;

    utf8_put(&out, given);
    assert_string_equal(out.data ? out.data : "", expected);
    buf_fini(&out);
}

static void names_in_any_script_stay_as_they_are(void **state UNUSED)
{
    assert_true(utf8_valid("/lxc/wéb-枡-😀"));
    assert_shown("/lxc/wéb-枡-😀", "/lxc/wéb-枡-😀");
}

static void bytes_that_are_no_text_become_a_replacement_each(void **state UNUSED)
{
    assert_false(utf8_valid("/a\xff"));
    assert_shown("/a\xff/b", "/a\xef\xbf\xbd/b");
    assert_shown("\xc3", "\xef\xbf\xbd");
    assert_shown("\xe6\x9e", "\xef\xbf\xbd\xef\xbf\xbd");
}

static void forms_that_utf8_forbids_are_not_let_through(void **state UNUSED)
{
    assert_false(utf8_valid("\xc0\xaf"));         /* an overlong '/' */
    assert_false(utf8_valid("\xed\xa0\x80"));     /* half of a surrogate pair */
    assert_false(utf8_valid("\xf4\x90\x80\x80")); /* beyond U+10FFFF */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_in_any_script_stay_as_they_are),
        cmocka_unit_test(bytes_that_are_no_text_become_a_replacement_each),
        cmocka_unit_test(forms_that_utf8_forbids_are_not_let_through),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
