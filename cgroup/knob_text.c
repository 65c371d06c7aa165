/*
 * Numbers to kernel text and back. What is written is always plain digits or the table's word for
 * "unlimited": the kernel reads "1M" in a throttle file as 1 byte per second and lets an overflowing memory
 * limit wrap to 0. What is read is unlimited by value and not by spelling: kernels 3.10 - 6.18 print five
 * different numbers for "no memory limit", all at or above 2^62.
 */

#include "cgroup/knob_text.h"
#include "base/str.h"
#include "cgroup/knob.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define UNLIMITED_FROM (UINT64_C(1) << 62)

enum { SHARES_MIN = 2, SHARES_MAX = 262144 };

static uint64_t page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t clamp(uint64_t value, uint64_t minimum, uint64_t maximum)
{
    return value < minimum ? minimum : value > maximum ? maximum : value;
}

uint64_t knob_normalise(enum knob_id knob, int version, uint64_t value)
{
    const struct knob *k = &knobs[knob];
    if (value == KNOB_UNLIMITED)
        return value;
    if (k->unit == KNOB_WEIGHT)
        return version == 1 ? knob_weight_to_shares(value) : clamp(value, k->minimum, k->maximum);
    if (k->unit == KNOB_BYTES)
        return value >= UNLIMITED_FROM ? KNOB_UNLIMITED : value - value % page_size();
    return k->maximum && value > k->maximum ? k->maximum : value;
}

/* Whether the table and the kernel's rounding let the finite @value be written. */
static bool allowed(const struct knob *k, int version, uint64_t value)
{
    if (k->unit == KNOB_WEIGHT && version == 1)
        return value >= SHARES_MIN && value <= SHARES_MAX;
    if (value < k->minimum || (k->maximum && value > k->maximum))
        return false;
    return k->unit != KNOB_BYTES || (value < UNLIMITED_FROM && (value == 0 || value >= page_size()));
}

/* "MAX" or the digits, in the buffer. */
static const char *number_text(uint64_t value, const char *unlimited, char buf[static 24])
{
    if (value == KNOB_UNLIMITED)
        return unlimited;
    snprintf(buf, 24, "%" PRIu64, value);
    return buf;
}

/* memsw counts memory and swap together: the limit must be known, and an unlimited part makes the sum
 * unlimited. */
static int memsw_value(uint64_t swap, uint64_t limit, uint64_t *ret)
{
    if (swap == KNOB_UNLIMITED || limit == KNOB_UNLIMITED) {
        *ret = KNOB_UNLIMITED;
        return 0;
    }
    uint64_t page = page_size();
    if (limit >= UNLIMITED_FROM || limit < page)
        return -EINVAL;
    *ret = limit - limit % page + (swap - swap % page);
    return 0;
}

static bool cpu_max_words(enum knob_id knob, uint64_t value, uint64_t pair, uint64_t *ret_quota,
                          uint64_t *ret_period)
{
    *ret_quota = knob == KNOB_CPU_PERIOD ? pair : value;
    *ret_period = knob == KNOB_CPU_PERIOD ? value : pair;
    bool quota_ok = *ret_quota == KNOB_UNLIMITED || allowed(&knobs[KNOB_CPU_BANDWIDTH], 2, *ret_quota);
    bool period_ok = *ret_period != KNOB_UNLIMITED && allowed(&knobs[KNOB_CPU_PERIOD], 2, *ret_period);
    return quota_ok && (period_ok || (knob == KNOB_CPU_BANDWIDTH && *ret_period == 0));
}

static int encode_cpu_max(enum knob_id knob, uint64_t value, uint64_t pair, char *buf, size_t size)
{
    uint64_t quota, period;
    char quota_text[24];
    if (!cpu_max_words(knob, value, pair, &quota, &period))
        return -EINVAL;
    const char *word = number_text(quota, knobs[KNOB_CPU_BANDWIDTH].v2.unlimited, quota_text);
    if (period == 0) /* the kernel keeps the period it has */
        return snprintf(buf, size, "%s", word);
    return snprintf(buf, size, "%s %" PRIu64, word, period);
}

