#pragma once
/*
 * One logical group over many hierarchies: the same path, present in some of them. The tree is kept from
 * scans and from the watch; it knows nothing of quotas or samples, its owner hangs those on @owner.
 */

#include "base/list.h"
#include "base/map.h"
#include "cgroup/host.h"
#include "model/group.h"

struct group {
    char path[GROUP_PATH_MAX];
    uint64_t ids[HIERARCHIES_MAX]; /* inode in each hierarchy; 0: not there */
    struct group *parent;          /* NULL for "/" */
    struct list children;
    struct list_link siblings;
    uint64_t seen;    /* generation of the last scan that saw it */
    uint32_t seen_in; /* bit per hierarchy where that scan saw it */
    void *owner;      /* what the user of the tree hangs here; not freed by the tree */
};

struct group_tree {
    const struct cgroup_host *host;
    struct map by_path;
    struct map by_id; /* key: struct {uint32_t hierarchy; uint64_t id} packed by tree.c */
    struct group *root;
    uint64_t generation;
    unsigned count;    /* groups, the root among them */
    unsigned too_long; /* groups left out by the last scan because their path does not fit */
    bool remade;       /* a directory that the running scan had seen was made anew meanwhile */
};

/* Told of what changed. A group is gone when it is in no hierarchy any more; when its id changed in the
   hierarchies (made anew under the same path) it is gone and born. @gone is called before the group is freed,
   children first. */
struct group_listener {
    void (*born)(void *context, struct group *group);
    void (*gone)(void *context, struct group *group);
    void *context;
};

MUST_USE int group_tree_init(struct group_tree *tree, const struct cgroup_host *host); /* 0 or -ENOMEM */
void group_tree_fini(struct group_tree *tree);                                  /* does not call gone */
struct group *group_tree_find(const struct group_tree *tree, const char *path); /* or NULL */
struct group *group_tree_by_id(const struct group_tree *tree, unsigned hierarchy, uint64_t id); /* or NULL */

/* One directory appeared in, or vanished from, a hierarchy (from the watch). 0, -ENAMETOOLONG, -ENOENT
 * (parent unknown) or -ENOMEM. */
MUST_USE int group_tree_add(struct group_tree *tree, unsigned hierarchy, const char *path, uint64_t id,
                            const struct group_listener *listener);
void group_tree_remove(struct group_tree *tree, unsigned hierarchy, const char *path,
                       const struct group_listener *listener);

/*
 * A scan in slices: begin, then step until it says it is done. Each step reads directories until @until_ns
 * (CLOCK_MONOTONIC) has passed, at least one. A scan adds what is there and, at its end, removes what it did
 * not see.
 */
struct group_scan; /* opaque */
struct group_scan *group_scan_begin(struct group_tree *tree,
                                    const struct group_listener *listener); /* NULL: out of memory */
enum { GROUP_SCAN_DONE = 0, GROUP_SCAN_MORE = 1 };
MUST_USE int group_scan_step(struct group_scan *scan, uint64_t until_ns); /* DONE, MORE or -errno */
struct group_scan *group_scan_free(struct group_scan *scan);
