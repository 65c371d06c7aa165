/* The first byte picks the form, the rest is the file's text: twice, so that a layout learnt from one text
 * meets another. */

#include "collectors/parse.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define KEY(word)                                                                                            \
    {                                                                                                        \
        .text = (word), .len = sizeof(word) - 1                                                              \
    }

static const struct parse_key items[] = {
    KEY("usage_usec"), KEY("total_rss"), KEY("rbytes"), KEY("wios"),
    KEY("Read"),       KEY("Write"),     KEY("some"),   KEY("full"),
};

static bool odd_minor(void *context, uint32_t major, uint32_t minor)
{
    (void)context;
    return (major + minor) % 2 == 1;
}

static void parse_copy(enum metric_form form, const uint8_t *bytes, size_t len, uint16_t *layout)
{
    static const struct parse_keys keys = {.items = items, .count = ARRAY_LEN(items), .counted = odd_minor};
    uint64_t values[ARRAY_LEN(items)];
    /* a copy of exactly this size, so that a read beyond it is seen */
    char *text = malloc(len ? len : 1);
    if (!text)
        return;
    memcpy(text, bytes, len);
    uint64_t found = parse_text(form, text, len, &keys, layout, values);
    if (found >> ARRAY_LEN(items))
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint16_t layout[ARRAY_LEN(items) + 1] = {0};
    if (size == 0)
        return 0;
    enum metric_form form = (enum metric_form)(bytes[0] % (METRIC_FORM_AGENT + 1));
    parse_copy(form, bytes + 1, size - 1, layout);
    parse_copy(form, bytes + 1, (size - 1) / 2, layout);
    parse_copy(form, bytes + 1 + (size - 1) / 2, size - 1 - (size - 1) / 2, layout);
    return 0;
}
