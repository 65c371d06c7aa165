#include "policy/policy.h"

#include "base/buf.h"
#include "base/glob.h"
#include "base/str.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/*
 * A group without a known runtime carries its path as its name. Were a container glob to fit it, `container:
 * "*"` would limit every slice and parent of the host; so it does only where it begins with '/' and thereby
 * means paths.
 */
static bool fits_container(const char *glob, const struct group_identity *identity)
{
    return glob_match_name(glob, identity->name) &&
           (glob[0] == '/' || strcmp(identity->runtime, "cgroup") != 0);
}

static bool fits_path(const char *glob, const struct group_identity *identity)
{
    return glob_match_path(glob, identity->path);
}

static bool fits_runtime(const char *glob, const struct group_identity *identity)
{
    return glob_match_name(glob, identity->runtime);
}

static const struct selector {
    const char *key;
    bool (*fits)(const char *glob, const struct group_identity *identity);
    size_t globs_offset;  /* in struct policy_match */
    size_t object_offset; /* in struct group_identity: what it looks at */
} selectors[] = {
    {"path", fits_path, offsetof(struct policy_match, path), offsetof(struct group_identity, path)},
    {"container", fits_container, offsetof(struct policy_match, container),
     offsetof(struct group_identity, name)},
    {"runtime", fits_runtime, offsetof(struct policy_match, runtime),
     offsetof(struct group_identity, runtime)},
};

static const struct policy_globs *selector_globs(const struct selector *s, const struct policy_match *match)
{
    return (const struct policy_globs *)(const void *)((const char *)match + s->globs_offset);
}

static const char *selector_object(const struct selector *s, const struct group_identity *identity)
{
    return (const char *)identity + s->object_offset;
}

/* The glob that fits, or NULL. */
static const char *selector_fits(const struct selector *s, const struct policy_globs *globs,
                                 const struct group_identity *identity)
{
    for (unsigned i = 0; i < globs->count; i++)
        if (s->fits(globs->items[i], identity))
            return globs->items[i];
    return NULL;
}

static bool match_fits(const struct policy_match *match, const struct group_identity *identity)
{
    if (!match->given || identity->kind != SUBJECT_GROUP)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
        const struct policy_globs *globs = selector_globs(&selectors[i], match);
        if (globs->count && !selector_fits(&selectors[i], globs, identity))
            return false;
    }
    return true;
}

static const struct quota *find_quota(const struct policy *policy, const char *name)
{
    for (unsigned i = 0; i < policy->quota_count; i++)
        if (strcmp(policy->quotas[i].name, name) == 0)
            return &policy->quotas[i];
    return NULL;
}

const struct quota *policy_find(const struct policy *policy, const struct group_identity *identity)
{
    if (identity->kind != SUBJECT_GROUP)
        return NULL;
    for (unsigned i = 0; i < policy->group_count; i++)
        if (strcmp(policy->groups[i].path, identity->path) == 0)
            return find_quota(policy, policy->groups[i].quota);
    for (unsigned i = 0; i < policy->quota_count; i++)
        if (match_fits(&policy->quotas[i].match, identity))
            return &policy->quotas[i];
    return NULL;
}

uint32_t policy_knobs(const struct policy *policy)
{
    uint32_t set = 0;
    for (unsigned q = 0; q < policy->quota_count; q++)
        for (unsigned i = 0; i < policy->quotas[q].setting_count; i++)
            set |= UINT32_C(1) << policy->quotas[q].settings[i].knob;
    return knob_companions(set);
}

/* "container 'web' does not fit 'db-*'", "path '/a' fits none of '/b', '/c'". */
static void say_misfit(const struct selector *s, const struct policy_globs *globs, const char *object,
                       struct buf *out)
{
    buf_printf(out, "%s '%s' ", s->key, object);
    buf_puts(out, globs->count == 1 ? "does not fit " : "fits none of ");
    for (unsigned i = 0; i < globs->count; i++)
        buf_printf(out, "%s'%s'", i ? ", " : "", globs->items[i]);
    for (unsigned i = 0; s->fits == fits_container && i < globs->count; i++)
        if (glob_match_name(globs->items[i], object)) {
            buf_puts(out, ": no runtime is known for this group, its name is its path");
            return;
        }
}

bool policy_explain(const struct quota *quota, const struct group_identity *identity, char *buf, size_t size)
{
    struct buf out = BUF_NULL;
    bool fits = match_fits(&quota->match, identity);
    if (!quota->match.given)
        buf_puts(&out, "it is a template, it has no match");
    else if (identity->kind != SUBJECT_GROUP)
        buf_puts(&out, "quotas hold for groups only");
    for (size_t i = 0; !out.len && i < ARRAY_LEN(selectors); i++) {
        const struct policy_globs *globs = selector_globs(&selectors[i], &quota->match);
        if (globs->count && !selector_fits(&selectors[i], globs, identity))
            say_misfit(&selectors[i], globs, selector_object(&selectors[i], identity), &out);
    }
    for (size_t i = 0; fits && i < ARRAY_LEN(selectors); i++) {
        const struct policy_globs *globs = selector_globs(&selectors[i], &quota->match);
        const char *glob = selector_fits(&selectors[i], globs, identity);
        if (glob)
            buf_printf(&out, "%s%s '%s' fits '%s'", out.len ? ", " : "", selectors[i].key,
                       selector_object(&selectors[i], identity), glob);
    }
    (void)str_copy(buf, size, out.data && !buf_error(&out) ? out.data : "");
    buf_fini(&out);
    return fits;
}
