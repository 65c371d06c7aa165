#pragma once
/*
 * Numbers with units, as people write them in a policy and as masu prints them back.
 * Parsing is strict: a unit is required where the header says so, and nothing may follow it.
 * All parse functions: 0, or -EINVAL (malformed or wrong unit), -ERANGE (too large); *ret only on success.
 */

#include "base/attrs.h"
#include <stdint.h>

/* "2GiB", "50MB", "4096B", "1.5GiB", "0": unit required except for 0 (B kB MB GB TB KiB MiB GiB TiB). Bytes.
 */
MUST_USE int units_parse_bytes(const char *text, uint64_t *ret_bytes);
/* "50MB/s", "10MiB/s": bytes per second; the "/s" is required. */
MUST_USE int units_parse_bytes_rate(const char *text, uint64_t *ret_bytes_per_s);
/* "100ms", "1.5s", "20us", "5m", "2h", "1d": nanoseconds. */
MUST_USE int units_parse_duration(const char *text, uint64_t *ret_ns);
/* "1.5" cores or "150%": millionths of a core. */
MUST_USE int units_parse_cores(const char *text, uint64_t *ret_ppm);
/* "500", "1k", "2M" (decimal multiples): a count. */
MUST_USE int units_parse_count(const char *text, uint64_t *ret_count);

enum { UNITS_TEXT_MAX = 32 };
/* Exact when exact is short ("2GiB", "512MiB", "4096B"), else rounded to three digits ("1.43GiB"). Return
 * buf. */
const char *units_format_bytes(uint64_t bytes, char buf[static UNITS_TEXT_MAX]);
const char *units_format_bytes_rate(uint64_t bytes_per_s, char buf[static UNITS_TEXT_MAX]);
const char *units_format_duration(uint64_t ns, char buf[static UNITS_TEXT_MAX]);
const char *units_format_cores(uint64_t ppm, char buf[static UNITS_TEXT_MAX]);
