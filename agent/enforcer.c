/*
 * A plan is executed in its own order, since that order is what keeps every write legal over the tree.
 * Transactions are woven into it: when a row fails, what its group had done is undone at once, in reverse,
 * and the group's later rows are not tried.
 *
 * Undoing can meet v1's rule that a parent's bandwidth is not below its child's, when the child was widened
 * after the parent. Then the groups below fail with it, and are undone first.
 */

#include "agent/enforcer.h"
#include "agent/enforcer_found.h"
#include "agent/enforcer_group.h"
#include "agent/enforcer_journal.h"
#include "agent/enforcer_txn.h"
#include "agent/enforcer_write.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "cgroup/group.h"
#include "cgroup/subtree.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHRINK_NS (2 * NSEC_PER_SEC)

struct enforcer {
    const struct cgroup_host *host;
    struct enforcer_options options;
    int dirfd;
    struct found_store found;
    struct journal journal;
    unsigned undone_at_start;
};

/* One execution. */
struct run {
    struct enforcer *enforcer;
    const struct plan *plan;
    struct txns txns;
    struct plan_outcome *outcomes;
    uint8_t *added; /* row -> bits of the settings (found_of_row) that it made remembered */
    uint64_t *made; /* row -> id of the group that it made, or of the one that an earlier row made */
    /* groups opened for the transaction at hand */
    uint32_t opened_for;
    int dirs[HIERARCHIES_MAX];
};

int enforcer_open(const struct cgroup_host *host, const char *dir, const struct enforcer_options *options,
                  struct enforcer **ret)
{
    char boot_id[RECORD_BOOT_MAX];
    struct enforcer *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    *e = (struct enforcer){.host = host, .dirfd = -1, .found = FOUND_STORE_NULL, .journal = JOURNAL_NULL};
    if (options)
        e->options = *options;
    if (!e->options.shrink_ns)
        e->options.shrink_ns = SHRINK_NS;
    int r = fs_make_dirs(dir, 0700);
    if (r == 0)
        r = e->dirfd = fs_open_dir(AT_FDCWD, dir);
    if (r >= 0)
        r = record_boot_id(boot_id);
    if (r == 0)
        r = found_open(&e->found, e->dirfd, boot_id);
    if (r == 0)
        r = journal_open(&e->journal, e->dirfd, boot_id);
    if (r == 0)
        r = journal_replay(&e->journal, host, &e->found, &e->undone_at_start);
    if (r)
        e = enforcer_close(e);
    *ret = e;
    return r;
}

struct enforcer *enforcer_close(struct enforcer *e)
{
    if (e) {
        journal_close(&e->journal);
        found_close(&e->found);
        fd_close(e->dirfd);
        free(e);
    }
    return NULL;
}

unsigned enforcer_undone_at_start(const struct enforcer *e)
{
    return e->undone_at_start;
}

int enforcer_found(struct enforcer *e, struct plan *ret)
{
    found_prune(&e->found, e->host);
    return found_list(&e->found, ret);
}

/* ---- groups */

static void close_dirs(struct run *run)
{
    for (unsigned h = 0; h < HIERARCHIES_MAX; h++) {
        fd_close(run->dirs[h]);
        run->dirs[h] = -1;
    }
}

/* A borrowed descriptor on the row's group, kept while its transaction is at hand. */
static int group_of(struct run *run, uint32_t i)
{
    const struct plan_row *row = &run->plan->rows[i];
    if (run->opened_for != run->txns.of_row[i]) {
        close_dirs(run);
        run->opened_for = run->txns.of_row[i];
    }
    int h = cgroup_host_by_device(run->enforcer->host, row->hierarchy);
    if (h < 0)
        return -ESTALE;
    if (run->dirs[h] < 0)
        run->dirs[h] = enforcer_group_open(run->enforcer->host, row, plan_text(run->plan, row->path_off));
    return run->dirs[h];
}

