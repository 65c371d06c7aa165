#pragma once
/*
 * A YAML document as a tree of nodes that know where they stand. What a policy has no use for is refused
 * here, with its mark: anchors, aliases, tags, several documents, keys that are not plain text, text of
 * several lines, control characters. Bounds: DOC_BYTES_MAX of file, DOC_DEPTH_MAX levels, DOC_NODES_MAX
 * nodes. Scalars are text: "no" is two letters.
 */

#include "base/diag.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DOC_BYTES_MAX = 1048576, DOC_DEPTH_MAX = 16, DOC_NODES_MAX = 20000 };

enum doc_kind { DOC_SCALAR, DOC_LIST, DOC_MAP };

struct doc_node {
    enum doc_kind kind;
    unsigned line, column; /* of its first character, from 1 */
    char *text;            /* of a scalar, else NULL; "" for `key:` with nothing behind it */
    char *key;             /* in a map, else NULL */
    unsigned key_line, key_column;
    const struct doc_node *parent; /* NULL for the root */
    struct doc_node *first, *last; /* children, in the order of the file */
    struct doc_node *next;         /* sibling */
    unsigned count;                /* children */
    struct doc_node *allocated;    /* the document's chain of all nodes */
};

struct doc {
    const char *file;      /* borrowed: the name that diags carry */
    struct doc_node *root; /* NULL: an empty document */
    struct doc_node *all;
    unsigned node_count;
};
#define DOC_NULL ((struct doc){0})

#define DOC_FOR_EACH(child, node)                                                                            \
    for (const struct doc_node *child = (node)->first; child; child = child->next)

/* Parses text[0..len). 0, -EINVAL with a diag, or -ENOMEM. A duplicate key is a diag of its own: its second
   value is left out and the tree is whole, so that the rest of the file can be judged too. */
MUST_USE int doc_parse(const char *file, const char *text, size_t len, struct doc *ret, struct diags *diags);
/* The same from a regular file that is not empty, named in diags as given. @file is borrowed for the
 * document's life. */
MUST_USE int doc_load(const char *file, struct doc *ret, struct diags *diags);
void doc_fini(struct doc *doc);

/* The child under @key, or NULL. */
const struct doc_node *doc_get(const struct doc_node *map, const char *key);
/* What stands there, in words: "'512'", "nothing", "a list", "a map". Returns buf. */
const char *doc_describe(const struct doc_node *node, char *buf, size_t size);
/* @text in quotes, its end cut where it is long. Returns buf. */
const char *doc_quote(const char *text, char *buf, size_t size);
/* Adds a diag at the node (or at its key), its dotted path as the diag's key. */
void doc_error(const struct doc *doc, struct diags *diags, const struct doc_node *node, const char *format,
               ...) PRINTF_LIKE(4, 5);
void doc_error_at_key(const struct doc *doc, struct diags *diags, const struct doc_node *node,
                      const char *format, ...) PRINTF_LIKE(4, 5);
/* Adds a diag about no key; @line 0: about the whole file. */
void doc_error_at(const struct doc *doc, struct diags *diags, unsigned line, unsigned column,
                  const char *format, ...) PRINTF_LIKE(5, 6);

/* The code point at *at (which is advanced), or -1 when the bytes before @end are not UTF-8. */
int32_t doc_utf8_next(const char **at, const char *end);
