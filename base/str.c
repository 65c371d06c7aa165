#include "base/str.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer words are not misspelt keys. */
enum { NEAREST_WORD_MAX = 63, NEAREST_DISTANCE_MAX = 3 };

/* Where to cut @text at or before @len so that no UTF-8 character is torn. */
static size_t cut_point(const char *text, size_t len)
{
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

bool str_copy(char *to, size_t size, const char *from)
{
    size_t len = strnlen(from, size);
    bool fits = len < size;
    if (!size)
        return false;
    if (!fits)
        len = cut_point(from, size - 1);
    memcpy(to, from, len);
    to[len] = '\0';
    return fits;
}

bool str_format(char *to, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(to, size, format, args);
    va_end(args);
    return len >= 0 && (size_t)len < size;
}

bool str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
    size_t len = strlen(text), suffix_len = strlen(suffix);
    return len >= suffix_len && memcmp(text + len - suffix_len, suffix, suffix_len) == 0;
}

int str_to_u64(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    bool overflow = false;
    if (!*text)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value);
    }
    if (overflow)
        return -ERANGE;
    *ret = value;
    return 0;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Edits that turn a into b: insert, delete, replace, swap of neighbours. Both at most NEAREST_WORD_MAX long.
 */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned rows[3][NEAREST_WORD_MAX + 1];
    unsigned *older = rows[0], *old = rows[1], *now = rows[2];
    size_t b_len = strlen(b);
    for (unsigned j = 0; j <= b_len; j++)
        old[j] = older[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        now[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            now[j] = least(old[j - 1] + (a[i - 1] != b[j - 1]), least(old[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], older[j - 2] + 1);
        }
        unsigned *freed = older;
        older = old;
        old = now;
        now = freed;
    }
    return old[b_len];
}

const char *str_nearest(const char *word, const char *const *candidates)
{
    const char *nearest = NULL;
    size_t len = strlen(word);
    if (len > NEAREST_WORD_MAX)
        return NULL;
    unsigned limit = least(1 + (unsigned)len / 4, NEAREST_DISTANCE_MAX);
    for (; *candidates; candidates++) {
        if (strlen(*candidates) > NEAREST_WORD_MAX)
            continue;
        unsigned distance = edit_distance(word, *candidates);
        if (distance <= limit) {
            nearest = *candidates;
            if (distance == 0)
                break;
            limit = distance - 1;
        }
    }
    return nearest;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool str_percent_decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = hex_digit(from[1]);
        int low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0 || high + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return true;
}