/* Whether the row's group is no longer the one that was opened. */
static bool vanished(struct run *run, uint32_t i)
{
    const struct plan_row *row = &run->plan->rows[i];
    CLEANUP_FD int fd = enforcer_group_open(run->enforcer->host, row, plan_text(run->plan, row->path_off));
    return fd == -ENOENT || fd == -ESTALE;
}

/* ---- rows */

static int make_group(struct run *run, uint32_t i)
{
    const struct plan_row *row = &run->plan->rows[i];
    const char *path = plan_text(run->plan, row->path_off);
    int h = cgroup_host_by_device(run->enforcer->host, row->hierarchy);
    if (h < 0)
        return -ESTALE;
    int r = group_make(run->enforcer->host, (unsigned)h, path, &run->made[i]);
    if (r == GROUP_GONE)
        return -ENOENT;
    run->txns.states[i] = r == GROUP_OK ? ROW_DONE : ROW_SKIPPED;
    return r == GROUP_EXISTS ? 0 : r;
}

static int enable(struct run *run, uint32_t i)
{
    const struct plan_row *row = &run->plan->rows[i];
    char controller[CONTROLLER_NAME_MAX];
    const char *why = plan_text(run->plan, row->why_off);
    int h = cgroup_host_by_device(run->enforcer->host, row->hierarchy);
    if (h < 0)
        return -ESTALE;
    int dirfd = group_of(run, i);
    if (dirfd < 0)
        return dirfd;
    (void)str_copy(controller, sizeof controller, why);
    controller[strcspn(controller, ":")] = '\0';
    int r = subtree_enable(run->enforcer->host, (unsigned)h, plan_text(run->plan, row->path_off), controller);
    run->txns.states[i] =
        ROW_SKIPPED; /* never taken back: on old kernels "-controller" beside rmdir crashes */
    return r == GROUP_BUSY ? -EBUSY : r == GROUP_GONE ? -ENOENT : r;
}

/* Memory that a partial memory.limit left behind moves what memory and swap may be together. */
static bool adapt_swap(const struct run *run, uint32_t i, struct plan_row *row)
{
    uint64_t reached = run->txns.items[run->txns.of_row[i]].limit_reached;
    if (!reached || row->knob != KNOB_MEMORY_SWAP || row->version != 1)
        return true;
    row->pair = reached;
    return enforcer_memsw(row->value, row->pair) < enforcer_memsw(row->old_value, row->old_pair);
}

static int lower(struct run *run, uint32_t i, int dirfd, const struct plan_row *row)
{
    uint64_t reached;
    int r = enforcer_shrink(dirfd, row, clock_mono_ns() + run->enforcer->options.shrink_ns, &reached);
    run->outcomes[i].read_back = reached;
    if (r == -EBUSY || r == -ETIMEDOUT) {
        run->txns.states[i] = ROW_PARTIAL;
        if (row->knob == KNOB_MEMORY_LIMIT)
            run->txns.items[run->txns.of_row[i]].limit_reached = reached;
    }
    return r;
}

static int write_row(struct run *run, uint32_t i)
{
    struct plan_row row = run->plan->rows[i];
    int dirfd = group_of(run, i);
    if (dirfd < 0)
        return dirfd;
    run->outcomes[i].read_back = row.value;
    if (enforcer_same_text(&row)) {
        run->txns.states[i] = ROW_DONE;
        return 0;
    }
    if (!adapt_swap(run, i, &row)) {
        run->txns.states[i] = ROW_SKIPPED;
        return -EBUSY;
    }
    bool lowers = enforcer_lowers_memory(&row);
    int r = -EBUSY;
    if (!lowers || (row.version == 1 && !(row.flags & PLAN_ROW_SHRINK)))
        r = enforcer_write(dirfd, &row, &run->outcomes[i].read_back);
    if (r == -EBUSY && lowers)
        r = lower(run, i, dirfd, &row);
    if (r == 0)
        run->txns.states[i] = ROW_DONE;
    if (r == -EIO) /* the kernel kept something else than asked: there is something to undo */
        run->txns.states[i] = ROW_DONE;
    if ((r == -ENOENT || r == -ENODEV) && vanished(run, i))
        r = -ENOENT;
    return r;
}

