#include "policy/policy_parts.h"

/*
 * One document to drafts. The language is rows: the keys of a file, a quota, a match and a group are tables
 * here, the limits are the knob table's own rows. A knob "cpu.weight" stands in a quota as the key weight of
 * the map cpu, "pids" as a key of its own, and a knob that is per device as a key of each device in its
 * section.
 *
 * Errors are noted and reading goes on: one run shows all of them.
 */

#include "base/glob.h"
#include "base/str.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct key_row *key_row_find(const struct key_row *rows, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

void key_rows_words(struct words *words, const struct key_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        words_add(words, rows[i].key, strlen(rows[i].key));
}

bool reader_expect(struct reader *r, const struct doc_node *node, enum doc_kind kind, const char *expected)
{
    char found[DIAG_KEY_MAX];
    if (node->kind == kind && (kind != DOC_SCALAR || node->text[0]))
        return true;
    ERROR(r, node, "%s: found %s, expected %s", node->key ? node->key : "the file",
          doc_describe(node, found, sizeof found), expected);
    return false;
}

/* Letters, digits, '.', '_' and '-': what needs no quoting anywhere. */
static bool name_ok(struct reader *r, const struct doc_node *node, const char *what, const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    char found[DIAG_KEY_MAX];
    size_t len = strlen(name);
    if (len > 0 && len < POLICY_NAME_MAX && strspn(name, letters) == len)
        return true;
    void (*error)(const struct doc *, struct diags *, const struct doc_node *, const char *, ...) =
        name == node->key ? doc_error_at_key : doc_error;
    error(r->doc, r->loader->diags, node,
          "%s: found %s, expected a name of at most %d letters, digits, '.', '_' and '-'", what,
          doc_quote(name, found, sizeof found), POLICY_NAME_MAX - 1);
    return false;
}

/* ---- match ------------------------------------------------------------------------------------------- */

static void add_glob(struct reader *r, const struct doc_node *node, const char *key,
                     struct policy_globs *globs)
{
    char found[DIAG_KEY_MAX];
    const char *wrong =
        node->kind == DOC_SCALAR && node->text[0] ? glob_check(node->text) : "expected a glob";
    if (!wrong && strcmp(key, "path") == 0 && node->text[0] != '/')
        wrong = "a path begins with '/'";
    if (wrong) {
        ERROR(r, node, "match.%s: found %s: %s", key, doc_describe(node, found, sizeof found), wrong);
        return;
    }
    if (globs->count == POLICY_GLOBS_MAX) {
        ERROR(r, node, "match.%s: at most %d globs", key, POLICY_GLOBS_MAX);
        return;
    }
    globs->items[globs->count] = strdup(node->text);
    if (!globs->items[globs->count])
        r->loader->error = -ENOMEM;
    else
        globs->count++;
}

static void read_globs(struct reader *r, const struct doc_node *node, struct policy_globs *globs)
{
    if (node->kind == DOC_SCALAR) {
        add_glob(r, node, node->key, globs);
        return;
    }
    if (node->kind == DOC_MAP || node->count == 0) {
        ERROR(r, node, "match.%s: found %s, expected a glob or a list of globs", node->key,
              node->kind == DOC_MAP ? "a map" : "an empty list");
        return;
    }
    DOC_FOR_EACH(child, node)
    add_glob(r, child, node->key, globs);
}

static void read_match_path(struct reader *r, const struct doc_node *node)
{
    read_globs(r, node, &r->draft->quota.match.path);
}

static void read_match_container(struct reader *r, const struct doc_node *node)
{
    read_globs(r, node, &r->draft->quota.match.container);
}

static void read_match_runtime(struct reader *r, const struct doc_node *node)
{
    read_globs(r, node, &r->draft->quota.match.runtime);
}

static const struct key_row match_rows[] = {
    {"path", read_match_path},
    {"container", read_match_container},
    {"runtime", read_match_runtime},
};

static void key_rows_read(struct reader *r, const struct doc_node *map, const char *scope,
                          const struct key_row *rows, size_t count)
{
    struct words known = WORDS_NULL;
    key_rows_words(&known, rows, count);
    DOC_FOR_EACH(child, map)
    {
        const struct key_row *row = key_row_find(rows, count, child->key);
        if (row)
            row->read(r, child);
        else
            policy_refuse_key(r->loader, r->doc, child, scope, &known);
    }
}

static void read_match(struct reader *r, const struct doc_node *node)
{
    static const char expected[] = "a map with path, container or runtime";
    if (!reader_expect(r, node, DOC_MAP, expected))
        return;
    r->draft->quota.match.given = true;
    if (node->count == 0)
        ERROR(r, node, "match: found an empty map, expected %s", expected);
    key_rows_read(r, node, "match", match_rows, ARRAY_LEN(match_rows));
}

