#include "policy/policy_parts.h"

#include "base/str.h"
#include <stdio.h>
#include <string.h>

/* What the policy language has and this version does not do yet: said so, never skipped. */
static const struct {
    const char *scope, *key;
} later_keys[] = {
    {"", "alerts"},        {"quota", "network"},   {"quota", "hugetlb"}, {"quota", "devices"},
    {"quota", "frozen"},   {"quota", "pressure"},  {"match", "label"},   {"match", "image"},
    {"match", "unit"},     {"match", "user"},      {"match", "exe"},     {"cpu", "idle"},
    {"cpu", "cpus"},       {"cpu", "mems"},        {"cpu", "realtime"},  {"memory", "high"},
    {"memory", "low"},     {"memory", "min"},      {"memory", "kernel"}, {"memory", "tcp"},
    {"memory", "oom"},     {"io", "weight"},       {"io", "latency"},    {"device", "weight"},
    {"device", "latency"}, {"group", "processes"},
};

static const struct {
    const char *scope, *shown;
} scope_names[] = {
    {"", "a policy file"},
    {"quota", "a quota"},
    {"device", "a device of io"},
    {"group", "a group"},
};

static bool is_later(const char *scope, const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(later_keys); i++)
        if (strcmp(later_keys[i].scope, scope) == 0 && strcmp(later_keys[i].key, key) == 0)
            return true;
    return false;
}

static const char *scope_shown(const char *scope)
{
    for (size_t i = 0; i < ARRAY_LEN(scope_names); i++)
        if (strcmp(scope_names[i].scope, scope) == 0)
            return scope_names[i].shown;
    return scope;
}

void policy_refuse_key(struct policy_loader *loader, const struct doc *doc, const struct doc_node *node,
                       const char *scope, const struct words *known)
{
    char list[384], found[128];
    doc_quote(node->key, found, sizeof found);
    words_join(known, " and ", list, sizeof list);
    const char *dot = strchr(node->key, '.'), *nearest = str_nearest(node->key, known->items);
    if (is_later(scope, node->key))
        doc_error_at_key(doc, loader->diags, node, "%s is not supported by this version of masu; %s takes %s",
                         found, scope_shown(scope), list);
    else if (strcmp(scope, "quota") == 0 && dot && knob_find(node->key) >= 0)
        doc_error_at_key(doc, loader->diags, node, "unknown key %s, write it as %.*s: { %s: … }", found,
                         (int)(dot - node->key), node->key, dot + 1);
    else if (nearest)
        doc_error_at_key(doc, loader->diags, node, "unknown key %s in %s, did you mean '%s'?", found,
                         scope_shown(scope), nearest);
    else
        doc_error_at_key(doc, loader->diags, node, "unknown key %s, %s takes %s", found, scope_shown(scope),
                         list);
}