/* ---- what was there before */

static struct plan_row keyed(const struct run *run, uint32_t i)
{
    struct plan_row row = run->plan->rows[i];
    if (!row.cgroup_id)
        row.cgroup_id = run->made[i];
    return row;
}

static int remember(struct run *run, uint32_t i)
{
    struct plan_row row = keyed(run, i);
    struct knob_setting touched[2];
    unsigned count = found_of_row(&row, touched);
    for (unsigned t = 0; row.cgroup_id && t < count; t++) {
        int r = found_add(&run->enforcer->found, &row, plan_text(run->plan, row.path_off), &touched[t]);
        if (r < 0)
            return r;
        run->added[i] |= (uint8_t)((unsigned)(r == FOUND_ADDED) << t);
    }
    return 0;
}

/* The values of groups that exist, before the first write. */
static int remember_all(struct run *run)
{
    for (uint32_t i = 0; i < run->plan->row_count; i++) {
        int r = remember(run, i);
        if (r)
            return r;
    }
    return found_flush(&run->enforcer->found);
}

/* The group that an earlier row of this transaction made. */
static void find_made(struct run *run, uint32_t i)
{
    const struct plan_row *row = &run->plan->rows[i];
    for (uint32_t p = run->txns.previous[i]; !run->made[i] && p != TXN_NO_ROW; p = run->txns.previous[p])
        if (run->plan->rows[p].hierarchy == row->hierarchy)
            run->made[i] = run->made[p];
}

static void forget(struct run *run, uint32_t i)
{
    struct plan_row row = keyed(run, i);
    struct knob_setting touched[2];
    uint8_t state = run->txns.states[i];
    bool done = state == ROW_DONE || state == ROW_PARTIAL;
    unsigned count = found_of_row(&row, touched);
    for (unsigned t = 0; !done && t < count; t++)
        if (run->added[i] & (1U << t))
            found_drop(&run->enforcer->found, &row, touched[t].knob, touched[t].device);
    if (row.kind == PLAN_FORGET ? run->outcomes[i].error == 0
                                : state == ROW_DONE && row.flags & PLAN_ROW_RESTORE)
        found_drop(&run->enforcer->found, &row, row.knob, row.device);
}

/* ---- transactions */

static void fail_txn(struct run *run, uint32_t txn);

static bool is_below(const char *path, const char *above)
{
    size_t len = strlen(above);
    return strncmp(path, above, len) == 0 && path[len] == '/';
}

static void fail_below(struct run *run, const char *above)
{
    for (uint32_t t = 0; t < run->txns.count; t++)
        if (!run->txns.items[t].failed && is_below(run->txns.items[t].path, above))
            fail_txn(run, t);
}

static void undo_write(struct run *run, uint32_t i)
{
    const struct plan_row *row = &run->plan->rows[i];
    int dirfd = group_of(run, i);
    if (dirfd < 0)
        return;
    int r = enforcer_same_text(row) ? 0 : enforcer_write_old(dirfd, row);
    if (r == -EINVAL && row->version == 1 && row->knob <= KNOB_CPU_PERIOD) {
        fail_below(run, plan_text(run->plan, row->path_off));
        dirfd = group_of(run, i);
        r = dirfd < 0 ? dirfd : enforcer_write_old(dirfd, row);
    }
    if (r)
        return; /* it stands as written, and its outcome says so */
    run->txns.states[i] = ROW_UNDONE;
    run->outcomes[i].undone = 1;
    run->outcomes[i].read_back = row->old_value;
}

