#include "base/buf.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_CAPACITY = 64, VARINT_MAX = 10 };

/* Makes room for @len bytes and the terminator. False (error set) when that fails or had failed before. */
static bool make_room(struct buf *b, size_t len)
{
    if (b->error)
        return false;
    if (len < b->capacity - b->len)
        return true;
    size_t capacity = b->capacity ? b->capacity : BUF_FIRST_CAPACITY;
    while (capacity - b->len <= len) {
        if (capacity > SIZE_MAX / 4) {
            b->error = -ENOMEM;
            return false;
        }
        capacity *= 2;
    }
    char *data = realloc(b->data, capacity);
    if (!data) {
        b->error = -ENOMEM;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void buf_append(struct buf *b, const void *bytes, size_t len)
{
    if (!make_room(b, len))
        return;
    if (len)
        memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

void buf_putc(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char stack[256];
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(stack, sizeof stack, format, args);
    if (len < 0)
        b->error = b->error ? b->error : -ENOMEM;
    else if ((size_t)len < sizeof stack)
        buf_append(b, stack, (size_t)len);
    else if (make_room(b, (size_t)len)) {
        vsnprintf(b->data + b->len, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

void buf_put_varint(struct buf *b, uint64_t value)
{
    uint8_t bytes[VARINT_MAX];
    size_t len = 0;
    while (value >= 0x80) {
        bytes[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (uint8_t)value;
    buf_append(b, bytes, len);
}

void *buf_reserve(struct buf *b, size_t len)
{
    if (!make_room(b, len))
        return NULL;
    /* zeros, so that the bytes are terminated wherever the caller stops */
    memset(b->data + b->len, 0, len + 1);
    return b->data + b->len;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->error = 0;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_take(struct buf *b)
{
    char *data = NULL;
    if (!b->error && b->len) {
        data = b->data;
        b->data = NULL;
    }
    buf_fini(b);
    return data;
}

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = BUF_NULL;
}

uint64_t cursor_varint(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; !c->error && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    c->error = -EBADMSG;
    return 0;
}

const void *cursor_bytes(struct cursor *c, size_t len)
{
    if (c->error || len > (size_t)(c->end - c->at)) {
        c->error = -EBADMSG;
        return NULL;
    }
    const void *bytes = c->at;
    c->at += len;
    return bytes;
}
