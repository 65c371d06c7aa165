#pragma once
/* A full-screen page that is drawn anew, and the keys pressed meanwhile. The terminal is put back at every
 * end. */

#include "base/buf.h"

enum { SCREEN_NONE = 0, SCREEN_END = -1 };

struct screen; /* opaque */
/* NULL: standard output is no terminal. */
struct screen *screen_open(void);
void screen_close(struct screen *screen);
unsigned screen_width(const struct screen *screen);
unsigned screen_height(const struct screen *screen);
/* Draws the page from the top, without flicker. */
void screen_show(struct screen *screen, const struct buf *page);
/* Waits for a key for @timeout_ms. The key, SCREEN_NONE when none came, SCREEN_END at a signal or when input
 * ended. */
int screen_key(struct screen *screen, int timeout_ms);
