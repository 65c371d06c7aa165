#include "policy/policy_parts.h"

/*
 * Loading is all or nothing. Every file is read, and all that is wrong in any of them is noted, before the
 * drafts become quotas. After a file that is no YAML the references are left unchecked, or what it defines
 * would be called unknown.
 */

#include "base/str.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct file_list {
    char *items[POLICY_FILES_MAX]; /* heap */
    unsigned count;
};

#define FILE_ERROR(diags, path, ...) doc_error_at(&(struct doc){.file = (path)}, diags, 0, 0, __VA_ARGS__)

static int add_file(struct file_list *files, const char *directory, const char *name, struct diags *diags)
{
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = malloc(size);
    if (!path)
        return -ENOMEM;
    bool slash = directory[0] && !str_ends(directory, "/");
    (void)str_format(path, size, "%s%s%s", directory, slash ? "/" : "", name);
    if (files->count == POLICY_FILES_MAX) {
        FILE_ERROR(diags, path, "more than %d policy files", POLICY_FILES_MAX);
        free(path);
        return -EINVAL;
    }
    files->items[files->count++] = path;
    return 0;
}

static int is_policy_name(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && str_ends(entry->d_name, ".yaml");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool stands_in(const char *directory, const char *file)
{
    size_t len = strlen(directory);
    return strncmp(file, directory, len) == 0 && (str_ends(directory, "/") || file[len] == '/');
}

/* Whether anything of the policy was read from the directory. */
static bool comes_from(const struct policy *policy, const char *directory)
{
    for (unsigned i = 0; i < policy->quota_count; i++)
        if (stands_in(directory, policy->quotas[i].file))
            return true;
    for (unsigned i = 0; i < policy->group_count; i++)
        if (stands_in(directory, policy->groups[i].file))
            return true;
    return false;
}

static int add_directory(struct file_list *files, const struct policy *now, const char *path,
                         struct diags *diags)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_policy_name, by_bytes), r = 0;
    if (count < 0) {
        FILE_ERROR(diags, path, "cannot be read: %s", strerror(errno));
        return -EINVAL;
    }
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = add_file(files, path, entries[i]->d_name, diags);
        free(entries[i]);
    }
    free(entries);
    if (count == 0 && comes_from(now, path)) {
        FILE_ERROR(diags, path,
                   "no policy file (*.yaml) is left in this directory; to give every limit back run "
                   "'masu release --all', or leave a file there that says 'quotas: {}'");
        return -EINVAL;
    }
    return r;
}

static int list_files(struct file_list *files, const struct policy *now, const char *const *paths,
                      unsigned count, struct diags *diags)
{
    int result = 0;
    for (unsigned i = 0; i < count && result != -ENOMEM; i++) {
        struct stat st;
        bool directory = stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode);
        int r = directory ? add_directory(files, now, paths[i], diags) : add_file(files, "", paths[i], diags);
        if (r < 0)
            result = r;
    }
    return result;
}

static void globs_fini(struct policy_globs *globs)
{
    for (unsigned i = 0; i < globs->count; i++)
        free(globs->items[i]);
    globs->count = 0;
}

static void quota_fini(struct quota *quota)
{
    globs_fini(&quota->match.path);
    globs_fini(&quota->match.container);
    globs_fini(&quota->match.runtime);
}

static void loader_free(struct policy_loader *loader)
{
    for (unsigned i = 0; i < loader->draft_count; i++) {
        quota_fini(&loader->drafts[i]->quota);
        free(loader->drafts[i]);
    }
    for (unsigned i = 0; i < loader->doc_count; i++) {
        doc_fini(loader->docs[i]);
        free(loader->docs[i]);
    }
    for (unsigned i = 0; i < loader->group_count; i++)
        free(loader->groups[i]);
    map_fini(&loader->draft_names);
    map_fini(&loader->group_paths);
    free(loader);
}

/* Whether the file was YAML. */
static bool load_file(struct policy_loader *loader, const char *file)
{
    struct doc *doc = calloc(1, sizeof *doc);
    int r = doc ? doc_load(file, doc, loader->diags) : -ENOMEM;
    if (r < 0) {
        free(doc);
        if (r == -ENOMEM)
            loader->error = r;
        return false;
    }
    loader->docs[loader->doc_count++] = doc;
    policy_read(loader, doc);
    return true;
}

