#pragma once
/* Group names are bytes, JSON and metrics are UTF-8: what is not UTF-8 is shown as U+FFFD. */

#include "base/buf.h"
#include <stdbool.h>

/* The length of the well-formed sequence at @text (1 to 4), or 0 when there is none. */
unsigned utf8_sequence(const char *text);
bool utf8_valid(const char *text);
/* Appends @text, each byte that belongs to no well-formed sequence as U+FFFD. */
void utf8_put(struct buf *out, const char *text);
