/*
 * Looked at: runc 1.1 libcontainer state.json, crun libcrun/status.
 *
 *   runc   /run/runc/ID/state.json   "cgroup_paths": {"memory": "/sys/fs/cgroup/memory/a"}
 *   crun   /run/crun/ID/status       "cgroup-path": "/a"
 *
 * A container's directory is known by its inode, which a tmpfs gives once: one that was made anew under the
 * same name is read anew. A file that is not there yet, or not whole, is tried again at each question.
 *
 * The time of a directory is as coarse as the kernel's tick, so what changed just now may change once more
 * without showing it: only a directory that has been still for a while is believed to be.
 */

#include "collectors/runtime_index.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/str.h"
#include "collectors/json_scan.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { STATE_FILE_MAX = 1 << 20, CONTAINERS_MAX = 8192, GROUPS_MAX = 16 };
#define STILL_NS (NSEC_PER_SEC / 10)

struct container {
    ino_t inode;   /* of its directory */
    bool read;     /* its file was whole */
    uint64_t seen; /* the listing that named it last */
    unsigned group_count;
    char *groups[GROUPS_MAX]; /* heap: mostly one, v1 may have one per hierarchy */
};

struct shelf {             /* of one runtime */
    struct map containers; /* id to struct container */
    struct timespec changed;
    bool still;      /* and does not hide a change */
    uint64_t listed; /* times */
};

/* "cgroup_paths": {"memory": "/sys/fs/cgroup/memory/a/b"}; on v2 the one key is "". The mount's name need not
   be the controller's ("cpu,cpuacct"), but it is one component. */
static const char *runc_group(const struct json_value *value)
{
    static const char mounts[] = "/sys/fs/cgroup";
    if (value->depth != 2 || strcmp(value->keys[0], "cgroup_paths") != 0 || !str_starts(value->text, mounts))
        return NULL;
    const char *group = value->text + sizeof mounts - 1;
    if (value->keys[1][0])
        return group[0] ? strchr(group + 1, '/') : NULL;
    return str_starts(group, "/unified/") ? group + strlen("/unified") : group;
}

static const char *crun_group(const struct json_value *value)
{
    return json_is(value, "cgroup-path") ? value->text : NULL;
}

static const struct {
    const char *runtime, *dir, *file;
    const char *(*group)(const struct json_value *value); /* that the value names, or NULL */
} sources[] = {
    {"runc", "/run/runc", "state.json", runc_group},
    {"crun", "/run/crun", "status", crun_group},
};

struct runtime_index {
    struct shelf shelves[ARRAY_LEN(sources)];
    uint64_t reads;
};

/* ---- containers ---- */

static void container_forget(struct container *container)
{
    while (container->group_count > 0)
        free(container->groups[--container->group_count]);
}

static void container_add_group(struct container *container, const char *group)
{
    for (unsigned i = 0; i < container->group_count; i++)
        if (strcmp(container->groups[i], group) == 0)
            return;
    char *copy = container->group_count < GROUPS_MAX ? strdup(group) : NULL;
    if (copy)
        container->groups[container->group_count++] = copy;
}

struct reading {
    struct container *container;
    size_t source;
};

static bool on_value(void *context, const struct json_value *value)
{
    const struct reading *reading = context;
    const char *group = sources[reading->source].group(value);
    if (group && group[0] == '/' && group[1])
        container_add_group(reading->container, group);
    return true;
}

/* What a broken file said until then counts. */
static void container_read(struct runtime_index *index, size_t source, const char *dir, const char *id,
                           struct container *container)
{
    struct reading reading = {container, source};
    char file[PATH_MAX], *text = NULL;
    size_t len = 0;
    if (!str_format(file, sizeof file, "%s/%s/%s", dir, id, sources[source].file) ||
        fs_slurp(file, STATE_FILE_MAX, &text, &len) != 0)
        return;
    container_forget(container);
    container->read = json_scan(text, len, on_value, &reading) == 0;
    free(text);
    index->reads++;
}

/* Whether one of its groups is @path or above it. */
static enum runtime_state_result container_owns(const struct container *container, const char *path)
{
    for (unsigned i = 0; i < container->group_count; i++) {
        size_t len = strlen(container->groups[i]);
        if (strncmp(path, container->groups[i], len) == 0 && (!path[len] || path[len] == '/'))
            return path[len] ? RUNTIME_STATE_ABOVE : RUNTIME_STATE_FOUND;
    }
    return RUNTIME_STATE_NONE;
}

