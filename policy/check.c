#include "policy/check.h"

#include "base/str.h"
#include "model/setting.h"
#include "policy/doc.h"
#include "policy/policy.h"
#include "policy/settings.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_setting_key(const char *key)
{
    size_t len = strlen(key);
    for (unsigned i = 0; i < settings_count; i++)
        if (strncmp(settings_table[i].key, key, len) == 0 &&
            (settings_table[i].key[len] == '\0' || settings_table[i].key[len] == '.'))
            return true;
    return false;
}

/* Whether the file has a key of masud's settings and none of a policy. What cannot be told is judged as a
 * policy. */
static bool is_settings(const char *path)
{
    struct diags ignored = DIAGS_NULL;
    struct doc doc = DOC_NULL;
    bool found = false, policy = false;
    if (doc_load(path, &doc, &ignored) == 0 && doc.root && doc.root->kind == DOC_MAP) {
        policy = doc_get(doc.root, "quotas") || doc_get(doc.root, "groups");
        DOC_FOR_EACH(node, doc.root)
        found = found || is_setting_key(node->key);
    }
    doc_fini(&doc);
    diags_fini(&ignored);
    return found && !policy;
}

static int is_policy_name(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && str_ends(entry->d_name, ".yaml");
}

/* masud takes a directory without a policy for one that has nothing to say yet; who checks it meant another
 * one. What cannot be read is left to the loader. */
static bool is_bare_directory(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_policy_name, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return count == 0;
}

int check_files(const char *const *paths, unsigned count, struct diags *diags)
{
    const char **policies = calloc(count + 1, sizeof *policies);
    unsigned policy_count = 0;
    struct settings settings;
    struct policy policy = POLICY_NULL;
    int result = 0;
    if (!policies) {
        doc_error_at(&(struct doc){.file = ""}, diags, 0, 0, "out of memory");
        return -ENOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        if (is_bare_directory(paths[i])) {
            doc_error_at(&(struct doc){.file = paths[i]}, diags, 0, 0, "no policy file (*.yaml) is in it");
            result = -EINVAL;
        } else if (!is_settings(paths[i])) {
            policies[policy_count++] = paths[i];
        } else if (settings_load(paths[i], &settings, diags) < 0) {
            result = -EINVAL;
        }
    }
    int r = policy_load(policies, policy_count, &policy, diags);
    policy_fini(&policy);
    free(policies);
    return r < 0 ? r : result;
}
