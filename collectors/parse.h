#pragma once
/*
 * Numbers out of the kernel's text. Every parser takes the text of one file and the keys wanted of it, writes
 * the values of the keys it found and returns them as a mask: bit i is key i. What is not found is not
 * written: absent is not zero. No text, however broken, makes them fail or read beyond @len. Pure.
 */

#include "base/attrs.h"
#include "model/metric.h"

enum {
    PARSE_KEYS_MAX = 64,
    PARSE_LINES_MAX = 512,    /* lines of a flat file that are looked at */
    PARSE_LINE_NONE = 0xffff, /* in a layout: the key is not in this text */
};

struct parse_key {
    const char *text; /* NULL for METRIC_FORM_VALUE */
    size_t len;
};

/* Says whether the numbers of a block device are to be counted. */
typedef bool parse_device_fn(void *context, uint32_t major, uint32_t minor);

struct parse_keys {
    const struct parse_key *items;
    unsigned count;           /* at most PARSE_KEYS_MAX */
    parse_device_fn *counted; /* for NESTED and BLKIO; NULL: every device */
    void *context;
};

/*
 * "key value" lines; blanks before the value and words after it are allowed (/proc/meminfo).
 * @layout, count + 1 words, zero at first, remembers on which line each key stood and how many lines there
 * were: a text of the same layout costs one compare per key.
 */
uint64_t parse_flat(const char *text, size_t len, const struct parse_keys *keys, uint16_t *layout,
                    uint64_t *ret_values);
/* One number. "max", negative numbers and those from 2^62 on mean "no limit" to the kernel: not found. */
uint64_t parse_value(const char *text, size_t len, uint64_t *ret_values);
/* "MAJ:MIN key=value ..." lines: sums over the devices. A text without any key=value is a true zero: io.stat
   leaves out devices that were not used (bare "7:7" lines of some kernels included). */
uint64_t parse_nested(const char *text, size_t len, const struct parse_keys *keys, uint64_t *ret_values);
/* "MAJ:MIN Key value" lines: sums over the devices. A text without a device is not zero but unknown: blkio
   counts nothing until a throttle rule exists. */
uint64_t parse_blkio(const char *text, size_t len, const struct parse_keys *keys, uint64_t *ret_values);
/* The total= of the lines "some ..." and "full ..." named by the keys. */
uint64_t parse_psi(const char *text, size_t len, const struct parse_keys *keys, uint64_t *ret_values);

/* The parser that @form calls for; forms that are no text find nothing. @layout as for parse_flat. */
uint64_t parse_text(enum metric_form form, const char *text, size_t len, const struct parse_keys *keys,
                    uint16_t *layout, uint64_t *ret_values);
