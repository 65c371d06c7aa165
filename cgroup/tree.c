/*
 * The tree is fed from two sides, the watch and the scan, in any order and with repetitions; both end in the
 * same three changes: a place gets an id, a place loses its id, a group without any id goes. Nothing here
 * depends on the order in which hierarchies are seen.
 *
 * A directory made anew under its old name shows by a changed id. Then the old group and all below it are
 * gone, whatever the other hierarchies say of it, and a new one is born; if this hits ids that the running
 * scan has already seen in other hierarchies (the name was made anew in one hierarchy only), the scan goes
 * round once more.
 */

#include "cgroup/tree.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct id_key {
    uint64_t id;
    uint32_t hierarchy;
} __attribute__((packed));

struct group *group_tree_find(const struct group_tree *tree, const char *path)
{
    return map_get_str(&tree->by_path, path);
}

struct group *group_tree_by_id(const struct group_tree *tree, unsigned hierarchy, uint64_t id)
{
    struct id_key key = {id, hierarchy};
    return map_get(&tree->by_id, &key, sizeof key);
}

static int set_id(struct group_tree *tree, struct group *group, unsigned hierarchy, uint64_t id)
{
    struct id_key key = {id, hierarchy};
    int r = map_set(&tree->by_id, &key, sizeof key, group);
    if (r == 0)
        group->ids[hierarchy] = id;
    return r;
}

static void clear_id(struct group_tree *tree, struct group *group, unsigned hierarchy)
{
    struct id_key key = {group->ids[hierarchy], hierarchy};
    if (map_get(&tree->by_id, &key, sizeof key) == group)
        map_remove(&tree->by_id, &key, sizeof key);
    group->ids[hierarchy] = 0;
    group->seen_in &= ~(UINT32_C(1) << hierarchy);
}

static bool has_id(const struct group *group)
{
    for (unsigned i = 0; i < HIERARCHIES_MAX; i++)
        if (group->ids[i])
            return true;
    return false;
}

/* A group without ids yet, in the tree. NULL: out of memory. */
static struct group *group_new(struct group_tree *tree, struct group *parent, const char *path)
{
    struct group *group = calloc(1, sizeof *group);
    if (!group || map_set_str(&tree->by_path, path, group) < 0) {
        free(group);
        return NULL;
    }
    str_copy(group->path, sizeof group->path, path);
    list_init(&group->children);
    group->parent = parent;
    if (parent)
        list_append(&parent->children, &group->siblings);
    tree->count++;
    return group;
}

static void group_free(struct group_tree *tree, struct group *group)
{
    for (unsigned i = 0; i < HIERARCHIES_MAX; i++)
        if (group->ids[i])
            clear_id(tree, group, i);
    map_remove_str(&tree->by_path, group->path);
    list_remove(&group->siblings);
    tree->count--;
    free(group);
}

/* The deepest first child below @group, or @group itself: where a walk with children first begins. */
static struct group *first_leaf(struct group *group)
{
    while (!list_empty(&group->children))
        group = CONTAINER_OF(group->children.head.next, struct group, siblings);
    return group;
}

static void drop_subtree(struct group_tree *tree, struct group *top, const struct group_listener *listener)
{
    for (struct group *leaf = first_leaf(top);; leaf = first_leaf(top)) {
        bool last = leaf == top;
        if (listener)
            listener->gone(listener->context, leaf);
        group_free(tree, leaf);
        if (last)
            return;
    }
}

/* The next group in an order that visits children before their parent, ending with @top. */
static struct group *next_upward(struct group *group, const struct group *top)
{
    if (group == top)
        return NULL;
    struct list_link *next = group->siblings.next;
    if (next != &group->parent->children.head)
        return first_leaf(CONTAINER_OF(next, struct group, siblings));
    return group->parent;
}

/* Frees every group at and below @top, but the root, that is in no hierarchy any more. */
static void sweep(struct group_tree *tree, struct group *top, const struct group_listener *listener)
{
    for (struct group *group = first_leaf(top), *next; group; group = next) {
        next = next_upward(group, top);
        if (group != tree->root && !has_id(group) && list_empty(&group->children))
            drop_subtree(tree, group, listener);
    }
}

