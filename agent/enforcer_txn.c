#include "agent/enforcer_txn.h"
#include "base/map.h"
#include <errno.h>
#include <stdlib.h>

/* The index of the transaction of @path, made when it is new; values in the map are index + 1. */
static int find_or_add(struct txns *txns, struct map *by_path, const char *path, uint32_t *ret)
{
    uintptr_t known = (uintptr_t)map_get_str(by_path, path);
    if (known) {
        *ret = (uint32_t)(known - 1);
        return 0;
    }
    *ret = txns->count;
    txns->items[txns->count++] = (struct txn){.path = path, .last_row = TXN_NO_ROW};
    return map_set_str(by_path, path, (void *)(uintptr_t)txns->count);
}

static int gather(const struct plan *plan, struct txns *txns)
{
    struct map by_path CLEANUP(map_fini) = MAP_NULL;
    for (uint32_t i = 0; i < plan->row_count; i++) {
        uint32_t index;
        bool same = i > 0 && plan->rows[i].path_off == plan->rows[i - 1].path_off;
        int r = 0;
        if (same)
            index = txns->of_row[i - 1];
        else
            r = find_or_add(txns, &by_path, plan_text(plan, plan->rows[i].path_off), &index);
        if (r)
            return r;
        txns->of_row[i] = index;
        txns->previous[i] = txns->items[index].last_row;
        txns->items[index].last_row = i;
    }
    return 0;
}

int txns_build(const struct plan *plan, struct txns *ret)
{
    size_t rows = plan->row_count ? plan->row_count : 1;
    *ret = (struct txns){
        .items = calloc(rows, sizeof *ret->items),
        .of_row = calloc(rows, sizeof *ret->of_row),
        .previous = calloc(rows, sizeof *ret->previous),
        .states = calloc(rows, sizeof *ret->states),
    };
    int r = ret->items && ret->of_row && ret->previous && ret->states ? gather(plan, ret) : -ENOMEM;
    if (r)
        txns_fini(ret);
    return r;
}

void txns_fini(struct txns *txns)
{
    free(txns->items);
    free(txns->of_row);
    free(txns->previous);
    free(txns->states);
    *txns = TXNS_NULL;
}

bool txns_can_be_cut(const struct txns *txns, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->row_count; i++)
        for (uint32_t p = txns->previous[i]; plan->rows[i].kind == PLAN_WRITE && p != TXN_NO_ROW;
             p = txns->previous[p])
            if (plan->rows[p].kind == PLAN_WRITE)
                return true;
    return false;
}
