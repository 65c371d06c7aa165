#pragma once
/*
 * Between the files of the loader; nobody else includes this. A load goes: each file to a document (doc),
 * each document to drafts (policy_read), all drafts together to quotas (policy_resolve). Documents live until
 * the end, so that an error found late still has its mark.
 */

#include "base/map.h"
#include "policy/doc.h"
#include "policy/policy.h"
#include "policy/words.h"

enum { POLICY_QUOTAS_MAX = 4096, POLICY_GROUPS_MAX = 4096, POLICY_FILES_MAX = 256 };

/* What a quota says itself, beside what it takes over from the one it extends. */
enum {
    DRAFT_ACCOUNT = 1 << 0,
    DRAFT_RELEASE = 1 << 1,
    DRAFT_DRIFT = 1 << 2,
    DRAFT_UNSUPPORTED = 1 << 3,
    DRAFT_PER_LEAF = 1 << 4,
};

enum draft_state { DRAFT_READ, DRAFT_RESOLVING, DRAFT_RESOLVED, DRAFT_FAILED };

struct draft {
    struct quota quota;
    const struct doc *doc;
    const struct doc_node *node;
    const struct doc_node *extends; /* NULL: none */
    unsigned given;                 /* DRAFT_* */
    enum draft_state state;
    unsigned own_count; /* of the settings: the first ones are its own, the others inherited */
    struct {
        const struct doc *doc;
        const struct doc_node *node;
    } origins[QUOTA_SETTINGS_MAX]; /* of the settings */
};

struct group_draft {
    struct policy_group group;
    const struct doc *doc;
    const struct doc_node *quota; /* where its quota is named; NULL when the name was refused */
};

struct policy_loader {
    struct diags *diags;
    struct doc *docs[POLICY_FILES_MAX]; /* heap */
    unsigned doc_count;
    struct draft *drafts[POLICY_QUOTAS_MAX]; /* heap, in order of precedence */
    unsigned draft_count;
    struct group_draft *groups[POLICY_GROUPS_MAX]; /* heap */
    unsigned group_count;
    struct map draft_names, group_paths;
    int error; /* -ENOMEM: the load is given up */
};

/* Reads one document's quotas and groups into the loader. */
void policy_read(struct policy_loader *loader, const struct doc *doc);
/* Follows extends, checks what one value alone cannot tell, and checks the groups' references. */
void policy_resolve(struct policy_loader *loader);

/* The value of @text for @knob in policy units. False with what was found and what was expected in @why. */
bool policy_value_parse(enum knob_id knob, const char *text, uint64_t *ret, char *why, size_t why_size);
/* Its exact spelling, which parses to the same value. Returns buf. */
const char *policy_value_print(enum knob_id knob, uint64_t value, char *buf, size_t size);

/* Says that @node's key has no place in @scope ("memory"; "" for the file, "quota", "match", "device",
   "group"): that it is not supported yet, or unknown, with the nearest of @known. */
void policy_refuse_key(struct policy_loader *loader, const struct doc *doc, const struct doc_node *node,
                       const char *scope, const struct words *known);

/* ---- the readers' own ---- */

struct reader {
    struct policy_loader *loader;
    const struct doc *doc;
    struct draft *draft;       /* of the quota being read */
    struct group_draft *group; /* being read */
};

/* A key of the language that is no limit. */
struct key_row {
    const char *key;
    void (*read)(struct reader *r, const struct doc_node *node);
};
const struct key_row *key_row_find(const struct key_row *rows, size_t count, const char *key);
void key_rows_words(struct words *words, const struct key_row *rows, size_t count);

#define ERROR(r, node, ...) doc_error((r)->doc, (r)->loader->diags, node, __VA_ARGS__)
/* Whether the node is of the kind; says what was found and @expected when not. An empty scalar is nothing. */
bool reader_expect(struct reader *r, const struct doc_node *node, enum doc_kind kind, const char *expected);

/* The limit of a knob; @device is NULL for knobs that are not per device. */
void limits_add(struct reader *r, enum knob_id knob, const char *device, const struct doc_node *node);
/* Reads the node when its key is a section of the knob table ("cpu"), else returns false. */
bool limits_read_section(struct reader *r, const struct doc_node *node);
