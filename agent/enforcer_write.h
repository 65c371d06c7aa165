#pragma once
/* One row in one group: written by one write(2), read back from the same descriptor, compared. */

#include "model/plan.h"
#include <stdbool.h>

/* Writes row->value (and pair) to the group at @dirfd. 0; -EIO when the kernel kept something else; -errno.
 *ret_read_back in canonical units, for 0 and -EIO. */
MUST_USE int enforcer_write(int dirfd, const struct plan_row *row, uint64_t *ret_read_back);
/* Writes row->old_value (and old_pair). */
MUST_USE int enforcer_write_old(int dirfd, const struct plan_row *row);

enum held { HELD_OLD, HELD_NEW, HELD_BETWEEN, HELD_OTHER };
/* What the group holds of the row: its old value, its new one, something between them, something else. 0 with
 * *ret, or -errno. */
MUST_USE int enforcer_held(int dirfd, const struct plan_row *row, enum held *ret);
/* Whether the row lowers memory (limit, or limit and swap together), as the kernel's file counts. */
bool enforcer_lowers_memory(const struct plan_row *row);
/* Whether old and new are the same bytes for the kernel (memory and swap that moved in opposite directions).
 */
bool enforcer_same_text(const struct plan_row *row);
/* Limit and swap as memory.memsw.limit_in_bytes counts them. */
uint64_t enforcer_memsw(uint64_t swap, uint64_t limit);

/*
 * Lowers memory in bounded steps until @deadline_ns (monotonic). 0; -EBUSY, what is left cannot be taken
 * back; -ETIMEDOUT; -errno. *ret_reached: the value the file holds now. On v2 a value below what is used is
 * never written: the kernel would kill.
 */
MUST_USE int enforcer_shrink(int dirfd, const struct plan_row *row, uint64_t deadline_ns,
                             uint64_t *ret_reached);
