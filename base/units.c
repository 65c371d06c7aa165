#include "base/units.h"
#include "base/str.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/*
 * Everything is integers: a number is read as its digits and a power of ten, and multiplied by its unit in
 * 128 bits. "0.1" cores are 100000 millionths, not what the nearest double makes of them.
 */

typedef unsigned __int128 wide;

struct unit {
    const char *name;
    uint64_t size;
};

static const struct unit byte_units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"B", 1},
};
enum { BINARY_UNITS = 4, DECIMAL_UNITS = 4 };

static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000000000)},
    {"h", UINT64_C(3600000000000)},
    {"m", UINT64_C(60000000000)},
    {"s", 1000000000},
    {"ms", 1000000},
    {"us", 1000},
    {"ns", 1},
};
static const struct unit core_units[] = {{"", 1000000}, {"%", 10000}};
static const struct unit count_units[] = {{"", 1}, {"k", 1000}, {"M", 1000000}, {"G", 1000000000}};

enum { FRACTION_DIGITS_MAX = 18 };

/* digits / 10^places, as written. */
struct number {
    uint64_t digits;
    unsigned places;
    bool overflow;
};

static void add_digit(struct number *n, char c)
{
    n->overflow |= __builtin_mul_overflow(n->digits, 10, &n->digits);
    n->overflow |= __builtin_add_overflow(n->digits, (uint64_t)(c - '0'), &n->digits);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads "12" or "12.5"; returns what follows, or NULL when there is no such number. */
static const char *read_number(const char *text, struct number *ret)
{
    *ret = (struct number){0};
    if (!is_digit(*text))
        return NULL;
    while (is_digit(*text))
        add_digit(ret, *text++);
    if (*text != '.')
        return text;
    if (!is_digit(*++text))
        return NULL;
    while (is_digit(*text)) {
        /* zeros at the end say nothing and must not count as too many digits */
        size_t zeros = strspn(text, "0");
        if (!is_digit(text[zeros]))
            return text + zeros;
        add_digit(ret, *text++);
        if (++ret->places > FRACTION_DIGITS_MAX)
            return NULL;
    }
    return text;
}

static uint64_t power_of_ten(unsigned n)
{
    uint64_t power = 1;
    while (n--)
        power *= 10;
    return power;
}

static int scale(struct number number, uint64_t size, bool whole, uint64_t *ret)
{
    if (number.overflow)
        return -ERANGE;
    wide product = (wide)number.digits * size;
    uint64_t divisor = power_of_ten(number.places);
    wide value = product / divisor;
    if (whole && product % divisor)
        return -EINVAL;
    /* a quantity that was asked for must not become none, and the largest number means "unlimited" elsewhere
     */
    if (value == 0 && number.digits)
        return -EINVAL;
    if (value >= UINT64_MAX)
        return -ERANGE;
    *ret = (uint64_t)value;
    return 0;
}

/* Parses NUMBER UNIT @suffix; a lone "0" needs no unit. @whole: the value must come out whole. */
static int parse(const char *text, const struct unit *units, size_t count, const char *suffix, bool whole,
                 uint64_t *ret)
{
    struct number number;
    const char *rest = read_number(text, &number);
    if (!rest)
        return -EINVAL;
    if (strcmp(text, "0") == 0) {
        *ret = 0;
        return 0;
    }
    size_t rest_len = strlen(rest), suffix_len = strlen(suffix);
    if (!str_ends(rest, suffix))
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(units[i].name);
        if (len + suffix_len == rest_len && memcmp(rest, units[i].name, len) == 0)
            return scale(number, units[i].size, whole, ret);
    }
    return -EINVAL;
}

int units_parse_bytes(const char *text, uint64_t *ret_bytes)
{
    return parse(text, byte_units, ARRAY_LEN(byte_units), "", false, ret_bytes);
}

int units_parse_bytes_rate(const char *text, uint64_t *ret_bytes_per_s)
{
    return parse(text, byte_units, ARRAY_LEN(byte_units), "/s", false, ret_bytes_per_s);
}

int units_parse_duration(const char *text, uint64_t *ret_ns)
{
    return parse(text, duration_units, ARRAY_LEN(duration_units), "", false, ret_ns);
}

int units_parse_cores(const char *text, uint64_t *ret_ppm)
{
    return parse(text, core_units, ARRAY_LEN(core_units), "", false, ret_ppm);
}

int units_parse_count(const char *text, uint64_t *ret_count)
{
    return parse(text, count_units, ARRAY_LEN(count_units), "", true, ret_count);
}

