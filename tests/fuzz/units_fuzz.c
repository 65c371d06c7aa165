#include "base/str.h"
#include "base/units.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Every parser of units takes the text; what one accepts must print as something that it reads again, within
   the rounding of three digits, and print of that is a fixed point. */

typedef int parse_fn(const char *text, uint64_t *ret);
typedef const char *format_fn(uint64_t value, char *buf);

static void check(const char *text, parse_fn *parse, format_fn *format)
{
    uint64_t value, again, third;
    char buf[UNITS_TEXT_MAX];
    if (parse(text, &value))
        return;
    if (value > UINT64_MAX / 2) /* rounding up may leave the range */
        return;
    if (parse(format(value, buf), &again))
        abort();
    uint64_t off = again > value ? again - value : value - again;
    if (off > value / 100 || parse(format(again, buf), &third) || third != again)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, bytes, size);
    text[size] = '\0';
    uint64_t count;
    check(text, units_parse_bytes, units_format_bytes);
    check(text, units_parse_bytes_rate, units_format_bytes_rate);
    check(text, units_parse_duration, units_format_duration);
    check(text, units_parse_cores, units_format_cores);
    if (units_parse_count(text, &count) == 0 && count == UINT64_MAX)
        abort();
    if (str_to_u64(text, &count) == 0 && strspn(text, "0123456789") != strlen(text))
        abort();
    str_percent_decode(text);
    free(text);
    return 0;
}
