#pragma once
/*
 * The enforcer: the one process that changes limits in the kernel. It executes plans: the rows of one group
 * are a transaction (all or nothing; other groups go on), each row is written once, read back and compared.
 * What was there before masu first wrote is remembered in its directory, with the boot id, and so is a
 * transaction in flight, so that a killed enforcer leaves no half-limited group behind.
 */

#include "cgroup/host.h"
#include "model/plan.h"

struct enforcer_options {
    uint64_t shrink_ns; /* how long one row may try to lower memory below what is used; 0: 2 s */
    /* Called before each row, with its index; for tests that cut, break or kill. NULL: nothing. */
    void (*before_row)(void *context, uint32_t row);
    void *context;
};

struct enforcer; /* opaque */

/* Opens @dir (made when it is not there, 0700), learns the found values of this boot, undoes what a
   transaction that was cut had done. @host is borrowed. 0 or -errno. */
MUST_USE int enforcer_open(const struct cgroup_host *host, const char *dir,
                           const struct enforcer_options *options, struct enforcer **ret);
struct enforcer *enforcer_close(struct enforcer *enforcer);

/*
 * Executes @plan. 0, whatever became of the rows (their outcomes say it), or -errno when nothing was tried.
 * Outcomes: -ENOENT and -ENODEV, the group vanished; -ESTALE, another one is in its place; -EIO, the kernel
 * kept another value (read_back); -EBUSY and -ETIMEDOUT of a row that lowers memory: read_back is the lowest
 * reached, it is kept, and the group's other rows go on.
 */
MUST_USE int enforcer_execute(struct enforcer *enforcer, const struct plan *plan, struct plan_outcomes *ret);

/* The found values of groups that still exist: rows of kind PLAN_WRITE with the value in old_value. 0 or
 * -errno. */
MUST_USE int enforcer_found(struct enforcer *enforcer, struct plan *ret);

/* Transactions that the last enforcer left cut, and that enforcer_open undid. */
unsigned enforcer_undone_at_start(const struct enforcer *enforcer);
