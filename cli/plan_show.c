#include "cli/plan_show.h"
#include "base/str.h"
#include "model/knob.h"
#include <string.h>

enum { LABEL_WIDTH = 16, TEXT_MAX = 1024 };

/* "memory limit unlimited → 2GiB": what is limited and how it changes stand in columns. */
static void put_change(struct buf *out, const json_t *row, enum paint paint)
{
    char label[64];
    const char *text = show_text(row, "text");
    int id = knob_find(show_text(row, "knob"));
    size_t len = id >= 0 ? strlen(knobs[id].label) : 0;

    if (!len || strncmp(text, knobs[id].label, len) != 0 || text[len] != ' ') {
        paint_put(out, paint, text);
        return;
    }
    str_format(label, sizeof label, "%-*s", LABEL_WIDTH, knobs[id].label);
    paint_put(out, paint, label);
    paint_put(out, paint, text + len + 1);
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
    put_change(out, row, is_write(row) ? PAINT_NONE : PAINT_DIM);
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

/* Where " of PATH" stands in @why, and *ret_len its length; NULL: nowhere. */
static const char *find_mention(const char *why, const char *path, size_t *ret_len)
{
    char mention[TEXT_MAX];

    if (!*path || !str_format(mention, sizeof mention, " of %s", path))
        return NULL;
    *ret_len = strlen(mention);
    for (const char *at = strstr(why, mention); at; at = strstr(at + 1, mention))
        if (!at[*ret_len] || strchr(" :,", at[*ret_len]))
            return at;
    return NULL;
}

/* What was refused, and why. The reasons stand alone elsewhere, so most begin with the limit and name the
 * group: "memory.swap of /web needs a memory.limit". Here both have been said. */
static void put_reason(struct buf *out, const json_t *refusal)
{
    const char *knob = show_text(refusal, "knob"), *device = show_text(refusal, "device"),
               *why = show_text(refusal, "why");
    size_t len = strlen(knob), mention_len = 0;
    char text[TEXT_MAX];

    paint_put(out, PAINT_BOLD, knob);
    if (!len || strncmp(why, knob, len) != 0 || !strchr(": ", why[len])) {
        buf_puts(out, *device ? " of " : "");
        paint_put(out, PAINT_NONE, device);
        buf_puts(out, ": ");
        paint_put(out, PAINT_NONE, why);
        return;
    }
    why += len;
    const char *mention = find_mention(why, show_text(refusal, "path"), &mention_len);
    if (mention) {
        str_format(text, sizeof text, "%.*s%s", (int)(mention - why), why, mention + mention_len);
        why = text;
    }
    paint_put(out, PAINT_NONE, why);
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
        buf_puts(out, "  ");
        paint_put(out, PAINT_NONE, show_text(refusal, "path"));
        buf_puts(out, "  ");
        put_reason(out, refusal);
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

bool plan_failed(const json_t *plan)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(plan, "rows"), i,
                       row) if (*show_text(row, "outcome.error")) return true;
    return false;
}