int knob_encode(enum knob_id knob, int version, uint32_t device, uint64_t value, uint64_t pair, char *buf,
                size_t size)
{
    const struct knob *k = &knobs[knob];
    const struct knob_file *file = knob_file(knob, version);
    char text[24];
    int len = -EINVAL;
    if (value == KNOB_UNLIMITED ? !k->accepts_unlimited : !allowed(k, version, value))
        return -EINVAL;
    switch (file->form) {
    case KNOB_FORM_NONE:
        return -EINVAL;
    case KNOB_FORM_MEMSW:
        if (memsw_value(value, pair, &value) < 0)
            return -EINVAL;
        len = snprintf(buf, size, "%s", number_text(value, file->unlimited, text));
        break;
    case KNOB_FORM_NUMBER:
        if (k->unit == KNOB_BYTES)
            value = knob_normalise(knob, version, value);
        len = snprintf(buf, size, "%s", number_text(value, file->unlimited, text));
        break;
    case KNOB_FORM_CPU_MAX:
        len = encode_cpu_max(knob, value, pair, buf, size);
        break;
    case KNOB_FORM_BLKIO_RULE:
        len = snprintf(buf, size, "%u:%u %s", major(device), minor(device), number_text(value, "0", text));
        break;
    case KNOB_FORM_IO_MAX:
        len = snprintf(buf, size, "%u:%u %s=%s", major(device), minor(device), file->key,
                       number_text(value, "max", text));
        break;
    }
    return len > 0 && (size_t)len < size ? len : -EINVAL;
}

/* A number, "max", or a negative number (unlimited) at @text; ends at a blank, a newline or the end. */
static bool parse_number(const char *text, uint64_t *ret_value, const char **ret_end)
{
    const char *end;
    if (strncmp(text, "max", 3) == 0) {
        *ret_value = KNOB_UNLIMITED;
        end = text + 3;
    } else if (text[0] == '-' && text[1] >= '0' && text[1] <= '9') {
        *ret_value = KNOB_UNLIMITED;
        end = text + 1 + strspn(text + 1, "0123456789");
    } else if (text[0] >= '0' && text[0] <= '9') {
        char *after;
        errno = 0;
        unsigned long long value = strtoull(text, &after, 10);
        if (errno)
            return false;
        *ret_value = value >= UNLIMITED_FROM ? KNOB_UNLIMITED : value;
        end = after;
    } else {
        return false;
    }
    *ret_end = end;
    return *end == '\0' || *end == ' ' || *end == '\n';
}

/* The value of a rule's text after "MAJ:MIN ": the number itself, or that of " KEY=". */
static bool rule_value(const struct knob_file *file, const char *text, uint64_t *ret)
{
    const char *end;
    if (file->form == KNOB_FORM_BLKIO_RULE)
        return parse_number(text, ret, &end);
    size_t key = strlen(file->key);
    for (; *text && *text != '\n'; text += strcspn(text, " \n"), text += *text == ' ')
        if (strncmp(text, file->key, key) == 0 && text[key] == '=')
            return parse_number(text + key + 1, ret, &end);
    return false;
}

bool knob_text_next_rule(const struct knob_file *file, const char **cursor, uint32_t *ret_device,
                         uint64_t *ret_value)
{
    while (**cursor) {
        const char *line = *cursor;
        *cursor += strcspn(line, "\n");
        *cursor += **cursor == '\n';
        unsigned major_number, minor_number;
        int used = 0;
        if (sscanf(line, "%u:%u %n", &major_number, &minor_number, &used) < 2 || used == 0)
            continue;
        if (!rule_value(file, line + used, ret_value))
            continue;
        *ret_device = (uint32_t)makedev(major_number, minor_number);
        return true;
    }
    return false;
}

static int decode_rule(const struct knob_file *file, uint32_t device, const char *text, uint64_t *ret_value)
{
    uint32_t found;
    uint64_t value;
    for (const char *cursor = text; knob_text_next_rule(file, &cursor, &found, &value);)
        if (found == device) {
            *ret_value = value;
            return 0;
        }
    return -ENOENT;
}

static int decode_cpu_max(enum knob_id knob, const char *text, uint64_t *ret_value, uint64_t *ret_pair)
{
    uint64_t quota, period;
    const char *end;
    if (!parse_number(text, &quota, &end) || *end != ' ' || !parse_number(end + 1, &period, &end))
        return -EBADMSG;
    *ret_value = knob == KNOB_CPU_PERIOD ? period : quota;
    *ret_pair = knob == KNOB_CPU_PERIOD ? quota : period;
    return 0;
}

int knob_decode(enum knob_id knob, int version, uint32_t device, const char *text, uint64_t *ret_value,
                uint64_t *ret_pair)
{
    const struct knob_file *file = knob_file(knob, version);
    const char *end;
    uint64_t value;
    int r;
    switch (file->form) {
    case KNOB_FORM_NONE:
        return -ENOENT;
    case KNOB_FORM_NUMBER:
    case KNOB_FORM_MEMSW:
        if (!parse_number(text, &value, &end) || (*end == '\n' && end[1]) || *end == ' ')
            return -EBADMSG;
        *ret_value = value;
        *ret_pair = 0;
        return 0;
    case KNOB_FORM_CPU_MAX:
        return decode_cpu_max(knob, text, ret_value, ret_pair);
    case KNOB_FORM_BLKIO_RULE:
    case KNOB_FORM_IO_MAX:
        r = decode_rule(file, device, text, ret_value);
        if (r == 0)
            *ret_pair = 0;
        return r;
    }
    return -EBADMSG;
}
