#include "policy/policy_parts.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/units.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAGE_BYTES UINT64_C(4096)            /* the smallest page of the machines Linux runs on */
#define VALUE_MAX (UINT64_C(1) << 62)        /* from here on cgroup v1 reads a size as unlimited */
#define CORES_MAX_PPM UINT64_C(100000000000) /* 100,000 cores */

static int parse_duration_usec(const char *text, uint64_t *ret)
{
    uint64_t ns;
    int r = units_parse_duration(text, &ns);
    if (r < 0)
        return r;
    if (ns % NSEC_PER_USEC)
        return -EINVAL;
    *ret = ns / NSEC_PER_USEC;
    return 0;
}

static const struct {
    int (*parse)(const char *text, uint64_t *ret);
    const char *expected;
} unit_rules[] = {
    [KNOB_CORES] = {units_parse_cores, "a number of cores such as 1.5 or 150%"},
    [KNOB_DURATION] = {parse_duration_usec, "a time with its unit, such as 100ms"},
    [KNOB_WEIGHT] = {str_to_u64, "a whole number from 1 to 10000"},
    [KNOB_BYTES] = {units_parse_bytes, "a size with its unit, such as 512MiB"},
    [KNOB_BYTES_RATE] = {units_parse_bytes_rate, "a rate with its unit, such as 50MB/s"},
    [KNOB_COUNT] = {units_parse_count, "a count such as 200"},
    [KNOB_COUNT_RATE] = {units_parse_count, "requests per second, such as 500"},
};

static bool check_range(enum knob_id knob, const char *quoted, uint64_t value, char *why, size_t why_size)
{
    const struct knob *k = &knobs[knob];
    char bound[64];
    if (k->unit == KNOB_BYTES && value < PAGE_BYTES && (value > 0 || k->minimum > 0)) {
        snprintf(why, why_size,
                 "found %s, expected at least 4096B: the kernel keeps whole pages and would store 0", quoted);
        return false;
    }
    /* The table's bounds of a bandwidth are those of its quota; they are checked with the period beside it.
     */
    uint64_t maximum = k->unit == KNOB_CORES ? CORES_MAX_PPM : k->maximum ? k->maximum : VALUE_MAX - 1;
    uint64_t minimum = k->unit == KNOB_CORES ? 0 : k->minimum;
    if (value >= minimum && value <= maximum)
        return true;
    if (value >= VALUE_MAX && maximum == VALUE_MAX - 1) {
        snprintf(why, why_size, "found %s, more than any kernel counts%s", quoted,
                 k->accepts_unlimited ? "; write unlimited" : "");
        return false;
    }
    snprintf(why, why_size, "found %s, expected at %s %s", quoted, value < minimum ? "least" : "most",
             policy_value_print(knob, value < minimum ? minimum : maximum, bound, sizeof bound));
    return false;
}

bool policy_value_parse(enum knob_id knob, const char *text, uint64_t *ret, char *why, size_t why_size)
{
    const struct knob *k = &knobs[knob];
    char quoted[DIAG_TEXT_MAX / 2];
    if (strcmp(text, "unlimited") == 0 && k->accepts_unlimited) {
        *ret = KNOB_UNLIMITED;
        return true;
    }
    uint64_t value = 0;
    int r = text[0] ? unit_rules[k->unit].parse(text, &value) : -EINVAL;
    if (r == -EINVAL) {
        snprintf(why, why_size, "found %s, expected %s%s",
                 text[0] ? doc_quote(text, quoted, sizeof quoted) : "nothing", unit_rules[k->unit].expected,
                 k->accepts_unlimited ? ", or unlimited" : "");
        return false;
    }
    if (r < 0)
        value = UINT64_MAX;
    if (!check_range(knob, doc_quote(text, quoted, sizeof quoted), value, why, why_size))
        return false;
    *ret = value;
    return true;
}

struct scale {
    const char *suffix;
    uint64_t factor;
};

static const struct scale byte_scales[] = {
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"kB", 1000},
    {"MiB", UINT64_C(1) << 20},
    {"MB", 1000000},
    {"GiB", UINT64_C(1) << 30},
    {"GB", 1000000000},
    {"TiB", UINT64_C(1) << 40},
    {"TB", UINT64_C(1000000000000)},
};

static const struct scale time_scales[] = {
    {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", UINT64_C(3600000000)},
};

/* In the largest of the scales that divides it. */
static void print_scaled(const struct scale *scales, size_t count, uint64_t value, char *buf, size_t size)
{
    const struct scale *best = &scales[0];
    for (size_t i = 1; value && i < count; i++)
        if (value % scales[i].factor == 0 && scales[i].factor > best->factor)
            best = &scales[i];
    snprintf(buf, size, "%llu%s", (unsigned long long)(value / best->factor), best->suffix);
}

static void print_cores(uint64_t ppm, char *buf, size_t size)
{
    char fraction[8];
    snprintf(fraction, sizeof fraction, "%06llu", (unsigned long long)(ppm % 1000000));
    for (size_t len = strlen(fraction); len > 0 && fraction[len - 1] == '0'; len--)
        fraction[len - 1] = '\0';
    snprintf(buf, size, "%llu%s%s", (unsigned long long)(ppm / 1000000), fraction[0] ? "." : "", fraction);
}

const char *policy_value_print(enum knob_id knob, uint64_t value, char *buf, size_t size)
{
    if (value == KNOB_UNLIMITED && knobs[knob].accepts_unlimited) {
        str_copy(buf, size, "unlimited");
        return buf;
    }
    switch (knobs[knob].unit) {
    case KNOB_CORES:
        print_cores(value, buf, size);
        break;
    case KNOB_DURATION:
        print_scaled(time_scales, ARRAY_LEN(time_scales), value, buf, size);
        break;
    case KNOB_BYTES:
        print_scaled(byte_scales, ARRAY_LEN(byte_scales), value, buf, size);
        break;
    case KNOB_BYTES_RATE:
        print_scaled(byte_scales, ARRAY_LEN(byte_scales), value, buf, size);
        str_copy(buf + strlen(buf), size - strlen(buf), "/s");
        break;
    case KNOB_WEIGHT:
    case KNOB_COUNT:
    case KNOB_COUNT_RATE:
        snprintf(buf, size, "%llu", (unsigned long long)value);
        break;
    }
    return buf;
}