int group_tree_init(struct group_tree *tree, const struct cgroup_host *host)
{
    *tree = (struct group_tree){.host = host, .by_path = MAP_NULL, .by_id = MAP_NULL};
    tree->root = group_new(tree, NULL, "/");
    if (!tree->root)
        return -ENOMEM;
    for (unsigned i = 0; i < host->count; i++) {
        struct stat st;
        if (fstat(host->hierarchies[i].dirfd, &st) == 0 && set_id(tree, tree->root, i, st.st_ino) < 0) {
            group_tree_fini(tree);
            return -ENOMEM;
        }
    }
    return 0;
}

void group_tree_fini(struct group_tree *tree)
{
    if (tree->root)
        drop_subtree(tree, tree->root, NULL);
    map_fini(&tree->by_path);
    map_fini(&tree->by_id);
    *tree = (struct group_tree){.host = NULL};
}

/* The known parent of @path, or NULL. */
static struct group *find_parent(const struct group_tree *tree, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || !slash[1])
        return NULL;
    if (slash == path)
        return tree->root;
    return map_get(&tree->by_path, path, (size_t)(slash - path));
}

/* Whether dropping @top would forget an id that the running scan has seen. */
static bool seen_below(const struct group_tree *tree, struct group *top)
{
    for (struct group *group = first_leaf(top); group; group = next_upward(group, top))
        if (group->seen == tree->generation && group->seen_in)
            return true;
    return false;
}

int group_tree_add(struct group_tree *tree, unsigned hierarchy, const char *path, uint64_t id,
                   const struct group_listener *listener)
{
    if (strlen(path) >= GROUP_PATH_MAX)
        return -ENAMETOOLONG;
    struct group *group = group_tree_find(tree, path);
    struct group *parent = find_parent(tree, path);
    if (!group && !parent)
        return -ENOENT;
    if (group && group->ids[hierarchy] == id)
        return 0;
    if (group && group != tree->root && group->ids[hierarchy]) {
        tree->remade |= seen_below(tree, group);
        drop_subtree(tree, group, listener);
        group = NULL;
    }
    if (group)
        return set_id(tree, group, hierarchy, id);
    group = group_new(tree, parent, path);
    if (!group)
        return -ENOMEM;
    if (set_id(tree, group, hierarchy, id) < 0) {
        group_free(tree, group);
        return -ENOMEM;
    }
    if (listener)
        listener->born(listener->context, group);
    return 0;
}

void group_tree_remove(struct group_tree *tree, unsigned hierarchy, const char *path,
                       const struct group_listener *listener)
{
    struct group *top = group_tree_find(tree, path);
    if (!top || top == tree->root)
        return;
    for (struct group *group = first_leaf(top); group; group = next_upward(group, top))
        if (group->ids[hierarchy])
            clear_id(tree, group, hierarchy);
    sweep(tree, top, listener);
}

/* ---- the scan */

/* A directory still to be read. */
struct pending {
    struct pending *next;
    unsigned hierarchy;
    char path[];
};

struct group_scan {
    struct group_tree *tree;
    struct group_listener listener;
    struct pending *stack;
    struct pending *current; /* the directory being read; NULL between two */
    DIR *dir;                /* of current */
    unsigned too_long[HIERARCHIES_MAX];
    unsigned rounds;
};

enum { SCAN_ROUNDS_MAX = 4, LINKS_OF_A_LEAF = 2 };

static int push(struct group_scan *scan, unsigned hierarchy, const char *path)
{
    size_t len = strlen(path) + 1;
    struct pending *pending = malloc(sizeof *pending + len);
    if (!pending)
        return -ENOMEM;
    pending->hierarchy = hierarchy;
    memcpy(pending->path, path, len);
    pending->next = scan->stack;
    scan->stack = pending;
    return 0;
}

static int begin_round(struct group_scan *scan)
{
    scan->tree->generation++;
    scan->tree->remade = false;
    memset(scan->too_long, 0, sizeof scan->too_long);
    scan->rounds++;
    for (unsigned i = scan->tree->host->count; i-- > 0;)
        if (push(scan, i, "/") < 0)
            return -ENOMEM;
    return 0;
}

struct group_scan *group_scan_begin(struct group_tree *tree, const struct group_listener *listener)
{
    struct group_scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return NULL;
    scan->tree = tree;
    scan->listener = *listener;
    return begin_round(scan) < 0 ? group_scan_free(scan) : scan;
}

static void close_current(struct group_scan *scan)
{
    if (scan->dir)
        closedir(scan->dir);
    free(scan->current);
    scan->dir = NULL;
    scan->current = NULL;
}

