#include "policy/words.h"

#include <stdio.h>
#include <string.h>

void words_add(struct words *words, const char *word, size_t len)
{
    for (unsigned i = 0; i < words->count; i++)
        if (strlen(words->text[i]) == len && memcmp(words->text[i], word, len) == 0)
            return;
    if (words->count == WORDS_MAX || len >= WORD_MAX)
        return;
    memcpy(words->text[words->count], word, len);
    words->text[words->count][len] = '\0';
    words->items[words->count] = words->text[words->count];
    words->items[++words->count] = NULL;
}

const char *words_join(const struct words *words, const char *last, char *buf, size_t size)
{
    size_t len = 0;
    buf[0] = '\0';
    for (unsigned i = 0; i < words->count && len + 1 < size; i++) {
        const char *between = i == 0 ? "" : i + 1 == words->count ? last : ", ";
        len += (size_t)snprintf(buf + len, size - len, "%s%s", between, words->text[i]);
    }
    return buf;
}
