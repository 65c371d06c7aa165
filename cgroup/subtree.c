#include "cgroup/subtree.h"
#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <string.h>

enum { SUBTREE_TEXT_MAX = 1024, SUBTREE_PATH_MAX = GROUP_PATH_MAX + 32 };

bool controller_set_has(const struct controller_set *set, const char *controller)
{
    for (unsigned i = 0; i < set->count; i++)
        if (strcmp(set->names[i], controller) == 0)
            return true;
    return false;
}

/* Bytes of the group's file, GROUP_GONE as -ENODEV. */
static ssize_t read_file(const struct hierarchy *h, const char *path, const char *file, char *text,
                         size_t size)
{
    char name[SUBTREE_PATH_MAX];
    if (!str_format(name, sizeof name, "%s/%s", cgroup_below(path), file))
        return -ENAMETOOLONG;
    ssize_t len = fs_read_at(h->dirfd, name, text, size);
    if (len == -ENOENT && !fs_exists_at(h->dirfd, cgroup_below(path)))
        return -ENODEV;
    return len;
}

static int read_set(const struct hierarchy *h, const char *path, const char *file, struct controller_set *ret)
{
    char text[SUBTREE_TEXT_MAX], *save = NULL;
    ssize_t len = read_file(h, path, file, text, sizeof text);
    if (len < 0)
        return len == -ENODEV ? GROUP_GONE : (int)len;
    struct controller_set set = {.count = 0};
    for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
        if (set.count < CONTROLLER_SET_MAX && str_copy(set.names[set.count], CONTROLLER_NAME_MAX, word))
            set.count++;
    *ret = set;
    return 0;
}

int subtree_available(const struct cgroup_host *host, unsigned hierarchy, const char *path,
                      struct controller_set *ret)
{
    return read_set(&host->hierarchies[hierarchy], path, "cgroup.controllers", ret);
}

int subtree_enabled(const struct cgroup_host *host, unsigned hierarchy, const char *path,
                    struct controller_set *ret)
{
    return read_set(&host->hierarchies[hierarchy], path, "cgroup.subtree_control", ret);
}

static int write_control(const struct hierarchy *h, const char *path, char sign, const char *controller)
{
    char name[SUBTREE_PATH_MAX], text[CONTROLLER_NAME_MAX + 2];
    if (!str_format(name, sizeof name, "%s/cgroup.subtree_control", cgroup_below(path)) ||
        !str_format(text, sizeof text, "%c%s", sign, controller))
        return -ENAMETOOLONG;
    int r = fs_write_at(h->dirfd, name, text, strlen(text));
    if ((r == -ENOENT || r == -ENODEV) && !fs_exists_at(h->dirfd, cgroup_below(path)))
        return GROUP_GONE;
    return r == -EBUSY ? GROUP_BUSY : r;
}

/* GROUP_OK when the group has no process of its own. The file is unreadable (EOPNOTSUPP) in threaded groups:
   those are not for us to change. */
static int check_empty(const struct hierarchy *h, const char *path)
{
    char text[SUBTREE_TEXT_MAX];
    ssize_t len = read_file(h, path, "cgroup.procs", text, sizeof text);
    if (len == -ENODEV)
        return GROUP_GONE;
    if (len > 0 || len == -E2BIG)
        return GROUP_BUSY;
    return (int)len;
}

static bool turned_threaded(const struct hierarchy *h, const char *path)
{
    char text[64];
    return read_file(h, path, "cgroup.type", text, sizeof text) > 0 && strstr(text, "threaded");
}

int subtree_enable(const struct cgroup_host *host, unsigned hierarchy, const char *path,
                   const char *controller)
{
    const struct hierarchy *h = &host->hierarchies[hierarchy];
    bool root = strcmp(cgroup_below(path), ".") == 0;
    struct controller_set enabled;
    int r = subtree_enabled(host, hierarchy, path, &enabled);
    if (r != 0 || controller_set_has(&enabled, controller))
        return r;
    r = root ? GROUP_OK : check_empty(h, path);
    if (r == GROUP_OK)
        r = write_control(h, path, '+', controller);
    if (r == GROUP_OK && !root && turned_threaded(h, path)) {
        r = write_control(h, path, '-', controller);
        return r < 0 ? r : GROUP_BUSY;
    }
    return r;
}
