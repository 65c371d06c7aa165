#include "policy/doc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int32_t doc_utf8_next(const char **at, const char *end)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)*at;
    unsigned len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (len == 0 || (size_t)(end - *at) < len)
        return -1;
    int32_t code = len == 1 ? p[0] : p[0] & (0x7f >> len);
    for (unsigned i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return -1;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return -1;
    *at += len;
    return code;
}

const struct doc_node *doc_get(const struct doc_node *map, const char *key)
{
    if (!map || map->kind != DOC_MAP)
        return NULL;
    DOC_FOR_EACH(child, map)
    if (strcmp(child->key, key) == 0)
        return child;
    return NULL;
}

/* The bytes of at most 48 characters. */
static size_t shown_len(const char *text)
{
    const char *at = text, *end = text + strlen(text);
    for (unsigned shown = 0; at < end && shown < 48; shown++)
        if (doc_utf8_next(&at, end) < 0)
            break;
    return (size_t)(at - text);
}

const char *doc_quote(const char *text, char *buf, size_t size)
{
    size_t len = shown_len(text);
    snprintf(buf, size, "'%.*s%s'", (int)len, text, text[len] ? "…" : "");
    return buf;
}

const char *doc_describe(const struct doc_node *node, char *buf, size_t size)
{
    if (node->kind == DOC_SCALAR && node->text[0])
        return doc_quote(node->text, buf, size);
    snprintf(buf, size, "%s",
             node->kind == DOC_SCALAR ? "nothing"
             : node->kind == DOC_LIST ? "a list"
                                      : "a map");
    return buf;
}

/* "quotas.web.memory.limit". */
static void node_path(const struct doc_node *node, char *buf, size_t size)
{
    const char *parts[DOC_DEPTH_MAX + 1];
    unsigned count = 0;
    for (; node && count < ARRAY_LEN(parts); node = node->parent)
        if (node->key)
            parts[count++] = node->key;
    buf[0] = '\0';
    size_t len = 0;
    while (count-- > 0 && len + 1 < size)
        len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? "." : "", parts[count]);
}

/* Cuts a character that was cut in its middle: diags travel in JSON. */
static void trim_utf8(char *text)
{
    const char *at = text, *end = text + strlen(text);
    while (at < end && doc_utf8_next(&at, end) >= 0)
        ;
    text[at - text] = '\0';
}

struct place {
    unsigned line, column;
    const struct doc_node *node; /* NULL: about no key */
};

static void PRINTF_LIKE(4, 0)
    put_diag(const struct doc *doc, struct diags *diags, struct place place, const char *format, va_list args)
{
    char text[DIAG_TEXT_MAX], key[DIAG_KEY_MAX];
    struct diag d;
    vsnprintf(text, sizeof text, format, args);
    node_path(place.node, key, sizeof key);
    trim_utf8(text);
    trim_utf8(key);
    diag_set(&d, doc->file, place.line, place.column, key, "%s", text);
    diags_add(diags, &d);
}

void doc_error(const struct doc *doc, struct diags *diags, const struct doc_node *node, const char *format,
               ...)
{
    va_list args;
    va_start(args, format);
    put_diag(doc, diags, (struct place){node->line, node->column, node}, format, args);
    va_end(args);
}

void doc_error_at_key(const struct doc *doc, struct diags *diags, const struct doc_node *node,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_diag(doc, diags, (struct place){node->key_line, node->key_column, node}, format, args);
    va_end(args);
}

void doc_error_at(const struct doc *doc, struct diags *diags, unsigned line, unsigned column,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_diag(doc, diags, (struct place){line, column, NULL}, format, args);
    va_end(args);
}
