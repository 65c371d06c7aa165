#pragma once
/* A small set of words: the keys that may stand somewhere, to suggest and to list. */

#include <stddef.h>

enum { WORDS_MAX = 40, WORD_MAX = 32 };
struct words {
    unsigned count;
    const char *items[WORDS_MAX + 1]; /* NULL-terminated */
    char text[WORDS_MAX][WORD_MAX];
};
#define WORDS_NULL ((struct words){0})
/* Adds the first @len bytes of @word unless they are there. */
void words_add(struct words *words, const char *word, size_t len);
/* "limit and swap", "restore, keep or unlimited". Returns buf. */
const char *words_join(const struct words *words, const char *last, char *buf, size_t size);
