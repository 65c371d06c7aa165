/*
 * One group in one hierarchy at a time. Where libcgroup knows the hierarchy (v1, with a controller, at the
 * same mount) making and removing are its calls, with that one controller, since a co-mounted second one
 * would only meet the directory of the first. Named and sane hierarchies, and all of v2, are done here.
 *
 * Processes are always moved here: libcgroup 2.0.2 writes to "tasks" on v1, which moves one thread and leaves
 * the others behind, and which a sane hierarchy does not have.
 */

#include "cgroup/group.h"
#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUP_FILE_MAX = GROUP_PATH_MAX + 32, GROUP_MODE = 0755, CPUSET_TEXT_MAX = 4096 };

static int result_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENODEV:
        return GROUP_GONE;
    case EEXIST:
        return GROUP_EXISTS;
    case EBUSY:
    case ENOTEMPTY:
        return GROUP_BUSY;
    default:
        return -error;
    }
}

static bool is_root(const char *path)
{
    return strcmp(cgroup_below(path), ".") == 0;
}

/* The controller by which libcgroup knows the hierarchy, in the buffer, or NULL. */
static const char *libcgroup_name(const struct hierarchy *h, char name[static CGROUP_CONTROLLERS_MAX])
{
    if (h->version != 1 || h->sane)
        return NULL;
    str_copy(name, CGROUP_CONTROLLERS_MAX, h->controllers);
    name[strcspn(name, ",")] = '\0';
    char *mount = NULL;
    bool same = *name && cgroup_get_subsys_mount_point(name, &mount) == 0 && strcmp(mount, h->mount) == 0;
    free(mount);
    return same ? name : NULL;
}

/* libcgroup's group with that one controller; NULL: out of memory. */
static struct cgroup *libcgroup_group(const char *path, const char *controller)
{
    struct cgroup *group = cgroup_new_cgroup(cgroup_below(path));
    if (group && !cgroup_add_controller(group, controller))
        cgroup_free(&group);
    return group;
}

static int result_of_libcgroup(int rc)
{
    if (rc == ECGNONEMPTY)
        return GROUP_BUSY;
    if (rc == ECGROUPNOTALLOWED)
        return -EPERM;
    if (rc == ECGROUPNOTEXIST)
        return GROUP_GONE;
    return rc == ECGOTHER && cgroup_get_last_errno() ? result_of(cgroup_get_last_errno()) : -EIO;
}

static int make_by_libcgroup(const struct hierarchy *h, const char *path, const char *controller)
{
    struct cgroup *group = libcgroup_group(path, controller);
    if (!group)
        return -ENOMEM;
    int rc = cgroup_create_cgroup(group, 1);
    cgroup_free(&group);
    if (rc != 0)
        return result_of_libcgroup(rc);
    return fchmodat(h->dirfd, cgroup_below(path), GROUP_MODE, 0) < 0 ? result_of(errno) : GROUP_OK;
}

/* libcgroup 2.0.2 answers 0 to "only if empty" when it left the group because it is not: seen on 6.18. */
static int remove_by_libcgroup(const struct hierarchy *h, const char *path, const char *controller)
{
    struct cgroup *group = libcgroup_group(path, controller);
    if (!group)
        return -ENOMEM;
    int rc = cgroup_delete_cgroup_ext(group, CGFLAG_DELETE_EMPTY_ONLY);
    cgroup_free(&group);
    if (rc != 0)
        return result_of_libcgroup(rc);
    return fs_exists_at(h->dirfd, cgroup_below(path)) ? GROUP_BUSY : GROUP_OK;
}

/* A v1 cpuset is born without CPUs and takes no process until it has some. */
static int inherit_cpuset(const struct hierarchy *h, const char *path, const char *file)
{
    char parent[GROUP_FILE_MAX], child[GROUP_FILE_MAX], text[CPUSET_TEXT_MAX];
    str_copy(parent, sizeof parent, cgroup_below(path));
    char *slash = strrchr(parent, '/');
    parent[slash ? slash + 1 - parent : 0] = '\0';
    if (!str_format(parent + strlen(parent), sizeof parent - strlen(parent), "%s", file) ||
        !str_format(child, sizeof child, "%s/%s", cgroup_below(path), file))
        return -ENAMETOOLONG;
    ssize_t len = fs_read_at(h->dirfd, parent, text, sizeof text);
    if (len < 0)
        return result_of((int)-len);
    if (len <= 1)
        return GROUP_OK; /* the parent has none to give */
    int r = fs_write_at(h->dirfd, child, text, (size_t)len);
    return r < 0 ? r : GROUP_OK;
}

