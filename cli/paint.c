#include "cli/paint.h"
#include "base/str.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

enum { LINE_MAX_BYTES = 512 };

static const char *const sequences[] = {
    [PAINT_NONE] = "",         [PAINT_BOLD] = "\033[1m",    [PAINT_DIM] = "\033[2m",
    [PAINT_RED] = "\033[31m",  [PAINT_YELLOW] = "\033[33m", [PAINT_GREEN] = "\033[32m",
    [PAINT_CYAN] = "\033[36m",
};

bool paint_wanted(void)
{
    static int wanted = -1;

    if (wanted < 0) {
        const char *off = getenv("NO_COLOR"), *term = getenv("TERM");
        wanted = isatty(STDOUT_FILENO) && !(off && *off) && term && strcmp(term, "dumb") != 0;
    }
    return wanted;
}

void paint_put(struct buf *out, enum paint paint, const char *text)
{
    bool colour = paint != PAINT_NONE && *text && paint_wanted();

    if (colour)
        buf_puts(out, sequences[paint]);
    for (; *text; text++)
        buf_putc(out, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
    if (colour)
        buf_puts(out, "\033[0m");
}

unsigned paint_width(const char *text)
{
    unsigned width = 0;
    mbstate_t state = {0};
    wchar_t wide;

    while (*text) {
        size_t len = mbrtowc(&wide, text, strlen(text), &state);
        int columns = len == (size_t)-1 || len == (size_t)-2 ? -1 : wcwidth(wide);
        if (columns < 0) {
            /* Not of this locale: count the characters of UTF-8 by their first bytes. */
            width += ((unsigned char)*text & 0xc0) != 0x80;
            state = (mbstate_t){0};
            text++;
            continue;
        }
        width += (unsigned)columns;
        text += len;
    }
    return width;
}

/* How many bytes of @text fit into @width columns, whole characters of UTF-8. */
static size_t fitting(const char *text, unsigned width)
{
    char head[LINE_MAX_BYTES];
    size_t len = strlen(text);

    if (len >= sizeof head)
        len = sizeof head - 1;
    memcpy(head, text, len);
    head[len] = '\0';
    while (paint_width(head) > width) {
        while (len && ((unsigned char)head[len - 1] & 0xc0) == 0x80)
            len--;
        head[len ? --len : 0] = '\0';
    }
    return len;
}

void paint_line(struct buf *out, const struct paint_part *parts, unsigned count, unsigned width)
{
    unsigned used = 0;

    for (unsigned i = 0; i < count; i++) {
        char cut[LINE_MAX_BYTES];
        used += paint_width(parts[i].text);
        if (!width || used <= width) {
            paint_put(out, parts[i].paint, parts[i].text);
            continue;
        }
        if (i == 0 && str_format(cut, sizeof cut, "%.*s", (int)fitting(parts[0].text, width), parts[0].text))
            paint_put(out, parts[0].paint, cut);
        return;
    }
}

enum paint paint_of_level(const char *level)
{
    static const struct {
        const char *level;
        enum paint paint;
    } paints[] = {{"low", PAINT_CYAN}, {"medium", PAINT_YELLOW}, {"critical", PAINT_RED}, {"oom", PAINT_RED}};

    for (size_t i = 0; i < ARRAY_LEN(paints); i++)
        if (!strcmp(paints[i].level, level))
            return paints[i].paint;
    return PAINT_DIM;
}
