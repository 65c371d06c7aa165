#include "base/glob.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Up to the first zero byte the input is a pattern, behind it a text. Besides surviving, a pattern that is
   the text itself, quoted, must fit it. */

static char *copy_text(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, bytes, size);
    text[size] = '\0';
    return text;
}

static void check_quoted(const char *text)
{
    char *quoted = malloc(strlen(text) * 2 + 1), *to = quoted;
    if (!quoted)
        abort();
    for (const char *from = text; *from; from++) {
        if (*from != '/')
            *to++ = '\\';
        *to++ = *from;
    }
    *to = '\0';
    if (!glob_match_name(quoted, text) || !glob_match_path(quoted, text) || (*text && glob_check(quoted)))
        abort();
    free(quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const uint8_t *zero = size ? memchr(bytes, '\0', size) : NULL;
    size_t pattern_len = zero ? (size_t)(zero - bytes) : size;
    size_t text_len = zero ? size - pattern_len - 1 : 0;
    char *pattern = copy_text(bytes, pattern_len);
    char *text = copy_text(zero ? zero + 1 : bytes, text_len);
    glob_check(pattern);
    glob_match_name(pattern, text);
    glob_match_path(pattern, text);
    if (!glob_match_name("*", text) || (*text == '/' && !glob_match_path("/**", text)))
        abort();
    check_quoted(text);
    free(pattern);
    free(text);
    return 0;
}