static int make_directory(const struct hierarchy *h, const char *path)
{
    char parent[GROUP_FILE_MAX], name[CGROUP_CONTROLLERS_MAX];
    if (!str_copy(parent, GROUP_PATH_MAX, cgroup_below(path)))
        return -ENAMETOOLONG;
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = '\0';
    if (slash && !fs_exists_at(h->dirfd, parent))
        return GROUP_GONE; /* libcgroup would make the parents too */
    if (fs_exists_at(h->dirfd, cgroup_below(path)))
        return GROUP_EXISTS;
    const char *controller = libcgroup_name(h, name);
    if (controller)
        return make_by_libcgroup(h, path, controller);
    return mkdirat(h->dirfd, cgroup_below(path), GROUP_MODE) < 0 ? result_of(errno) : GROUP_OK;
}

int group_make(const struct cgroup_host *host, unsigned hierarchy, const char *path, uint64_t *ret_id)
{
    const struct hierarchy *h = &host->hierarchies[hierarchy];
    if (is_root(path))
        return GROUP_EXISTS;
    int r = make_directory(h, path);
    if (r != GROUP_OK)
        return r;
    if (h->version == 1 && cgroup_has_controller(h->controllers, "cpuset")) {
        r = inherit_cpuset(h, path, "cpuset.cpus");
        if (r == GROUP_OK)
            r = inherit_cpuset(h, path, "cpuset.mems");
    }
    if (r == GROUP_OK)
        r = group_id(host, hierarchy, path, ret_id);
    if (r < 0)
        unlinkat(h->dirfd, cgroup_below(path), AT_REMOVEDIR);
    return r;
}

int group_remove(const struct cgroup_host *host, unsigned hierarchy, const char *path)
{
    const struct hierarchy *h = &host->hierarchies[hierarchy];
    char name[CGROUP_CONTROLLERS_MAX];
    if (is_root(path))
        return GROUP_BUSY;
    if (!fs_exists_at(h->dirfd, cgroup_below(path)))
        return GROUP_GONE;
    const char *controller = libcgroup_name(h, name);
    if (controller)
        return remove_by_libcgroup(h, path, controller);
    return unlinkat(h->dirfd, cgroup_below(path), AT_REMOVEDIR) < 0 ? result_of(errno) : GROUP_OK;
}

int group_attach(const struct cgroup_host *host, const char *path, pid_t pid)
{
    char name[GROUP_FILE_MAX], text[16];
    unsigned moved = 0;
    if (!str_format(name, sizeof name, "%s/cgroup.procs", cgroup_below(path)))
        return -ENAMETOOLONG;
    int len = snprintf(text, sizeof text, "%d", pid);
    for (unsigned i = 0; i < host->count; i++) {
        int r = fs_write_at(host->hierarchies[i].dirfd, name, text, (size_t)len);
        if (r == -ENOENT || r == -ENODEV)
            continue;
        if (r < 0)
            return r;
        moved++;
    }
    return moved ? GROUP_OK : GROUP_GONE;
}

int group_id(const struct cgroup_host *host, unsigned hierarchy, const char *path, uint64_t *ret_id)
{
    struct stat st;
    if (fstatat(host->hierarchies[hierarchy].dirfd, cgroup_below(path), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || errno == ENODEV ? GROUP_GONE : -errno;
    *ret_id = st.st_ino;
    return 0;
}

/* The first number of the file that is a process this namespace can see; 0: none. -errno. */
static pid_t first_pid(int dirfd, const char *name)
{
    CLEANUP_FD int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    char text[4096];
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (len < 0)
        return -errno;
    text[len] = '\0';
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        pid_t pid = (pid_t)strtol(line, NULL, 10);
        if (pid > 0)
            return pid;
    }
    return 0;
}

int group_first_pid(const struct cgroup_host *host, const char *path, pid_t *ret_pid)
{
    char name[GROUP_FILE_MAX];
    bool there = false;
    if (!str_format(name, sizeof name, "%s/cgroup.procs", cgroup_below(path)))
        return -ENAMETOOLONG;
    for (unsigned i = 0; i < host->count; i++) {
        pid_t pid = first_pid(host->hierarchies[i].dirfd, name);
        if (pid > 0) {
            *ret_pid = pid;
            return 0;
        }
        there |= pid != -ENOENT && pid != -ENODEV;
    }
    return there ? -ENOENT : GROUP_GONE;
}