struct group_scan *group_scan_free(struct group_scan *scan)
{
    if (!scan)
        return NULL;
    close_current(scan);
    for (struct pending *pending; (pending = scan->stack);) {
        scan->stack = pending->next;
        free(pending);
    }
    free(scan);
    return NULL;
}

static void mark_seen(struct group_tree *tree, struct group *group, unsigned hierarchy)
{
    if (group->seen != tree->generation)
        group->seen_in = 0;
    group->seen = tree->generation;
    group->seen_in |= UINT32_C(1) << hierarchy;
}

/* One directory @name below @parent. */
static int scan_entry(struct group_scan *scan, const struct pending *parent, int dirfd, const char *name)
{
    char path[GROUP_PATH_MAX];
    struct stat st;
    if (!str_format(path, sizeof path, "%s/%s", parent->path[1] ? parent->path : "", name)) {
        scan->too_long[parent->hierarchy]++;
        return 0;
    }
    /* d_ino is the mount's on an overmounted directory; the id is what stat says */
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    int r = group_tree_add(scan->tree, parent->hierarchy, path, st.st_ino, &scan->listener);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    struct group *group = group_tree_find(scan->tree, path);
    if (!group)
        return 0;
    mark_seen(scan->tree, group, parent->hierarchy);
    /* kernfs counts a directory's links as 2 and one for each child (fs/kernfs/inode.c, kernfs_refresh_inode)
     */
    return st.st_nlink == LINKS_OF_A_LEAF ? 0 : push(scan, parent->hierarchy, path);
}

/* Opens the next directory; one that is gone meanwhile is passed over. */
static int open_next(struct group_scan *scan)
{
    scan->current = scan->stack;
    scan->stack = scan->current->next;
    int dirfd = scan->tree->host->hierarchies[scan->current->hierarchy].dirfd;
    int fd = openat(dirfd, cgroup_below(scan->current->path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scan->dir = fd < 0 ? NULL : fdopendir(fd);
    if (scan->dir)
        return 0;
    int r = -errno;
    fd_close(fd);
    close_current(scan);
    return r == -ENOENT || r == -ENODEV ? 0 : r;
}

/* Reads on in the current directory, whose children may be thousands. */
static int scan_current(struct group_scan *scan, uint64_t until_ns)
{
    for (struct dirent *entry; (entry = readdir(scan->dir));) {
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int r = scan_entry(scan, scan->current, dirfd(scan->dir), entry->d_name);
        if (r < 0 || clock_mono_ns() >= until_ns)
            return r;
    }
    close_current(scan);
    return 0;
}

/* Takes off every id that this round did not see, unless the directory came during the round, then sweeps. */
static void end_round(struct group_scan *scan)
{
    struct group_tree *tree = scan->tree;
    for (struct group *group = first_leaf(tree->root); group != tree->root;
         group = next_upward(group, tree->root))
        for (unsigned i = 0; i < tree->host->count; i++) {
            bool seen = group->seen == tree->generation && (group->seen_in >> i & 1);
            struct stat st;
            if (!group->ids[i] || seen)
                continue;
            if (fstatat(tree->host->hierarchies[i].dirfd, cgroup_below(group->path), &st,
                        AT_SYMLINK_NOFOLLOW) < 0 ||
                st.st_ino != group->ids[i])
                clear_id(tree, group, i);
        }
    sweep(tree, tree->root, &scan->listener);
    /* the same path in ten hierarchies is one group */
    tree->too_long = 0;
    for (unsigned i = 0; i < HIERARCHIES_MAX; i++)
        if (scan->too_long[i] > tree->too_long)
            tree->too_long = scan->too_long[i];
}

int group_scan_step(struct group_scan *scan, uint64_t until_ns)
{
    do {
        if (!scan->current && !scan->stack)
            break;
        int r = scan->current ? 0 : open_next(scan);
        if (r == 0 && scan->current)
            r = scan_current(scan, until_ns);
        if (r < 0)
            return r;
    } while (clock_mono_ns() < until_ns);
    if (scan->current || scan->stack)
        return GROUP_SCAN_MORE;
    if (scan->tree->remade && scan->rounds < SCAN_ROUNDS_MAX) {
        int r = begin_round(scan);
        return r < 0 ? r : GROUP_SCAN_MORE;
    }
    end_round(scan);
    return GROUP_SCAN_DONE;
}
