#pragma once
/* A picture of one metric's history, drawn by librrd: the average as an area, the peak as a line, the limit
 * as a dashed line. */

#include "exporters/history.h"
#include <stdbool.h>

struct graph_query {
    struct history_query history;
    const char *title;      /* of the subject: "web" */
    uint32_t width, height; /* of the whole picture, in pixels; raised to what can be drawn */
    bool svg;               /* else PNG */
};

/* Appends the picture's bytes to @out. 0, -ENOENT (the key has no history), or another -errno, with a
 * sentence in @why. */
MUST_USE int graph_draw(const struct graph_query *query, struct buf *out, char *why, size_t why_size);