/* "12.34" from 1234 hundredths, without zeros at its end. */
static void print_hundredths(uint64_t hundredths, const char *unit, char buf[static UNITS_TEXT_MAX])
{
    unsigned long long whole = hundredths / 100;
    unsigned rest = (unsigned)(hundredths % 100);
    if (rest == 0)
        str_format(buf, UNITS_TEXT_MAX, "%llu%s", whole, unit);
    else if (rest % 10 == 0)
        str_format(buf, UNITS_TEXT_MAX, "%llu.%u%s", whole, rest / 10, unit);
    else
        str_format(buf, UNITS_TEXT_MAX, "%llu.%02u%s", whole, rest, unit);
}

/* Prints @value exactly, in the largest unit that takes at most four digits. */
static bool print_exact(uint64_t value, const struct unit *units, size_t count,
                        char buf[static UNITS_TEXT_MAX])
{
    for (size_t i = 0; i < count; i++) {
        wide hundredths = (wide)value * 100 / units[i].size;
        if (value < units[i].size || (wide)value * 100 % units[i].size)
            continue;
        bool is_short = hundredths < 10000 || (hundredths % 10 == 0 && hundredths < 100000) ||
                        (hundredths % 100 == 0 && hundredths < 1000000);
        if (is_short) {
            print_hundredths((uint64_t)hundredths, units[i].name, buf);
            return true;
        }
    }
    return false;
}

/* Prints @value rounded to three digits, in the largest unit not above it. */
static void print_rounded(uint64_t value, const struct unit *units, size_t count,
                          char buf[static UNITS_TEXT_MAX])
{
    size_t i = 0;
    while (i + 1 < count && value < units[i].size)
        i++;
    uint64_t whole = value / units[i].size;
    unsigned long long kept = whole < 10 ? 1 : whole < 100 ? 10 : 100;
    wide hundredths = ((wide)value * 100 + (wide)units[i].size * kept / 2) / units[i].size;
    print_hundredths((uint64_t)(hundredths - hundredths % kept), units[i].name, buf);
}

static const char *format_bytes(uint64_t bytes, const struct unit *rounding, char buf[static UNITS_TEXT_MAX])
{
    if (bytes == 0)
        return strcpy(buf, "0B");
    if (bytes < 10000)
        print_hundredths(bytes * 100, "B", buf);
    else if (!print_exact(bytes, byte_units, BINARY_UNITS, buf) &&
             !print_exact(bytes, byte_units + BINARY_UNITS, DECIMAL_UNITS, buf))
        print_rounded(bytes, rounding, BINARY_UNITS, buf);
    return buf;
}

const char *units_format_bytes(uint64_t bytes, char buf[static UNITS_TEXT_MAX])
{
    return format_bytes(bytes, byte_units, buf);
}

const char *units_format_bytes_rate(uint64_t bytes_per_s, char buf[static UNITS_TEXT_MAX])
{
    format_bytes(bytes_per_s, byte_units + BINARY_UNITS, buf);
    return strcat(buf, "/s");
}

const char *units_format_duration(uint64_t ns, char buf[static UNITS_TEXT_MAX])
{
    enum { WHOLE_ONLY = 3 }; /* "36h", not "1.5d": a day has no tenths */
    if (ns == 0)
        return strcpy(buf, "0s");
    for (size_t i = 0; i < WHOLE_ONLY; i++)
        if (ns % duration_units[i].size == 0) {
            print_hundredths(ns / duration_units[i].size * 100, duration_units[i].name, buf);
            return buf;
        }
    if (!print_exact(ns, duration_units + WHOLE_ONLY, ARRAY_LEN(duration_units) - WHOLE_ONLY, buf))
        print_rounded(ns, duration_units, ARRAY_LEN(duration_units), buf);
    return buf;
}

const char *units_format_cores(uint64_t ppm, char buf[static UNITS_TEXT_MAX])
{
    enum { SHORT_STEP = 100 }; /* four decimals still read well */
    if (ppm % SHORT_STEP) {
        uint64_t step = 1;
        while (ppm / step >= 1000)
            step *= 10;
        ppm += step / 2;
        ppm -= ppm % step;
    }
    str_format(buf, UNITS_TEXT_MAX, "%llu.%06u", (unsigned long long)(ppm / 1000000),
               (unsigned)(ppm % 1000000));
    size_t len = strlen(buf);
    while (buf[len - 1] == '0')
        buf[--len] = '\0';
    if (buf[len - 1] == '.')
        buf[len - 1] = '\0';
    return buf;
}
