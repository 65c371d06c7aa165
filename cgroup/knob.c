/*
 * Knobs of one group. Each access opens the group by its path: an open file of a removed group answers
 * ENODEV, and so does io.max for a device that is not there, so a vanished group is told apart by looking for
 * its directory again.
 */

#include "cgroup/knob.h"
#include "base/fs.h"
#include "base/str.h"
#include "cgroup/knob_text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KNOB_TEXT_MAX = 16384, KNOB_PATH_MAX = GROUP_PATH_MAX + 64, KNOB_WRITE_MAX = 96 };

/* ---- what this host can do */

#define NOT_THERE(name)                                                                                      \
    "the " name                                                                                              \
    " controller is not available on this host: no mounted hierarchy offers it (a kernel command line "      \
    "with cgroup_disable= may have switched it off)"

static const struct {
    const char *controller; /* as v2 names it */
    const char *refusal;
} missing_controllers[] = {
    {"cpu", NOT_THERE("cpu")},
    {"io", NOT_THERE("io (blkio on cgroup v1)")},
    {"memory", NOT_THERE("memory")},
    {"pids", NOT_THERE("pids")},
};

static const char *const missing_files[KNOB_N] = {
    [KNOB_CPU_BANDWIDTH] = "this kernel has no CPU bandwidth control (CONFIG_CFS_BANDWIDTH)",
    [KNOB_CPU_PERIOD] = "this kernel has no CPU bandwidth control (CONFIG_CFS_BANDWIDTH)",
    [KNOB_CPU_BURST] = "this kernel has no CPU burst (Linux 5.14 and later have it)",
    [KNOB_CPU_WEIGHT] = "this kernel has no CPU weights (CONFIG_FAIR_GROUP_SCHED)",
    [KNOB_MEMORY_LIMIT] = "this kernel's memory controller has no limit file",
    [KNOB_MEMORY_SWAP] = "this kernel does not account swap",
    [KNOB_PIDS] = "this kernel's pids controller has no limit file",
    [KNOB_IO_READ] = "this kernel cannot throttle block devices (CONFIG_BLK_DEV_THROTTLING)",
    [KNOB_IO_WRITE] = "this kernel cannot throttle block devices (CONFIG_BLK_DEV_THROTTLING)",
    [KNOB_IO_READ_IOPS] = "this kernel cannot throttle block devices (CONFIG_BLK_DEV_THROTTLING)",
    [KNOB_IO_WRITE_IOPS] = "this kernel cannot throttle block devices (CONFIG_BLK_DEV_THROTTLING)",
};

static const char *controller_refusal(const char *controller)
{
    for (size_t i = 0; i < ARRAY_LEN(missing_controllers); i++)
        if (strcmp(missing_controllers[i].controller, controller) == 0)
            return missing_controllers[i].refusal;
    return NOT_THERE("needed");
}

/* An O_PATH descriptor on the first child of the hierarchy's root, or -errno. */
static int open_first_child(const struct hierarchy *h)
{
    int fd = openat(h->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int r = -errno;
        fd_close(fd);
        return r;
    }
    int child = -ENOENT;
    for (struct dirent *entry; child < 0 && (entry = readdir(dir));)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            child = fs_open_dir(h->dirfd, entry->d_name);
    closedir(dir);
    return child;
}

/* Whether a group with files of @controller is known to lack @file. */
static bool lacks_file(const struct hierarchy *h, int dirfd, const struct knob_file *file)
{
    if (dirfd < 0 || fs_exists_at(dirfd, file->file))
        return false;
    if (h->version == 1)
        return true;
    char text[CGROUP_CONTROLLERS_MAX * 2];
    if (fs_read_at(dirfd, "cgroup.controllers", text, sizeof text) < 0)
        return false;
    for (char *at = text; *at; at++)
        if (*at == ' ' || *at == '\n')
            *at = ',';
    return cgroup_has_controller(text, file->controller);
}

/* The hierarchy that offers the knob, or -1; *ret_file: its row there, else where the refusal stands. */
static int find_hierarchy(const struct cgroup_host *host, enum knob_id knob,
                          const struct knob_file **ret_file)
{
    for (int version = 1; version <= 2; version++) {
        *ret_file = knob_file(knob, version);
        int index = (*ret_file)->controller ? cgroup_host_find(host, (*ret_file)->controller) : -1;
        if (index >= 0 && host->hierarchies[index].version == version)
            return index;
    }
    return -1;
}

