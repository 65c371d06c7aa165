#pragma once
/* An aligned table: rows are gathered, then printed in columns as wide as what stands in them. */

#include "base/buf.h"
#include "cli/paint.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table_column {
    const char *title;
    bool right;
};

struct table_cell {
    char *text; /* heap */
    enum paint paint;
};

struct table {
    const struct table_column *columns;
    unsigned column_count;
    struct table_cell *cells; /* heap, row after row */
    size_t count, capacity;
    bool failed;
};

void table_init(struct table *table, const struct table_column *columns, unsigned count);
/* The next cell of the present row; a row is full after as many cells as there are columns. */
void table_put(struct table *table, enum paint paint, const char *text);
void table_printf(struct table *table, enum paint paint, const char *format, ...) PRINTF_LIKE(3, 4);
/* Appends the table; @rows_max: at most so many (0: all); @width: lines are cut there (0: not). */
void table_render(const struct table *table, size_t rows_max, unsigned width, struct buf *out);
void table_fini(struct table *table);