static void undo_make(struct run *run, uint32_t i)
{
    const struct plan_row *row = &run->plan->rows[i];
    int h = cgroup_host_by_device(run->enforcer->host, row->hierarchy);
    if (h < 0 ||
        group_remove(run->enforcer->host, (unsigned)h, plan_text(run->plan, row->path_off)) != GROUP_OK)
        return;
    run->txns.states[i] = ROW_UNDONE;
    run->outcomes[i].undone = 1;
}

/* Undoes what the transaction did so far, in reverse; its later rows will not be tried. */
static void fail_txn(struct run *run, uint32_t txn)
{
    run->txns.items[txn].failed = true;
    for (uint32_t i = run->txns.items[txn].last_row; i != TXN_NO_ROW; i = run->txns.previous[i]) {
        uint8_t state = run->txns.states[i];
        if (state != ROW_DONE && state != ROW_PARTIAL)
            continue;
        if (run->plan->rows[i].kind == PLAN_MAKE_GROUP)
            undo_make(run, i);
        else if (run->plan->rows[i].kind == PLAN_WRITE)
            undo_write(run, i);
    }
}

static int execute_row(struct run *run, uint32_t i)
{
    switch ((enum plan_row_kind)run->plan->rows[i].kind) {
    case PLAN_WRITE:
        if (run->plan->rows[i].flags & PLAN_ROW_CREATED) {
            find_made(run, i);
            int r = remember(run, i);
            if (r)
                return r;
        }
        return write_row(run, i);
    case PLAN_MAKE_GROUP:
        return make_group(run, i);
    case PLAN_ENABLE:
        return enable(run, i);
    case PLAN_FORGET:
        return 0;
    }
    return -EINVAL;
}

static void execute_all(struct run *run)
{
    for (uint32_t i = 0; i < run->plan->row_count; i++) {
        uint32_t txn = run->txns.of_row[i];
        if (run->enforcer->options.before_row)
            run->enforcer->options.before_row(run->enforcer->options.context, i);
        if (run->txns.items[txn].failed) {
            run->outcomes[i].error = -ECANCELED;
            continue;
        }
        int r = execute_row(run, i);
        run->outcomes[i].error = r;
        bool kept = r == -EBUSY && run->plan->rows[i].kind == PLAN_WRITE;
        if (r != 0 && r != -ETIMEDOUT && !kept)
            fail_txn(run, txn);
    }
}

static int run_plan(struct run *run)
{
    struct enforcer *e = run->enforcer;
    int r = remember_all(run);
    bool journaled = r == 0 && txns_can_be_cut(&run->txns, run->plan);
    if (journaled)
        r = journal_begin(&e->journal, run->plan);
    if (r)
        return r;
    execute_all(run);
    for (uint32_t i = 0; i < run->plan->row_count; i++)
        forget(run, i);
    (void)!found_flush(&e->found); /* else with the next plan's */
    if (journaled)
        journal_end(&e->journal);
    return 0;
}

int enforcer_execute(struct enforcer *e, const struct plan *plan, struct plan_outcomes *ret)
{
    size_t rows = plan->row_count ? plan->row_count : 1;
    struct run run = {.enforcer = e, .plan = plan, .opened_for = UINT32_MAX};
    for (unsigned h = 0; h < HIERARCHIES_MAX; h++)
        run.dirs[h] = -1;
    run.outcomes = calloc(rows, sizeof *run.outcomes);
    run.added = calloc(rows, sizeof *run.added);
    run.made = calloc(rows, sizeof *run.made);
    int r = run.outcomes && run.added && run.made ? txns_build(plan, &run.txns) : -ENOMEM;
    if (r == 0)
        r = run_plan(&run);
    close_dirs(&run);
    txns_fini(&run.txns);
    free(run.added);
    free(run.made);
    if (r) {
        free(run.outcomes);
        return r;
    }
    *ret = (struct plan_outcomes){.items = run.outcomes, .count = plan->row_count};
    return 0;
}
