#include "agent/enforcer_journal.h"
#include "agent/enforcer_group.h"
#include "agent/enforcer_txn.h"
#include "agent/enforcer_write.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOURNAL_NAME "journal"
enum { JOURNAL_MAX = 256 << 20 };

int journal_open(struct journal *journal, int dirfd, const char *boot_id)
{
    *journal = JOURNAL_NULL;
    memcpy(journal->boot_id, boot_id, sizeof journal->boot_id);
    journal->fd = openat(dirfd, JOURNAL_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return journal->fd < 0 ? -errno : 0;
}

void journal_close(struct journal *journal)
{
    fd_close(journal->fd);
    *journal = JOURNAL_NULL;
}

int journal_begin(struct journal *journal, const struct plan *plan)
{
    size_t len;
    return record_write(journal->fd, 0, journal->boot_id, plan, &len);
}

void journal_end(struct journal *journal)
{
    /* Rows that are left would be found whole, and left alone: a failure here does no harm. */
    (void)!ftruncate(journal->fd, 0);
}

/* What became of each row, as far as the kernel tells. Newer rows of the same knob are looked at first. */
static void ask_kernel(const struct cgroup_host *host, const struct plan *plan, struct txns *txns)
{
    for (uint32_t i = 0; i < plan->row_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        enum held held;
        txns->states[i] = ROW_SKIPPED;
        if (row->kind != PLAN_WRITE || enforcer_same_text(row))
            continue;
        CLEANUP_FD int dirfd = enforcer_group_open(host, row, plan_text(plan, row->path_off));
        if (dirfd < 0 || enforcer_held(dirfd, row, &held) != 0)
            continue;
        if (held == HELD_NEW)
            txns->states[i] = ROW_DONE;
        else if (held == HELD_BETWEEN && enforcer_lowers_memory(row))
            txns->states[i] = ROW_PARTIAL;
        else
            txns->states[i] = ROW_WAITING;
    }
}

static bool same_knob(const struct plan_row *a, const struct plan_row *b)
{
    return a->knob == b->knob && a->device == b->device && a->hierarchy == b->hierarchy;
}

/* A step before a row that was done was done as well. */
static void mark_steps(const struct plan *plan, struct txns *txns)
{
    for (uint32_t i = plan->row_count; i-- > 0;)
        for (uint32_t p = txns->previous[i]; txns->states[i] == ROW_DONE && p != TXN_NO_ROW;
             p = txns->previous[p])
            if (same_knob(&plan->rows[i], &plan->rows[p]))
                txns->states[p] = ROW_DONE;
}

static bool was_cut(const struct txns *txns, const struct txn *txn)
{
    bool done = false, waiting = false;
    for (uint32_t i = txn->last_row; i != TXN_NO_ROW; i = txns->previous[i]) {
        done |= txns->states[i] == ROW_DONE || txns->states[i] == ROW_PARTIAL;
        waiting |= txns->states[i] == ROW_WAITING || txns->states[i] == ROW_PARTIAL;
    }
    return done && waiting;
}

static void undo(const struct cgroup_host *host, const struct plan *plan, struct txns *txns,
                 const struct txn *txn)
{
    for (uint32_t i = txn->last_row; i != TXN_NO_ROW; i = txns->previous[i]) {
        const struct plan_row *row = &plan->rows[i];
        if (txns->states[i] != ROW_DONE && txns->states[i] != ROW_PARTIAL)
            continue;
        CLEANUP_FD int dirfd = enforcer_group_open(host, row, txn->path);
        if (dirfd >= 0 && enforcer_write_old(dirfd, row) == 0)
            txns->states[i] = ROW_UNDONE;
    }
}

/* A value that was not overwritten after all is no found value; one that was given back is none any more. */
static void settle_found(const struct plan *plan, const struct txns *txns, struct found_store *found)
{
    for (uint32_t i = 0; i < plan->row_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        struct knob_setting touched[2];
        bool done = txns->states[i] == ROW_DONE || txns->states[i] == ROW_PARTIAL;
        unsigned count = found_of_row(row, touched);
        for (unsigned t = 0; !done && t < count; t++) {
            const struct knob_setting *known = found_get(found, row, touched[t].knob, touched[t].device);
            if (known && known->value == touched[t].value)
                found_drop(found, row, touched[t].knob, touched[t].device);
        }
        if (done && row->flags & PLAN_ROW_RESTORE)
            found_drop(found, row, row->knob, row->device);
    }
}

static int replay(const struct cgroup_host *host, const struct plan *plan, struct found_store *found,
                  unsigned *ret_undone)
{
    struct txns txns CLEANUP(txns_fini) = TXNS_NULL;
    int r = txns_build(plan, &txns);
    if (r)
        return r;
    ask_kernel(host, plan, &txns);
    mark_steps(plan, &txns);
    for (uint32_t t = txns.count; t-- > 0;) { /* children first: v1 refuses a parent below its child */
        if (!was_cut(&txns, &txns.items[t]))
            continue;
        undo(host, plan, &txns, &txns.items[t]);
        ++*ret_undone;
    }
    settle_found(plan, &txns, found);
    return found_flush(found);
}

int journal_replay(struct journal *journal, const struct cgroup_host *host, struct found_store *found,
                   unsigned *ret_undone)
{
    char path[64], *text = NULL;
    size_t len = 0, used;
    struct plan plan;
    *ret_undone = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", journal->fd);
    int r = fs_slurp(path, JOURNAL_MAX, &text, &len);
    if (r == 0)
        r = record_read(text, len, journal->boot_id, &plan, &used);
    free(text);
    if (r == RECORD_OK) {
        r = replay(host, &plan, found, ret_undone);
        plan_fini(&plan);
    }
    journal_end(journal);
    return r < 0 ? r : 0;
}
