#include "collectors/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

struct seen {
    unsigned count, last_item, deepest;
    char text[64];
};

static bool count_all(void *context, const struct json_value *value)
{
    struct seen *seen = context;
    seen->count++;
    seen->last_item = value->item;
    if (value->depth > seen->deepest)
        seen->deepest = value->depth;
    return true;
}

static bool take_name(void *context, const struct json_value *value)
{
    struct seen *seen = context;
    if (!json_is_in(value, "a", "name"))
        return true;
    strncpy(seen->text, value->text, sizeof seen->text - 1);
    return false;
}

static void a_value_is_found_by_its_place_not_by_its_key_alone(void **state)
{
    (void)state;
    const char *text = "{\"name\":\"x\",\"b\":{\"name\":\"y\"},\"a\":{\"list\":[{\"name\":\"z\"},1,null],"
                       "\"name\":\"right \\u00e9\"}}";
    struct seen seen = {.count = 0};
    assert_int_equal(json_scan(text, strlen(text), take_name, &seen), 0);
    assert_string_equal(seen.text, "right \xc3\xa9");
}

static void the_elements_of_the_outermost_array_are_counted(void **state)
{
    (void)state;
    const char *text = "[{\"id\":1,\"names\":[\"a\",\"b\"]},{\"id\":2},{\"id\":3}]";
    struct seen seen = {.count = 0};
    assert_int_equal(json_scan(text, strlen(text), count_all, &seen), 0);
    assert_int_equal(seen.count, 5);
    assert_int_equal(seen.last_item, 2);
}

static void a_text_that_breaks_off_is_malformed_but_was_read_until_then(void **state)
{
    (void)state;
    const char *text = "{\"a\":{\"name\":\"early\"},\"rest\":[1,";
    struct seen seen = {.count = 0};
    assert_int_equal(json_scan(text, strlen(text), count_all, &seen), -EBADMSG);
    assert_true(seen.count >= 1);
    const char *zeros = "\0\0\0";
    assert_int_equal(json_scan(zeros, 3, count_all, &seen), -EBADMSG);
    assert_int_equal(json_scan("", 0, count_all, &seen), 0);
}

static void nesting_without_end_is_not_reported_and_does_no_harm(void **state)
{
    (void)state;
    enum { DEEP = 2000 };
    char *text = malloc(2 * DEEP + 2);
    assert_non_null(text);
    memset(text, '[', DEEP);
    text[DEEP] = '1';
    memset(text + DEEP + 1, ']', DEEP);
    struct seen seen = {.count = 0};
    int error = json_scan(text, 2 * DEEP + 1, count_all, &seen);
    assert_true(error == 0 || error == -EBADMSG);
    assert_int_equal(seen.count, 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_found_by_its_place_not_by_its_key_alone),
        cmocka_unit_test(the_elements_of_the_outermost_array_are_counted),
        cmocka_unit_test(a_text_that_breaks_off_is_malformed_but_was_read_until_then),
        cmocka_unit_test(nesting_without_end_is_not_reported_and_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
