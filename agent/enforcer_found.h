#pragma once
/*
 * What was there before masu first wrote, per group and knob: a log of records (added and dropped values)
 * that is written anew when most of it is history. Changes are collected and reach the log with found_flush,
 * many at once.
 */

#include "agent/enforcer_record.h"
#include "base/map.h"
#include "cgroup/host.h"

struct found_group; /* private */

struct found_store {
    int dirfd; /* borrowed */
    int log_fd;
    off_t end;
    char boot_id[RECORD_BOOT_MAX];
    struct map groups;        /* (hierarchy, cgroup id) -> struct found_group */
    struct found_group *last; /* the one asked for last */
    unsigned count, logged;   /* values held; values in the log */
    struct plan pending;      /* not yet in the log */
};
#define FOUND_STORE_NULL ((struct found_store){.dirfd = -1, .log_fd = -1})

/* What a written row replaced: up to two settings (on v2 a period may go with the bandwidth). The number. */
unsigned found_of_row(const struct plan_row *row, struct knob_setting ret[2]);

MUST_USE int found_open(struct found_store *store, int dirfd, const char *boot_id); /* 0 or -errno */
void found_close(struct found_store *store);

enum { FOUND_KNOWN = 0, FOUND_ADDED = 1 };
/* Remembers @setting of the row's group, unless one is remembered already. FOUND_KNOWN, FOUND_ADDED or
 * -ENOMEM. */
MUST_USE int found_add(struct found_store *store, const struct plan_row *row, const char *path,
                       const struct knob_setting *setting);
void found_drop(struct found_store *store, const struct plan_row *row, uint16_t knob, uint32_t device);
const struct knob_setting *found_get(struct found_store *store, const struct plan_row *row, uint16_t knob,
                                     uint32_t device);
MUST_USE int found_flush(struct found_store *store); /* 0 or -errno: then the log lacks the last changes */

/* Drops the values of groups that are gone. */
void found_prune(struct found_store *store, const struct cgroup_host *host);
MUST_USE int found_list(const struct found_store *store, struct plan *ret); /* 0 or -ENOMEM */