void knob_support_probe(const struct cgroup_host *host, const char *probe_path,
                        struct knob_support ret[KNOB_N])
{
    int dirs[HIERARCHIES_MAX];
    for (unsigned i = 0; i < host->count; i++) {
        dirs[i] = probe_path ? fs_open_dir(host->hierarchies[i].dirfd, cgroup_below(probe_path)) : -1;
        if (dirs[i] < 0)
            dirs[i] = open_first_child(&host->hierarchies[i]);
    }
    for (int k = 0; k < KNOB_N; k++) {
        const struct knob_file *file;
        int index = find_hierarchy(host, (enum knob_id)k, &file);
        ret[k] = (struct knob_support){.hierarchy = index};
        if (index < 0)
            ret[k].refusal = controller_refusal(file->controller);
        else if (file->form == KNOB_FORM_NONE)
            ret[k].refusal = file->refusal;
        else if (lacks_file(&host->hierarchies[index], dirs[index], file))
            ret[k].refusal = missing_files[k];
        if (ret[k].refusal)
            ret[k].hierarchy = -1;
    }
    for (unsigned i = 0; i < host->count; i++)
        fd_close(dirs[i]);
}

/* ---- reading */

static bool vanished(int error)
{
    return error == -ENOENT || error == -ENODEV;
}

/* GROUP_GONE when the directory is not there any more, else @error. */
static int gone_or(const struct hierarchy *h, const char *path, int error)
{
    return vanished(error) && !fs_exists_at(h->dirfd, cgroup_below(path)) ? GROUP_GONE : error;
}

/* The files of one group, read once each: knobs that share a file stand beside each other in the table. */
struct reader {
    const struct cgroup_host *host;
    char name[KNOB_PATH_MAX]; /* the group's path with a slash; a file's name is put behind it */
    size_t prefix;
    uint32_t absent;  /* bit per hierarchy where the group is known not to be */
    bool vanished;    /* some file was not there */
    unsigned read;    /* files that were there */
    int hierarchy;    /* of the text */
    const char *file; /* of the text; NULL: none read yet */
    int error;        /* of reading it */
    char text[KNOB_TEXT_MAX];
};

static int reader_init(struct reader *reader, const struct cgroup_host *host, const char *path)
{
    reader->host = host;
    reader->absent = 0;
    reader->vanished = false;
    reader->read = 0;
    reader->file = NULL;
    if (!str_format(reader->name, sizeof reader->name, "%s/", cgroup_below(path)))
        return -ENAMETOOLONG;
    reader->prefix = strlen(reader->name);
    return 0;
}

static int reader_open(struct reader *reader, int hierarchy, const char *file)
{
    int dirfd = reader->host->hierarchies[hierarchy].dirfd;
    if (reader->absent >> hierarchy & 1)
        return -ENOENT;
    if (!str_copy(reader->name + reader->prefix, sizeof reader->name - reader->prefix, file))
        return -ENAMETOOLONG;
    ssize_t len = fs_read_at(dirfd, reader->name, reader->text, sizeof reader->text);
    if (len >= 0)
        return 0;
    reader->name[reader->prefix] = '\0';
    if (vanished((int)len) && !fs_exists_at(dirfd, reader->name))
        reader->absent |= UINT32_C(1) << hierarchy;
    return (int)len;
}

static int reader_read(struct reader *reader, int hierarchy, const char *file)
{
    if (!reader->file || reader->hierarchy != hierarchy || strcmp(reader->file, file) != 0) {
        reader->error = reader_open(reader, hierarchy, file);
        reader->vanished = reader->vanished || vanished(reader->error);
        reader->read += reader->error == 0;
        reader->hierarchy = hierarchy;
        reader->file = file;
    }
    return reader->error;
}

/* Every device with a finite rule. */
static int put_rules(enum knob_id knob, const struct knob_file *file, const char *text, struct knob_set *set)
{
    uint32_t device;
    uint64_t value;
    for (const char *cursor = text; knob_text_next_rule(file, &cursor, &device, &value);) {
        int r = value == KNOB_UNLIMITED ? 0 : knob_set_put(set, knob, device, value);
        if (r < 0)
            return r;
    }
    return 0;
}

static uint64_t swap_of(uint64_t memsw, uint64_t limit)
{
    if (memsw == KNOB_UNLIMITED)
        return KNOB_UNLIMITED;
    return memsw > limit ? memsw - limit : 0;
}

