#pragma once
/*
 * What a person is told when what they gave is wrong: where it stands, what was found, what was
 * expected and what to do. Used only where a person reads the answer: policy, CLI, API.
 */

#include "base/attrs.h"

enum {
    DIAG_FILE_MAX = 256,
    DIAG_KEY_MAX = 128,
    DIAG_TEXT_MAX = 512,
};

struct diag {
    char file[DIAG_FILE_MAX]; /* as the user named it; "" when the text is not about a file */
    unsigned line;            /* from 1; 0 when unknown */
    unsigned column;          /* from 1; 0 when unknown */
    char key[DIAG_KEY_MAX];   /* "quotas.web.memory.limit"; "" when not about one key */
    char text[DIAG_TEXT_MAX]; /* one sentence, no full stop, no newline */
};

/* An ordered list of diags, bounded: what exceeds DIAGS_MAX is counted, not kept. */
enum { DIAGS_MAX = 64 };
struct diags {
    struct diag *items; /* heap, owned */
    size_t count;
    size_t dropped;
};
#define DIAGS_NULL ((struct diags){0})

/* Fills *d; any of @file and @key may be NULL. Text too long is cut with "…". */
void diag_set(struct diag *d, const char *file, unsigned line, unsigned column, const char *key,
              const char *format, ...) PRINTF_LIKE(6, 7);

/* Writes "FILE:LINE:COL: text" (parts that are unknown are left out) into buf; returns buf. */
const char *diag_format(const struct diag *d, char *buf, size_t size);

/* Appends a copy; out of memory counts as dropped. */
void diags_add(struct diags *list, const struct diag *d);
void diags_fini(struct diags *list);
