#include "cli/table.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, CELL_MAX = 1024 };

void table_init(struct table *table, const struct table_column *columns, unsigned count)
{
    *table = (struct table){.columns = columns, .column_count = count};
}

void table_put(struct table *table, enum paint paint, const char *text)
{
    if (table->count == table->capacity) {
        size_t wanted = table->capacity ? table->capacity * 2 : 64;
        struct table_cell *moved = realloc(table->cells, wanted * sizeof *moved);
        if (!moved) {
            table->failed = true;
            return;
        }
        table->cells = moved;
        table->capacity = wanted;
    }
    char *copy = strdup(text);
    table->failed |= !copy;
    if (copy)
        table->cells[table->count++] = (struct table_cell){.text = copy, .paint = paint};
}

void table_printf(struct table *table, enum paint paint, const char *format, ...)
{
    char text[CELL_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    table_put(table, paint, text);
}

static void measure(const struct table *table, size_t cells, unsigned widths[static TABLE_COLUMNS_MAX])
{
    for (unsigned c = 0; c < table->column_count; c++)
        widths[c] = paint_width(table->columns[c].title);
    for (size_t i = 0; i < cells; i++) {
        unsigned width = paint_width(table->cells[i].text), column = (unsigned)(i % table->column_count);
        if (width > widths[column])
            widths[column] = width;
    }
}

static void pad(struct buf *out, unsigned columns)
{
    while (columns--)
        buf_putc(out, ' ');
}

/* One line being written, cut at the terminal's edge by whole cells. */
struct line {
    struct buf *out;
    unsigned used, width;
};

static void put_cell(const struct table *table, struct line *line, unsigned column, const unsigned widths[],
                     enum paint paint, const char *text)
{
    bool last = column + 1 == table->column_count;
    unsigned gap = column ? GAP : 0, space = widths[column] - paint_width(text);

    if (line->width && line->used + gap + widths[column] > line->width &&
        (!last || line->used + gap + paint_width(text) > line->width)) {
        line->used = line->width; /* what follows is cut as well */
        return;
    }
    pad(line->out, gap);
    if (table->columns[column].right)
        pad(line->out, space);
    paint_put(line->out, paint, text);
    if (!table->columns[column].right && !last)
        pad(line->out, space);
    line->used += gap + widths[column];
}

void table_render(const struct table *table, size_t rows_max, unsigned width, struct buf *out)
{
    unsigned widths[TABLE_COLUMNS_MAX];
    size_t rows = table->count / table->column_count;

    if (rows_max && rows > rows_max)
        rows = rows_max;
    measure(table, rows * table->column_count, widths);
    struct line line = {.out = out, .width = width};
    for (unsigned c = 0; c < table->column_count; c++)
        put_cell(table, &line, c, widths, PAINT_BOLD, table->columns[c].title);
    buf_putc(out, '\n');
    for (size_t r = 0; r < rows; r++) {
        line.used = 0;
        for (unsigned c = 0; c < table->column_count; c++) {
            const struct table_cell *cell = &table->cells[r * table->column_count + c];
            put_cell(table, &line, c, widths, cell->paint, cell->text);
        }
        buf_putc(out, '\n');
    }
    if (table->failed)
        out->error = -ENOMEM;
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    *table = (struct table){0};
}
