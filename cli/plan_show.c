#include "cli/plan_show.h"
#include <string.h>

/* "memory limit unlimited → 2GiB": the label and the change stand in columns. */
static const char *change_of(const json_t *row)
{
    return show_text(row, "text");
}

static void put_outcome(struct buf *out, const json_t *row)
{
    const json_t *outcome = json_object_get(row, "outcome");
    const char *error = show_text(outcome, "error");

    if (!outcome)
        return;
    if (*error) {
        paint_put(out, PAINT_RED, "  failed: ");
        paint_put(out, PAINT_RED, error);
    } else if (json_is_true(json_object_get(outcome, "undone"))) {
        paint_put(out, PAINT_YELLOW, "  undone");
    } else {
        paint_put(out, PAINT_GREEN, "  done");
    }
}

static bool is_write(const json_t *row)
{
    return strcmp(show_text(row, "kind"), "forget") != 0;
}

static void put_row(struct buf *out, const json_t *row)
{
    const char *device = show_text(row, "device");

    buf_puts(out, "  ");
    paint_put(out, is_write(row) ? PAINT_NONE : PAINT_DIM, change_of(row));
    if (*device) {
        buf_puts(out, " on ");
        paint_put(out, PAINT_NONE, device);
    }
    if (json_is_true(json_object_get(row, "step")))
        paint_put(out, PAINT_DIM, " (a step on the way)");
    put_outcome(out, row);
    buf_putc(out, '\n');
}

static void put_head(struct buf *out, const json_t *row)
{
    const char *why = show_text(row, "why");

    paint_put(out, PAINT_BOLD, show_text(row, "path"));
    if (*why) {
        buf_puts(out, "  ");
        paint_put(out, PAINT_DIM, why);
    }
    buf_putc(out, '\n');
}

static void put_refusals(struct buf *out, const json_t *refusals)
{
    const json_t *refusal;
    size_t i;

    if (json_array_size(refusals)) {
        paint_put(out, PAINT_YELLOW, "refused:");
        buf_putc(out, '\n');
    }
    json_array_foreach(refusals, i, refusal)
    {
        const char *device = show_text(refusal, "device");
        buf_puts(out, "  ");
        paint_put(out, PAINT_NONE, show_text(refusal, "path"));
        buf_puts(out, "  ");
        paint_put(out, PAINT_BOLD, show_text(refusal, "knob"));
        buf_puts(out, *device ? " of " : "");
        paint_put(out, PAINT_NONE, device);
        buf_puts(out, ": ");
        paint_put(out, PAINT_NONE, show_text(refusal, "why"));
        buf_puts(out,
                 json_is_true(json_object_get(refusal, "warn")) ? " (left out, as the policy says)\n" : "\n");
    }
}

void plan_show(const json_t *plan, struct buf *out, struct plan_totals *ret)
{
    const json_t *row;
    const char *path = NULL;
    size_t i;

    *ret = (struct plan_totals){.refused = (unsigned)json_array_size(json_object_get(plan, "refusals"))};
    json_array_foreach(json_object_get(plan, "rows"), i, row)
    {
        if (!path || strcmp(path, show_text(row, "path")) != 0) {
            put_head(out, row);
            ret->groups++;
        }
        path = show_text(row, "path");
        put_row(out, row);
        ret->writes += is_write(row);
        ret->failed += *show_text(row, "outcome.error") != '\0';
    }
    put_refusals(out, json_object_get(plan, "refusals"));
}
