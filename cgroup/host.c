/*
 * Which hierarchies there are is read from mountinfo, since it alone tells bind mounts (a root other than
 * "/") and second mounts (a device seen before) from the first mount of a hierarchy. libcgroup reads
 * /proc/mounts and knows controllers only, not named hierarchies nor a cgroup2 without controllers; what it
 * knows beyond is added.
 *
 * By which rules a hierarchy plays is asked of its files (kernels 3.10 - 6.18 were booted for this):
 *   cgroup.controllers                    version 2, also where the type is still "cgroup" (3.16 - 4.4)
 *   cgroup.sane_behavior = 1, tasks       sane_behavior of 3.10: blk-throttle holds per group
 *   cgroup.sane_behavior = 1, no tasks    sane_behavior of 3.11 - 3.16: blk-throttle holds for the subtree
 *   cgroup.sane_behavior = 0 or absent    plain version 1
 */

#include "cgroup/host.h"
#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* What a v1 mount may say besides its controllers (kernel/cgroup/cgroup-v1.c: cgroup1_show_options). */
static const char *const other_options[] = {
    "rw",           "ro",       "none",           "xattr",
    "noprefix",     "seclabel", "sane_behavior",  "__DEVEL__sane_behavior",
    "favordynmods", "relatime", "clone_children", "cpuset_v2_mode",
};

/* Controllers whose place decides between unified and hybrid; devices, freezer, net_* and perf_event have no
 * say. */
static const char *const resource_controllers[] = {"cpu",   "cpuacct", "cpuset", "memory",
                                                   "blkio", "pids",    "hugetlb"};

struct mount_line {
    uint32_t device;
    const char *root, *point, *type, *options; /* borrowed from the line */
};

const char *cgroup_mode_name(enum cgroup_mode mode)
{
    static const char *const names[] = {
        [CGROUP_UNIFIED] = "unified",
        [CGROUP_HYBRID] = "hybrid",
        [CGROUP_LEGACY] = "legacy",
        [CGROUP_SANE] = "sane",
    };
    return names[mode];
}

static bool in_table(const char *const *table, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i], word) == 0)
            return true;
    return false;
}

bool cgroup_has_controller(const char *controllers, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = controllers; *at;) {
        size_t word = strcspn(at, ",");
        if (word == len && memcmp(at, name, len) == 0)
            return true;
        at += word + (at[word] == ',');
    }
    return false;
}

static void append_controller(struct hierarchy *h, const char *name)
{
    size_t used = strlen(h->controllers);
    size_t need = strlen(name) + (used > 0);
    if (used + need >= sizeof h->controllers)
        return;
    str_format(h->controllers + used, sizeof h->controllers - used, "%s%s", used ? "," : "", name);
}

/* mountinfo writes blank, tab, newline and backslash as \ooo. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* "36 35 98:0 /root /point opts [fields] - type source super". */
static bool parse_mount(char *line, struct mount_line *ret)
{
    enum { DEVICE = 2, ROOT = 3, POINT = 4, HEAD = 6, TYPE = 0, SUPER = 2, TAIL = 3 };
    char *head[HEAD], *tail[TAIL] = {NULL}, *save = NULL;
    unsigned n = 0, after = 0;
    bool separated = false;
    for (char *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
        if (n < HEAD)
            head[n++] = word;
        else if (!separated)
            separated = strcmp(word, "-") == 0;
        else if (after < TAIL)
            tail[after++] = word;
    }
    unsigned major_number, minor_number;
    if (after < TAIL || sscanf(head[DEVICE], "%u:%u", &major_number, &minor_number) != 2)
        return false;
    unescape(head[ROOT]);
    unescape(head[POINT]);
    *ret = (struct mount_line){.device = (uint32_t)makedev(major_number, minor_number),
                               .root = head[ROOT],
                               .point = head[POINT],
                               .type = tail[TYPE],
                               .options = tail[SUPER]};
    return true;
}

static bool reads_one(int dirfd, const char *name)
{
    char text[16];
    return fs_read_at(dirfd, name, text, sizeof text) > 0 && text[0] == '1';
}

/* Version, rules and v2's controllers, from the files of the root. */
static void ask_files(struct hierarchy *h)
{
    char text[CGROUP_CONTROLLERS_MAX * 2];
    ssize_t len = fs_read_at(h->dirfd, "cgroup.controllers", text, sizeof text);
    if (len < 0) {
        h->version = 1;
        h->sane = reads_one(h->dirfd, "cgroup.sane_behavior");
        h->throttle_nests = h->sane && !fs_exists_at(h->dirfd, "tasks");
        return;
    }
    h->version = 2;
    h->throttle_nests = true;
    char *save = NULL;
    for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
        append_controller(h, word);
}

