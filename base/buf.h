#pragma once
/*
 * A growable byte buffer that keeps its first failure: append freely, ask buf_error() once.
 * The bytes are always NUL-terminated when data is not NULL.
 */

#include "base/attrs.h"
#include <stdint.h>

struct buf {
    char *data;
    size_t len;
    size_t capacity;
    int error; /* 0 or -ENOMEM */
};
#define BUF_NULL ((struct buf){0})

void buf_append(struct buf *b, const void *bytes, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* LEB128, 1 to 10 bytes. */
void buf_put_varint(struct buf *b, uint64_t value);
/* Makes room for @len more bytes and returns where they go, or NULL (error set); advance with b->len += n. */
void *buf_reserve(struct buf *b, size_t len);
void buf_clear(struct buf *b);
MUST_USE static inline int buf_error(const struct buf *b)
{
    return b->error;
}
/* Gives the heap bytes to the caller (NULL on error or when empty) and leaves *b as BUF_NULL. */
char *buf_take(struct buf *b);
void buf_fini(struct buf *b);

/* A reader over bytes with the same habit: it remembers that it ran out. */
struct cursor {
    const uint8_t *at, *end;
    int error; /* 0 or -EBADMSG */
};
uint64_t cursor_varint(struct cursor *c);
/* Borrowed pointer to @len bytes, or NULL (error set). */
const void *cursor_bytes(struct cursor *c, size_t len);
