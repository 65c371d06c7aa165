#include "cli/paint.h"
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_line(unsigned width, const char *expected)
{
    static const struct paint_part parts[] = {
        {PAINT_BOLD, "wörld"}, {PAINT_NONE, "  2 cores"}, {PAINT_DIM, "  q · quit"}};
    struct buf out = BUF_NULL;

    buf_puts(&out, "");
    paint_line(&out, parts, ARRAY_LEN(parts), width);
    assert_string_equal(out.data, expected);
    buf_fini(&out);
}

static void a_line_never_wraps_and_loses_its_end_first(void **state UNUSED)
{
    assert_line(0, "wörld  2 cores  q · quit");
    assert_line(24, "wörld  2 cores  q · quit");
    assert_line(23, "wörld  2 cores");
    assert_line(14, "wörld  2 cores");
    assert_line(13, "wörld");
    assert_line(5, "wörld");
    assert_line(4, "wörl");
    assert_line(2, "wö");
    assert_line(1, "w");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_never_wraps_and_loses_its_end_first)};

    setenv("NO_COLOR", "1", 1);
    setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests_name("paint", tests, NULL, NULL);
}