static void parse_options(struct hierarchy *h, const char *options)
{
    char text[1024], *save = NULL;
    str_copy(text, sizeof text, options);
    for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        if (str_starts(word, "name="))
            str_copy(h->name, sizeof h->name, word + strlen("name="));
        else if (!strchr(word, '=') && !in_table(other_options, ARRAY_LEN(other_options), word))
            append_controller(h, word);
    }
}

/* Opens @point as the next hierarchy of the host; on the running system it must still be the device that
   mountinfo named (another mount may cover it). 0, or -errno when it is to be left out. */
static int open_hierarchy(struct cgroup_host *host, const char *root, const char *point, uint32_t device,
                          struct hierarchy **ret)
{
    if (host->count == HIERARCHIES_MAX)
        return -ENOSPC;
    struct hierarchy *h = &host->hierarchies[host->count];
    *h = (struct hierarchy){.dirfd = -1, .device = device};
    if (!str_format(h->mount, sizeof h->mount, "%s%s", root, point))
        return -ENAMETOOLONG;
    h->dirfd = fs_open_dir(AT_FDCWD, h->mount);
    if (h->dirfd < 0)
        return h->dirfd;
    struct stat st;
    if (!*root && (fstat(h->dirfd, &st) < 0 || (uint32_t)st.st_dev != device)) {
        fd_close(h->dirfd);
        return -ESTALE;
    }
    ask_files(h);
    host->count++;
    *ret = h;
    return 0;
}

static int read_mounts(struct cgroup_host *host, const char *root)
{
    char path[PATH_MAX];
    if (!str_format(path, sizeof path, "%s/proc/self/mountinfo", root))
        return -ENAMETOOLONG;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) {
        struct mount_line mount;
        if (!parse_mount(line, &mount) || strcmp(mount.root, "/") != 0 ||
            (strcmp(mount.type, "cgroup") != 0 && strcmp(mount.type, "cgroup2") != 0) ||
            cgroup_host_by_device(host, mount.device) >= 0)
            continue;
        struct hierarchy *h;
        if (open_hierarchy(host, root, mount.point, mount.device, &h) == 0 && h->version == 1)
            parse_options(h, mount.options);
    }
    free(line);
    fclose(file);
    return 0;
}

static void ask_libcgroup(struct cgroup_host *host)
{
    if (cgroup_init() != 0)
        return;
    void *handle = NULL;
    struct cgroup_mount_point at;
    unsigned known = host->count;
    int rc = cgroup_get_controller_begin(&handle, &at);
    for (; rc == 0; rc = cgroup_get_controller_next(&handle, &at)) {
        struct stat st;
        if (stat(at.path, &st) < 0)
            continue;
        int index = cgroup_host_by_device(host, (uint32_t)st.st_dev);
        struct hierarchy *h = index < 0 ? NULL : &host->hierarchies[index];
        if (!h && open_hierarchy(host, "", at.path, (uint32_t)st.st_dev, &h) < 0)
            continue;
        if (h->version == 1 && h >= &host->hierarchies[known] &&
            !cgroup_has_controller(h->controllers, at.name))
            append_controller(h, at.name);
    }
    if (handle)
        cgroup_get_controller_end(&handle);
}

static enum cgroup_mode decide(const struct cgroup_host *host)
{
    bool v2 = false, v1_resources = false, sane = false;
    for (unsigned i = 0; i < host->count; i++) {
        const struct hierarchy *h = &host->hierarchies[i];
        sane |= h->sane;
        v2 |= h->version == 2;
        for (size_t c = 0; h->version == 1 && c < ARRAY_LEN(resource_controllers); c++)
            v1_resources |= cgroup_has_controller(h->controllers, resource_controllers[c]);
    }
    if (sane)
        return CGROUP_SANE;
    if (!v2)
        return CGROUP_LEGACY;
    return v1_resources ? CGROUP_HYBRID : CGROUP_UNIFIED;
}

int cgroup_host_open(const char *root, struct cgroup_host *ret)
{
    struct cgroup_host host = CGROUP_HOST_NULL;
    int r = read_mounts(&host, root);
    if (r < 0)
        return r;
    if (!*root)
        ask_libcgroup(&host);
    if (host.count == 0)
        return -ENOENT;
    host.mode = decide(&host);
    *ret = host;
    return 0;
}

void cgroup_host_close(struct cgroup_host *host)
{
    for (unsigned i = 0; i < host->count; i++)
        fd_close(host->hierarchies[i].dirfd);
    *host = CGROUP_HOST_NULL;
}

int cgroup_host_find(const struct cgroup_host *host, const char *controller)
{
    for (unsigned i = 0; i < host->count; i++) {
        const struct hierarchy *h = &host->hierarchies[i];
        if (*controller ? cgroup_has_controller(h->controllers, controller) : h->version == 2)
            return (int)i;
    }
    return -1;
}

int cgroup_host_by_device(const struct cgroup_host *host, uint32_t device)
{
    for (unsigned i = 0; i < host->count; i++)
        if (host->hierarchies[i].device == device)
            return (int)i;
    return -1;
}
