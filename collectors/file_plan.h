#pragma once
/*
 * Which files a tick reads: the metric table turned round, for the hierarchies of one host. One entry per
 * distinct file, hierarchy after hierarchy, so that a group is read in one ordered pass and no file twice.
 * Last come the files whose numbers all move along with others: where those others stand still, they need no
 * reading. Pure.
 */

#include "cgroup/host.h"
#include "collectors/parse.h"

enum { FILE_PLAN_FILES_MAX = METRIC_N };

struct file_plan_file {
    const char *name;      /* "memory.stat" */
    unsigned hierarchy;    /* index into the host's table */
    enum metric_form form; /* the same for all its keys */
    bool not_at_root;      /* of the root group it takes the kernel seconds */
    unsigned first, count; /* its keys: keys[first .. first + count) */
    unsigned layout;       /* its place among a group's layout words */
};

struct file_plan {
    struct file_plan_file files[FILE_PLAN_FILES_MAX];
    unsigned file_count;
    unsigned leading_files; /* files[0 .. leading_files) are read every time */
    unsigned leading_keys;  /* keys of those */
    struct parse_key keys[METRIC_N];
    uint16_t metrics[METRIC_N]; /* enum metric_id of each key */
    uint32_t divides[METRIC_N]; /* of each key, at least 1 */
    unsigned key_count;
    unsigned layout_words;            /* a group needs for all files */
    uint32_t hierarchies;             /* bit per hierarchy that has a file here */
    uint64_t mask[METRIC_HAVE_WORDS]; /* have bits of all metrics that are born of files on some host */
};

/* A metric is taken from the v1 hierarchy of its v1 controller, else from the v2 hierarchy. */
void file_plan_make(const struct cgroup_host *host, struct file_plan *ret);
