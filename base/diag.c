#include "base/diag.h"
#include "base/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELLIPSIS "…"

/* Ends a text that filled its buffer with "…", without tearing a character. */
static void mark_cut(char *text, size_t size)
{
    size_t at = size - sizeof ELLIPSIS;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    memcpy(text + at, ELLIPSIS, sizeof ELLIPSIS);
}

/* A line is a line: what users named may hold newlines and worse. */
static void flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

static void set_field(char *to, size_t size, const char *from)
{
    if (!str_copy(to, size, from ? from : ""))
        mark_cut(to, size);
    flatten(to);
}

void diag_set(struct diag *d, const char *file, unsigned line, unsigned column, const char *key,
              const char *format, ...)
{
    char text[DIAG_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len >= (int)sizeof text)
        mark_cut(text, sizeof text);

    set_field(d->file, sizeof d->file, file);
    set_field(d->key, sizeof d->key, key);
    set_field(d->text, sizeof d->text, text);
    d->line = line;
    d->column = column;
}

const char *diag_format(const struct diag *d, char *buf, size_t size)
{
    char place[DIAG_FILE_MAX + 32] = "";
    const char *file = d->file, *colon = *d->file ? ":" : "";
    if (d->line && d->column)
        str_format(place, sizeof place, "%s%s%u:%u: ", file, colon, d->line, d->column);
    else if (d->line)
        str_format(place, sizeof place, "%s%s%u: ", file, colon, d->line);
    else if (*file)
        str_format(place, sizeof place, "%s: ", file);
    str_format(buf, size, "%s%s", place, d->text);
    return buf;
}

void diags_add(struct diags *list, const struct diag *d)
{
    if (!list->items)
        list->items = calloc(DIAGS_MAX, sizeof *list->items);
    if (!list->items || list->count == DIAGS_MAX) {
        list->dropped++;
        return;
    }
    list->items[list->count++] = *d;
}

void diags_fini(struct diags *list)
{
    free(list->items);
    *list = DIAGS_NULL;
}