/* ---- the rest of a quota ----------------------------------------------------------------------------- */

struct choice {
    const char *word;
    int value;
    bool later; /* of the language, not of this version */
};

static const struct choice release_choices[] = {{"restore", RELEASE_RESTORE, false},
                                                {"keep", RELEASE_KEEP, false},
                                                {"unlimited", RELEASE_UNLIMITED, false},
                                                {0}};
static const struct choice drift_choices[] = {{"enforce", DRIFT_ENFORCE, false},
                                              {"adopt", DRIFT_ADOPT, false},
                                              {"report", DRIFT_REPORT, false},
                                              {"hold", 0, true},
                                              {0}};
static const struct choice unsupported_choices[] = {{"refuse", false, false}, {"warn", true, false}, {0}};

static bool read_choice(struct reader *r, const struct doc_node *node, const struct choice *choices, int *ret)
{
    struct words known = WORDS_NULL;
    char found[DIAG_KEY_MAX], list[128];
    bool later = false;
    doc_describe(node, found, sizeof found);
    for (; choices->word; choices++) {
        bool same = node->kind == DOC_SCALAR && strcmp(node->text, choices->word) == 0;
        later = later || (same && choices->later);
        if (same && !choices->later) {
            *ret = choices->value;
            return true;
        }
        if (!choices->later)
            words_add(&known, choices->word, strlen(choices->word));
    }
    words_join(&known, " or ", list, sizeof list);
    if (later)
        ERROR(r, node, "%s: %s is not supported by this version of masu, expected %s", node->key, found,
              list);
    else
        ERROR(r, node, "%s: found %s, expected %s", node->key, found, list);
    return false;
}

static void read_release(struct reader *r, const struct doc_node *node)
{
    int value;
    if (!read_choice(r, node, release_choices, &value))
        return;
    r->draft->quota.release = (enum policy_release)value;
    r->draft->given |= DRAFT_RELEASE;
}

static void read_drift(struct reader *r, const struct doc_node *node)
{
    int value;
    if (!read_choice(r, node, drift_choices, &value))
        return;
    r->draft->quota.drift = (enum policy_drift)value;
    r->draft->given |= DRAFT_DRIFT;
}

static void read_unsupported(struct reader *r, const struct doc_node *node)
{
    int value;
    if (!read_choice(r, node, unsupported_choices, &value))
        return;
    r->draft->quota.unsupported_warn = value;
    r->draft->given |= DRAFT_UNSUPPORTED;
}

static void read_account(struct reader *r, const struct doc_node *node)
{
    if (!reader_expect(r, node, DOC_SCALAR, "a name") || !name_ok(r, node, "account", node->text))
        return;
    str_copy(r->draft->quota.account, sizeof r->draft->quota.account, node->text);
    r->draft->given |= DRAFT_ACCOUNT;
}

static void read_extends(struct reader *r, const struct doc_node *node)
{
    if (reader_expect(r, node, DOC_SCALAR, "the name of one quota"))
        r->draft->extends = node;
}

static const struct key_row quota_rows[] = {
    {"extends", read_extends}, {"match", read_match},     {"account", read_account},
    {"drift", read_drift},     {"release", read_release}, {"unsupported", read_unsupported},
};

static void quota_words(struct words *words)
{
    for (unsigned i = 0; i < KNOB_N; i++)
        words_add(words, knobs[i].key, strcspn(knobs[i].key, "."));
    key_rows_words(words, quota_rows, ARRAY_LEN(quota_rows));
}

static void read_quota_key(struct reader *r, const struct doc_node *node, const struct words *known)
{
    const struct key_row *row = key_row_find(quota_rows, ARRAY_LEN(quota_rows), node->key);
    int knob = strchr(node->key, '.') ? -1 : knob_find(node->key);
    if (row)
        row->read(r, node);
    else if (knob >= 0)
        limits_add(r, (enum knob_id)knob, NULL, node);
    else if (!limits_read_section(r, node))
        policy_refuse_key(r->loader, r->doc, node, "quota", known);
}

static struct draft *add_draft(struct reader *r, const struct doc_node *node)
{
    struct policy_loader *loader = r->loader;
    const struct draft *other = map_get_str(&loader->draft_names, node->key);
    if (other) {
        doc_error_at_key(r->doc, loader->diags, node, "quota '%s' stands already in %s:%u", node->key,
                         other->doc->file, other->node->key_line);
        return NULL;
    }
    if (loader->draft_count == POLICY_QUOTAS_MAX) {
        doc_error_at_key(r->doc, loader->diags, node, "more than %d quotas", POLICY_QUOTAS_MAX);
        return NULL;
    }
    struct draft *draft = calloc(1, sizeof *draft);
    if (!draft || map_set_str(&loader->draft_names, node->key, draft) < 0) {
        free(draft);
        loader->error = -ENOMEM;
        return NULL;
    }
    *draft = (struct draft){.doc = r->doc, .node = node};
    str_copy(draft->quota.name, sizeof draft->quota.name, node->key);
    draft->quota.file = r->doc->file;
    draft->quota.line = node->key_line;
    loader->drafts[loader->draft_count++] = draft;
    return draft;
}