/* Moves what was loaded into *ret. */
static int take(struct policy_loader *loader, struct file_list *files, struct policy *ret)
{
    struct policy policy = {0};
    policy.quotas = calloc(loader->draft_count + 1, sizeof *policy.quotas);
    policy.groups = calloc(loader->group_count + 1, sizeof *policy.groups);
    policy.files = calloc(files->count + 1, sizeof *policy.files);
    if (!policy.quotas || !policy.groups || !policy.files) {
        policy_fini(&policy);
        return -ENOMEM;
    }
    for (; policy.quota_count < loader->draft_count; policy.quota_count++) {
        policy.quotas[policy.quota_count] = loader->drafts[policy.quota_count]->quota;
        loader->drafts[policy.quota_count]->quota.match = (struct policy_match){0};
    }
    for (; policy.group_count < loader->group_count; policy.group_count++)
        policy.groups[policy.group_count] = loader->groups[policy.group_count]->group;
    for (; policy.file_count < files->count; policy.file_count++)
        policy.files[policy.file_count] = files->items[policy.file_count];
    files->count = 0;
    *ret = policy;
    return 0;
}

static int file_rank(const struct file_list *files, const char *name)
{
    for (unsigned i = 0; i < files->count; i++)
        if (strcmp(files->items[i], name) == 0)
            return (int)i;
    return -1;
}

static int compare_diags(const struct file_list *files, const struct diag *a, const struct diag *b)
{
    int left = file_rank(files, a->file), right = file_rank(files, b->file);
    if (left != right)
        return left - right;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}

/* In the order in which a person walks through the files; what was found late stands beside what was found
 * early. */
static void sort_diags(const struct file_list *files, struct diags *diags, size_t first)
{
    for (size_t i = first + 1; i < diags->count; i++)
        for (size_t k = i; k > first && compare_diags(files, &diags->items[k - 1], &diags->items[k]) > 0;
             k--) {
            struct diag swapped = diags->items[k];
            diags->items[k] = diags->items[k - 1];
            diags->items[k - 1] = swapped;
        }
}

static int load_files(struct file_list *files, struct policy *ret, struct diags *diags)
{
    size_t first = diags->count, before = diags->count + diags->dropped;
    struct policy_loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return -ENOMEM;
    loader->diags = diags;
    bool whole = true;
    for (unsigned i = 0; i < files->count && loader->error == 0; i++)
        whole = load_file(loader, files->items[i]) && whole;
    if (whole && loader->error == 0)
        policy_resolve(loader);
    int r = loader->error;
    if (r == 0)
        r = diags->count + diags->dropped > before ? -EINVAL : take(loader, files, ret);
    sort_diags(files, diags, first);
    loader_free(loader);
    return r;
}

int policy_reload(const struct policy *now, const char *const *paths, unsigned count, struct policy *ret,
                  struct diags *diags)
{
    struct file_list files = {.count = 0};
    int listed = list_files(&files, now, paths, count, diags);
    struct policy policy = POLICY_NULL;
    int r = listed == -ENOMEM ? listed : load_files(&files, &policy, diags);
    if (r == 0 && listed < 0)
        r = listed;
    if (r == -ENOMEM)
        FILE_ERROR(diags, count ? paths[0] : "", "out of memory");
    if (r == 0)
        *ret = policy;
    else
        policy_fini(&policy);
    for (unsigned i = 0; i < files.count; i++)
        free(files.items[i]);
    return r;
}

int policy_load(const char *const *paths, unsigned count, struct policy *ret, struct diags *diags)
{
    return policy_reload(&POLICY_NULL, paths, count, ret, diags);
}

void policy_fini(struct policy *policy)
{
    for (unsigned i = 0; i < policy->quota_count; i++)
        quota_fini(&policy->quotas[i]);
    for (unsigned i = 0; i < policy->file_count; i++)
        free(policy->files[i]);
    free(policy->quotas);
    free(policy->groups);
    free(policy->files);
    *policy = POLICY_NULL;
}
