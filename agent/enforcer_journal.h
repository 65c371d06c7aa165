#pragma once
/*
 * The transaction in flight. Before a plan is executed its rows are written to a file, after it the file is
 * emptied. An enforcer that finds rows there was killed in between; it needs no marks of how far the other
 * came, it asks the kernel: a group whose knobs hold all the new values, or all the old ones, is whole; else
 * what is new is undone.
 */

#include "agent/enforcer_found.h"
#include "cgroup/host.h"

struct journal {
    int fd;
    char boot_id[RECORD_BOOT_MAX];
};
#define JOURNAL_NULL ((struct journal){.fd = -1})

MUST_USE int journal_open(struct journal *journal, int dirfd, const char *boot_id); /* 0 or -errno */
void journal_close(struct journal *journal);
MUST_USE int journal_begin(struct journal *journal, const struct plan *plan); /* 0 or -errno */
void journal_end(struct journal *journal);
/* Undoes what was cut, and puts the found values right. 0 with the groups undone, or -errno. */
MUST_USE int journal_replay(struct journal *journal, const struct cgroup_host *host,
                            struct found_store *found, unsigned *ret_undone);
