#include "base/buf.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void text_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct buf b = BUF_NULL;
    for (unsigned i = 0; i < 1000; i++) {
        buf_printf(&b, "%u,", i);
        assert_int_equal(b.data[b.len], '\0');
    }
    buf_putc(&b, '!');
    buf_puts(&b, "end");
    assert_int_equal(buf_error(&b), 0);
    assert_int_equal(strncmp(b.data, "0,1,2,3,", 8), 0);
    assert_string_equal(b.data + b.len - 8, "999,!end");
    buf_fini(&b);
    assert_null(b.data);
}

static void a_long_print_is_whole(void **state)
{
    (void)state;
    char word[1001];
    memset(word, 'w', 1000);
    word[1000] = '\0';
    struct buf b = BUF_NULL;
    buf_printf(&b, "<%s>", word);
    assert_int_equal(b.len, 1002);
    assert_int_equal(b.data[1001], '>');
    assert_int_equal(b.data[1002], '\0');
    buf_fini(&b);
}

static void the_first_failure_is_kept(void **state)
{
    (void)state;
    struct buf b = BUF_NULL;
    buf_puts(&b, "kept");
    assert_null(buf_reserve(&b, SIZE_MAX / 2));
    buf_puts(&b, "ignored");
    assert_int_equal(buf_error(&b), -ENOMEM);
    assert_string_equal(b.data, "kept");
    assert_null(buf_take(&b));
    assert_int_equal(buf_error(&b), 0);
}

static void reserved_room_is_filled_in_place(void **state)
{
    (void)state;
    struct buf b = BUF_NULL;
    buf_puts(&b, "a");
    char *room = buf_reserve(&b, 100);
    memcpy(room, "bc", 2);
    b.len += 2;
    assert_string_equal(b.data, "abc");
    buf_clear(&b);
    assert_string_equal(b.data, "");
    buf_fini(&b);
}

static void taken_bytes_belong_to_the_taker(void **state)
{
    (void)state;
    struct buf b = BUF_NULL;
    assert_null(buf_take(&b));
    buf_puts(&b, "mine");
    char *mine = buf_take(&b);
    assert_string_equal(mine, "mine");
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    free(mine);
}

static void varints_come_back(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX};
    struct buf b = BUF_NULL;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        buf_put_varint(&b, values[i]);
    struct cursor c = {.at = (const uint8_t *)b.data, .end = (const uint8_t *)b.data + b.len};
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        assert_true(cursor_varint(&c) == values[i]);
    assert_int_equal(c.error, 0);
    assert_ptr_equal(c.at, c.end);
    buf_fini(&b);
}

static void a_cursor_remembers_that_it_ran_out(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {5, 'a', 'b'};
    struct cursor c = {.at = bytes, .end = bytes + sizeof bytes};
    assert_int_equal(cursor_varint(&c), 5);
    assert_null(cursor_bytes(&c, 5));
    assert_int_equal(c.error, -EBADMSG);
    assert_null(cursor_bytes(&c, 1));
    assert_int_equal(cursor_varint(&c), 0);
}

static void a_varint_too_long_is_damage(void **state)
{
    (void)state;
    static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
    static const uint8_t over_64_bits[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t cut[] = {0x80};
    struct cursor c = {.at = eleven, .end = eleven + sizeof eleven};
    cursor_varint(&c);
    assert_int_equal(c.error, -EBADMSG);
    c = (struct cursor){.at = over_64_bits, .end = over_64_bits + sizeof over_64_bits};
    cursor_varint(&c);
    assert_int_equal(c.error, -EBADMSG);
    c = (struct cursor){.at = cut, .end = cut + sizeof cut};
    cursor_varint(&c);
    assert_int_equal(c.error, -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_stays_terminated),
        cmocka_unit_test(a_long_print_is_whole),
        cmocka_unit_test(the_first_failure_is_kept),
        cmocka_unit_test(reserved_room_is_filled_in_place),
        cmocka_unit_test(taken_bytes_belong_to_the_taker),
        cmocka_unit_test(varints_come_back),
        cmocka_unit_test(a_cursor_remembers_that_it_ran_out),
        cmocka_unit_test(a_varint_too_long_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
