#include "exporters/utf8.h"
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd";

/* Lead bytes by range, with the range of the second byte that keeps out overlong forms and surrogates
 * (Unicode table 3-7). */
static const struct lead {
    unsigned char first, last, low, high, length;
} leads[] = {
    {0x01, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

unsigned utf8_sequence(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    for (size_t i = 0; i < ARRAY_LEN(leads); i++) {
        if (at[0] < leads[i].first || at[0] > leads[i].last)
            continue;
        if (leads[i].length > 1 && (at[1] < leads[i].low || at[1] > leads[i].high))
            return 0;
        for (unsigned k = 2; k < leads[i].length; k++)
            if ((at[k] & 0xc0) != 0x80)
                return 0;
        return leads[i].length;
    }
    return 0;
}

bool utf8_valid(const char *text)
{
    while (*text) {
        unsigned length = utf8_sequence(text);
        if (!length)
            return false;
        text += length;
    }
    return true;
}

void utf8_put(struct buf *out, const char *text)
{
    while (*text) {
        unsigned length = utf8_sequence(text);
        if (length)
            buf_append(out, text, length);
        else
            buf_append(out, replacement, sizeof replacement - 1);
        text += length ? length : 1;
    }
}
