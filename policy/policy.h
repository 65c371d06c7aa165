#pragma once
/*
 * A policy as loaded: quotas in order, groups to make. Loading is all or nothing: a broken file yields diags
 * and no policy, so that a working one is never replaced by it. Everything here is pure but for reading the
 * files named.
 */

#include "base/diag.h"
#include "cgroup/knob.h"
#include "model/group.h"
#include "model/knob.h"

enum { POLICY_NAME_MAX = 64, POLICY_GLOBS_MAX = 16, POLICY_FILE_MAX_BYTES = 1048576 };

enum policy_release { RELEASE_RESTORE, RELEASE_KEEP, RELEASE_UNLIMITED };
enum policy_drift { DRIFT_ENFORCE, DRIFT_ADOPT, DRIFT_REPORT };

/* A selector: any of the globs. count 0: the key was not given, everything fits. */
struct policy_globs {
    unsigned count;
    char *items[POLICY_GLOBS_MAX]; /* heap */
};

struct policy_match {
    bool given; /* false: a template */
    struct policy_globs path, container, runtime;
};

/* One limit as the policy says it, in policy units (cores in ppm, weights on v2's scale, durations in
 * microseconds). */
struct policy_setting {
    enum knob_id knob;
    char device[64]; /* "/dev/vda" for per-device knobs, else "" */
    uint64_t value;  /* KNOB_UNLIMITED for "unlimited" */
    const char
        *file;     /* borrowed from the policy; an inherited one may stand in another file than its quota */
    unsigned line; /* where it stands: for plan reasons and errors */
};

enum { QUOTA_SETTINGS_MAX = KNOB_SET_MAX };
struct quota {
    char name[POLICY_NAME_MAX];
    const char *file; /* borrowed from the policy */
    unsigned line;
    struct policy_match match;
    unsigned setting_count;
    struct policy_setting settings[QUOTA_SETTINGS_MAX]; /* own and inherited (extends), own ones win */
    enum policy_release release;
    enum policy_drift drift;
    bool unsupported_warn; /* unsupported: warn - what this kernel lacks is left out with a warning */
    bool io_per_leaf;      /* io.per_leaf: true */
    char account[POLICY_NAME_MAX];
};

/* A group that masu makes. */
struct policy_group {
    char path[GROUP_PATH_MAX];
    char quota[POLICY_NAME_MAX];
    const char *file;
    unsigned line;
};

struct policy {
    struct quota *quotas; /* heap, in order of precedence */
    unsigned quota_count;
    struct policy_group *groups; /* heap */
    unsigned group_count;
    char **files; /* heap, what was read */
    unsigned file_count;
};
#define POLICY_NULL ((struct policy){0})

/*
 * Loads files and directories (their *.yaml in order of names, hidden ones left out). 0, or -EINVAL or
 * -ENOMEM with at least one diag; also when a file cannot be read. On success *diags may hold nothing. @paths
 * are borrowed.
 */
MUST_USE int policy_load(const char *const *paths, unsigned count, struct policy *ret, struct diags *diags);
/*
 * The same for a policy that takes the place of @now: a directory from which something of @now came and in
 * which no file is left is an error, or a slip of the hand would give every limit back. A file without quotas
 * is a policy without quotas.
 */
MUST_USE int policy_reload(const struct policy *now, const char *const *paths, unsigned count,
                           struct policy *ret, struct diags *diags);
void policy_fini(struct policy *policy);

/* The first quota whose match fits, or NULL; a group of groups: gets the quota it names, before any match. */
const struct quota *policy_find(const struct policy *policy, const struct group_identity *identity);
/* The knobs that some quota sets, as bits (1 << id), with their companions. */
uint32_t policy_knobs(const struct policy *policy);
/* Why @quota does or does not fit, one sentence into buf ("container 'web-1' does not fit 'db-*'"). Returns
 * whether it fits. */
bool policy_explain(const struct quota *quota, const struct group_identity *identity, char *buf, size_t size);
/* The policy printed as YAML that loads to the same policy. */
void policy_print(const struct policy *policy, struct buf *out);