static int reader_put(struct reader *reader, int hierarchy, int version, enum knob_id knob,
                      struct knob_set *set)
{
    const struct knob_file *file = knob_file(knob, version);
    uint64_t value, pair;
    int r = reader_read(reader, hierarchy, file->file);
    if (vanished(r) || r == -EOPNOTSUPP)
        return 0;
    if (r < 0)
        return r;
    if (knobs[knob].per_device)
        return put_rules(knob, file, reader->text, set);
    r = knob_decode(knob, version, 0, reader->text, &value, &pair);
    if (r < 0)
        return r;
    if (file->form == KNOB_FORM_MEMSW) {
        const struct knob_setting *limit = knob_set_get(set, KNOB_MEMORY_LIMIT, 0);
        value = swap_of(value, limit ? limit->value : 0);
    }
    return knob_set_put(set, knob, 0, value);
}

static bool group_anywhere(const struct cgroup_host *host, const char *path)
{
    for (unsigned i = 0; i < host->count; i++)
        if (fs_exists_at(host->hierarchies[i].dirfd, cgroup_below(path)))
            return true;
    return false;
}

int knob_read_some(const struct cgroup_host *host, const struct knob_support support[KNOB_N], uint32_t wanted,
                   const char *path, struct knob_set *ret)
{
    struct reader reader;
    struct knob_set set = {.count = 0};
    int r = reader_init(&reader, host, path);
    for (int k = 0; r == 0 && k < KNOB_N; k++)
        if ((wanted >> k & 1) && support[k].hierarchy >= 0)
            r = reader_put(&reader, support[k].hierarchy, host->hierarchies[support[k].hierarchy].version,
                           (enum knob_id)k, &set);
    if (r == 0 && (reader.vanished || !reader.read) && !group_anywhere(host, path))
        r = GROUP_GONE;
    if (r == 0)
        *ret = set;
    return r;
}

int knob_read_all(const struct cgroup_host *host, const struct knob_support support[KNOB_N], const char *path,
                  struct knob_set *ret)
{
    return knob_read_some(host, support, KNOB_ALL, path, ret);
}

static int read_file(const struct hierarchy *h, const char *path, const char *file,
                     char text[static KNOB_TEXT_MAX])
{
    char name[KNOB_PATH_MAX];
    if (!str_format(name, sizeof name, "%s/%s", cgroup_below(path), file))
        return -ENAMETOOLONG;
    ssize_t len = fs_read_at(h->dirfd, name, text, KNOB_TEXT_MAX);
    return len < 0 ? gone_or(h, path, (int)len) : 0;
}

int knob_read(const struct cgroup_host *host, unsigned hierarchy, const char *path, enum knob_id knob,
              uint32_t device, uint64_t *ret_value, uint64_t *ret_pair)
{
    const struct hierarchy *h = &host->hierarchies[hierarchy];
    const struct knob_file *file = knob_file(knob, h->version);
    char text[KNOB_TEXT_MAX];
    uint64_t value, pair, limit;
    if (file->form == KNOB_FORM_NONE)
        return -ENOENT;
    int r = read_file(h, path, file->file, text);
    if (r != 0)
        return r;
    r = knob_decode(knob, h->version, device, text, &value, &pair);
    if (r == 0 && file->form == KNOB_FORM_MEMSW) {
        r = knob_read(host, hierarchy, path, KNOB_MEMORY_LIMIT, 0, &limit, &pair);
        pair = limit;
        value = r == 0 ? swap_of(value, limit) : 0;
    }
    if (r != 0)
        return r;
    *ret_value = value;
    *ret_pair = pair;
    return 0;
}

/* ---- writing */

int knob_write(const struct cgroup_host *host, unsigned hierarchy, const char *path, enum knob_id knob,
               uint32_t device, uint64_t value, uint64_t pair)
{
    const struct hierarchy *h = &host->hierarchies[hierarchy];
    char text[KNOB_WRITE_MAX], name[KNOB_PATH_MAX];
    int len = knob_encode(knob, h->version, device, value, pair, text, sizeof text);
    if (len < 0)
        return len;
    if (!str_format(name, sizeof name, "%s/%s", cgroup_below(path), knob_file(knob, h->version)->file))
        return -ENAMETOOLONG;
    CLEANUP_FD int fd = openat(h->dirfd, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return gone_or(h, path, -errno);
    if (write(fd, text, (size_t)len) < 0)
        return gone_or(h, path, -errno);
    return 0;
}