static void read_quotas(struct reader *r, const struct doc_node *map)
{
    struct words known = WORDS_NULL;
    quota_words(&known);
    if (!reader_expect(r, map, DOC_MAP, "a map of quotas by name"))
        return;
    DOC_FOR_EACH(node, map)
    {
        if (!name_ok(r, node, "quotas", node->key) || !(r->draft = add_draft(r, node)) ||
            !reader_expect(r, node, DOC_MAP, "a map with limits"))
            continue;
        DOC_FOR_EACH(child, node)
        read_quota_key(r, child, &known);
    }
}

/* ---- groups ------------------------------------------------------------------------------------------ */

/* What is wrong with the path of a group to make, or NULL. */
static const char *path_fault(const char *path)
{
    if (path[0] != '/')
        return "a group's path begins with '/'";
    if (!path[1])
        return "the root is there already, and masu does not manage it";
    if (strlen(path) >= GROUP_PATH_MAX)
        return "the path is too long";
    for (const char *part = path; *part; part += strcspn(part, "/")) {
        size_t len = strcspn(++part, "/");
        if (len == 0)
            return "the path has an empty part; write single '/' and none at the end";
        if (len > 255)
            return "a name in the path is longer than 255 bytes";
        if (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')))
            return "'.' and '..' are not followed";
    }
    return NULL;
}

static void read_group_quota(struct reader *r, const struct doc_node *node)
{
    if (!reader_expect(r, node, DOC_SCALAR, "the name of a quota") || !name_ok(r, node, "quota", node->text))
        return;
    str_copy(r->group->group.quota, sizeof r->group->group.quota, node->text);
    r->group->quota = node;
}

static const struct key_row group_rows[] = {
    {"quota", read_group_quota},
};

static struct group_draft *add_group(struct reader *r, const struct doc_node *node)
{
    struct policy_loader *loader = r->loader;
    char found[DIAG_KEY_MAX];
    const char *fault = path_fault(node->key);
    const struct group_draft *other = map_get_str(&loader->group_paths, node->key);
    if (fault) {
        doc_error_at_key(r->doc, loader->diags, node, "groups: found %s: %s",
                         doc_quote(node->key, found, sizeof found), fault);
        return NULL;
    }
    if (other) {
        doc_error_at_key(r->doc, loader->diags, node, "group %s stands already in %s:%u",
                         doc_quote(node->key, found, sizeof found), other->group.file, other->group.line);
        return NULL;
    }
    if (loader->group_count == POLICY_GROUPS_MAX) {
        doc_error_at_key(r->doc, loader->diags, node, "more than %d groups", POLICY_GROUPS_MAX);
        return NULL;
    }
    struct group_draft *draft = calloc(1, sizeof *draft);
    if (!draft || map_set_str(&loader->group_paths, node->key, draft) < 0) {
        free(draft);
        loader->error = -ENOMEM;
        return NULL;
    }
    draft->doc = r->doc;
    draft->group.file = r->doc->file;
    draft->group.line = node->key_line;
    str_copy(draft->group.path, sizeof draft->group.path, node->key);
    loader->groups[loader->group_count++] = draft;
    return draft;
}

static void read_groups(struct reader *r, const struct doc_node *map)
{
    if (!reader_expect(r, map, DOC_MAP, "a map of groups by path"))
        return;
    DOC_FOR_EACH(node, map)
    {
        if (!(r->group = add_group(r, node)) || !reader_expect(r, node, DOC_MAP, "a map with quota"))
            continue;
        if (!doc_get(node, "quota"))
            doc_error_at_key(r->doc, r->loader->diags, node, "the group names no quota");
        key_rows_read(r, node, "group", group_rows, ARRAY_LEN(group_rows));
    }
}

static const struct key_row file_rows[] = {
    {"quotas", read_quotas},
    {"groups", read_groups},
};

void policy_read(struct policy_loader *loader, const struct doc *doc)
{
    struct reader r = {.loader = loader, .doc = doc};
    if (doc->root && reader_expect(&r, doc->root, DOC_MAP, "a map with quotas or groups"))
        key_rows_read(&r, doc->root, "", file_rows, ARRAY_LEN(file_rows));
}