/* ---- shelves ---- */

static void shelf_note(struct shelf *shelf, const struct dirent *entry)
{
    struct container *container = map_get_str(&shelf->containers, entry->d_name);
    if (!container) {
        if (shelf->containers.count >= CONTAINERS_MAX || !(container = calloc(1, sizeof *container)))
            return;
        if (map_set_str(&shelf->containers, entry->d_name, container) < 0) {
            free(container);
            return;
        }
    } else if (container->inode != entry->d_ino) {
        container_forget(container);
        container->read = false;
    }
    container->inode = entry->d_ino;
    container->seen = shelf->listed;
}

static void shelf_drop_unseen(struct shelf *shelf)
{
    size_t cursor = 0;
    for (const struct map_entry *e; (e = map_next(&shelf->containers, &cursor));) {
        struct container *container = e->value;
        if (container->seen == shelf->listed)
            continue;
        map_remove_str(&shelf->containers, e->key);
        container_forget(container);
        free(container);
        cursor = 0;
    }
}

static void shelf_list(struct shelf *shelf, const char *dir)
{
    DIR *stream = opendir(dir);
    shelf->listed++;
    for (const struct dirent *entry; stream && (entry = readdir(stream));)
        if (entry->d_name[0] != '.' && strlen(entry->d_name) < GROUP_ID_MAX)
            shelf_note(shelf, entry);
    if (stream)
        closedir(stream);
    shelf_drop_unseen(shelf);
}

static void shelf_refresh(struct shelf *shelf, const char *dir)
{
    struct stat st = {0};
    uint64_t now_ns = clock_wall_ns();
    bool there = stat(dir, &st) == 0;
    bool same =
        there && st.st_mtim.tv_sec == shelf->changed.tv_sec && st.st_mtim.tv_nsec == shelf->changed.tv_nsec;
    if ((same && shelf->still) || (!there && shelf->containers.count == 0))
        return;
    uint64_t changed_ns = (uint64_t)st.st_mtim.tv_sec * NSEC_PER_SEC + (uint64_t)st.st_mtim.tv_nsec;
    shelf->changed = st.st_mtim;
    shelf->still = there && changed_ns + STILL_NS < now_ns;
    shelf_list(shelf, dir);
}

/* ---- the index ---- */

struct runtime_index *runtime_index_new(void)
{
    return calloc(1, sizeof(struct runtime_index));
}

struct runtime_index *runtime_index_free(struct runtime_index *index)
{
    for (size_t i = 0; index && i < ARRAY_LEN(sources); i++) {
        index->shelves[i].listed++;
        shelf_drop_unseen(&index->shelves[i]);
        map_fini(&index->shelves[i].containers);
    }
    free(index);
    return NULL;
}

uint64_t runtime_index_reads(const struct runtime_index *index)
{
    return index->reads;
}

/* The outermost one decides, as it does in paths. */
static enum runtime_state_result find_in(struct runtime_index *index, size_t source, const char *dir,
                                         const char *path, char *ret_id)
{
    struct shelf *shelf = &index->shelves[source];
    enum runtime_state_result result = RUNTIME_STATE_NONE;
    size_t cursor = 0;
    shelf_refresh(shelf, dir);
    for (const struct map_entry *e; (e = map_next(&shelf->containers, &cursor));) {
        struct container *container = e->value;
        if (!container->read)
            container_read(index, source, dir, e->key, container);
        enum runtime_state_result owns = container_owns(container, path);
        if (owns == RUNTIME_STATE_NONE || result == RUNTIME_STATE_ABOVE)
            continue;
        result = owns;
        str_copy(ret_id, GROUP_ID_MAX, e->key);
    }
    return result;
}

enum runtime_state_result runtime_index_find(struct runtime_index *index, const char *root, const char *path,
                                             const char **ret_runtime, char *ret_id)
{
    char dir[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        if (!str_format(dir, sizeof dir, "%s%s", root, sources[i].dir))
            continue;
        enum runtime_state_result result = find_in(index, i, dir, path, ret_id);
        *ret_runtime = sources[i].runtime;
        if (result != RUNTIME_STATE_NONE)
            return result;
    }
    return RUNTIME_STATE_NONE;
}
