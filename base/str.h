#pragma once
/* Small helpers over C strings. */

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>

/* Copies @from into @to (size bytes), always terminated. Returns false when it was cut. */
bool str_copy(char *to, size_t size, const char *from);
/* snprintf that says whether all of it fitted. */
bool str_format(char *to, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);
/* Decimal digits only, whole string, no sign, no blanks. 0, -EINVAL or -ERANGE; *ret written only on success.
 */
MUST_USE int str_to_u64(const char *text, uint64_t *ret);
/* The entry of @candidates (NULL-terminated) nearest to @word by edit distance, if near enough to suggest;
 * else NULL. */
const char *str_nearest(const char *word, const char *const *candidates);
/* Percent-decodes in place; false on a malformed escape or %00. */
bool str_percent_decode(char *text);
