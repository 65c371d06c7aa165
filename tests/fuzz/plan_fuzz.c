#include "model/plan.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Whatever plan_decode accepts must be safe to walk, and encode to the bytes that it came from. */

static void try_plan(const uint8_t *bytes, size_t size)
{
    struct plan plan;
    if (plan_decode(bytes, size, &plan))
        return;
    size_t walked = 0;
    for (uint32_t i = 0; i < plan.row_count; i++) {
        const struct plan_row *row = &plan.rows[i];
        if (*plan_text(&plan, row->path_off) != '/' || row->knob >= KNOB_N)
            abort();
        walked += strlen(plan_text(&plan, row->why_off));
    }
    for (uint32_t i = 0; i < plan.refusal_count; i++)
        walked += strlen(plan_text(&plan, plan.refusals[i].why_off));
    struct buf again = BUF_NULL;
    plan_encode(&plan, &again);
    if (again.len != size || memcmp(again.data, bytes, size) != 0 ||
        walked > size * (plan.row_count + 1ul) * 2)
        abort();
    buf_fini(&again);
    plan_fini(&plan);
}

static void try_outcomes(const uint8_t *bytes, size_t size)
{
    struct plan_outcomes outcomes;
    if (plan_outcomes_decode(bytes, size, &outcomes))
        return;
    struct buf again = BUF_NULL;
    plan_outcomes_encode(&outcomes, &again);
    if (again.len != size || memcmp(again.data, bytes, size) != 0)
        abort();
    buf_fini(&again);
    plan_outcomes_fini(&outcomes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    try_plan(bytes, size);
    try_outcomes(bytes, size);
    return 0;
}
