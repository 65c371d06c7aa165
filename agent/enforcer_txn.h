#pragma once
/* The transactions of a plan: its rows, gathered by group. */

#include "model/plan.h"
#include <stdbool.h>

enum row_state {
    ROW_WAITING = 0,
    ROW_DONE,
    ROW_PARTIAL, /* memory was lowered, but not as far as asked */
    ROW_UNDONE,
    ROW_SKIPPED, /* nothing to do: it was so already */
};

struct txn {
    const char *path; /* borrowed from the plan */
    uint32_t last_row;
    bool failed;
    uint64_t limit_reached; /* of a partial memory.limit; 0: none */
};

#define TXN_NO_ROW UINT32_MAX

struct txns {
    struct txn *items;
    uint32_t count;
    uint32_t *of_row;   /* row -> index of its transaction */
    uint32_t *previous; /* row -> the row of the same transaction before it, or TXN_NO_ROW */
    uint8_t *states;    /* row -> enum row_state */
};
#define TXNS_NULL ((struct txns){0})

MUST_USE int txns_build(const struct plan *plan, struct txns *ret); /* 0 or -ENOMEM */
void txns_fini(struct txns *txns);
/* Whether some transaction has more than one write, so that it could be cut. */
bool txns_can_be_cut(const struct txns *txns, const struct plan *plan);
