#pragma once
/* Text for a terminal: colour only where a person looks, names never as control sequences. */

#include "base/buf.h"
#include <stdbool.h>

enum paint { PAINT_NONE, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_YELLOW, PAINT_GREEN, PAINT_CYAN };

/* Whether standard output is a terminal that wants colour (NO_COLOR unset, TERM not dumb). */
bool paint_wanted(void);
/* Appends @text in @paint, control characters as '?'. */
void paint_put(struct buf *out, enum paint paint, const char *text);
/* Columns that @text takes. */
unsigned paint_width(const char *text);
/* One line of parts, the first the most important: those that do not fit whole into @width columns are left
 * out from the end, the first alone is cut. 0: any width. */
struct paint_part {
    enum paint paint;
    const char *text;
};
void paint_line(struct buf *out, const struct paint_part *parts, unsigned count, unsigned width);
/* The colour of a pressure level by its name. */
enum paint paint_of_level(const char *level);
