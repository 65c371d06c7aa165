#include "base/str.h"
#include "exporters/json.h"
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { TEXT_MAX = 256, VALUE_MAX = 64, DEVICE_MAX = 64, DEFAULT_PERIOD_USEC = 100000 };

static const char *kind_name(uint16_t kind)
{
    switch ((enum plan_row_kind)kind) {
    case PLAN_WRITE:
        return "write";
    case PLAN_MAKE_GROUP:
        return "make";
    case PLAN_ENABLE:
        return "enable";
    case PLAN_FORGET:
        return "forget";
    }
    return "unknown";
}

static bool has_knob(const struct plan_row *row)
{
    return (row->kind == PLAN_WRITE || row->kind == PLAN_FORGET) && row->knob < KNOB_N;
}

static json_t *stored(uint64_t value)
{
    if (value == KNOB_UNLIMITED)
        return json_null();
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *device_of(const struct json_host *host, uint16_t knob, uint32_t device)
{
    char name[DEVICE_MAX];

    if (knob >= KNOB_N || !knobs[knob].per_device)
        return json_null();
    if (!host->device || !host->device(host->device_context, device, name, sizeof name))
        str_format(name, sizeof name, "%u:%u", major(device), minor(device));
    return json_text(name);
}

static uint64_t sum(uint64_t limit, uint64_t swap)
{
    uint64_t both;

    if (limit == KNOB_UNLIMITED || swap == KNOB_UNLIMITED || __builtin_add_overflow(limit, swap, &both))
        return KNOB_UNLIMITED;
    return both;
}

/* People read weights on v2's scale everywhere. */
static const char *value_text(const struct plan_row *row, uint64_t value, uint64_t pair, char *buf)
{
    if (knobs[row->knob].unit == KNOB_WEIGHT && row->version == 1)
        value = knob_shares_to_weight(value);
    return knob_format((enum knob_id)row->knob, value, pair ? pair : DEFAULT_PERIOD_USEC, buf, VALUE_MAX);
}

/* v1 limits memory and swap together, so a write of swap's limit may be needed though swap's share stays. */
static void together_text(const struct plan_row *row, char *buf, size_t size)
{
    char old[VALUE_MAX], new[VALUE_MAX], old_sum[VALUE_MAX], new_sum[VALUE_MAX];
    const char *label = knobs[row->knob].label;

    value_text(row, row->old_value, 0, old);
    value_text(row, row->value, 0, new);
    value_text(row, sum(row->old_value, row->old_pair), 0, old_sum);
    value_text(row, sum(row->value, row->pair), 0, new_sum);
    if (row->value == row->old_value)
        str_format(buf, size, "%s stays %s: memory+swap %s → %s", label, new, old_sum, new_sum);
    else
        str_format(buf, size, "%s %s → %s: memory+swap %s → %s", label, old, new, old_sum, new_sum);
}

static const char *mount_of(const struct json_host *host, const struct plan_row *row)
{
    return host->mount ? host->mount(host->mount_context, row->hierarchy) : NULL;
}

static json_t *row_text(const struct json_host *host, const struct plan *plan, const struct plan_row *row)
{
    char text[TEXT_MAX] = "", old[VALUE_MAX], new[VALUE_MAX];
    const char *why = plan_text(plan, row->why_off);

    switch ((enum plan_row_kind)row->kind) {
    case PLAN_WRITE:
        if (has_knob(row) && knob_file(row->knob, row->version)->form == KNOB_FORM_MEMSW)
            together_text(row, text, sizeof text);
        else if (has_knob(row))
            str_format(text, sizeof text, "%s %s → %s", knobs[row->knob].label,
                       value_text(row, row->old_value, row->old_pair, old),
                       value_text(row, row->value, row->pair, new));
        break;
    case PLAN_MAKE_GROUP:
        if (mount_of(host, row))
            str_format(text, sizeof text, "make the group in %s", mount_of(host, row));
        else
            str_copy(text, sizeof text, "make the group");
        break;
    case PLAN_ENABLE:
        str_format(text, sizeof text, "enable %.*s for children", (int)strcspn(why, ":"), why);
        break;
    case PLAN_FORGET:
        if (has_knob(row))
            str_format(text, sizeof text, "%s: forget what was there before masu", knobs[row->knob].label);
        break;
    }
    return json_text(text);
}

static const char *error_text(int error)
{
    static const struct {
        int error;
        const char *text;
    } texts[] = {
        {-ESTALE, "the group is not the one the plan was made for"},
        {-ECANCELED, "not tried"},
        {-EBUSY, "the group uses more than that, and the kernel could not take it back"},
        {-ETIMEDOUT, "the kernel could not take the memory back in time"},
        {-EINVAL, "the kernel refused the value"},
        {-ENOENT, "the group is gone"},
        {-ENODEV, "the group is gone"},
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].error == error)
            return texts[i].text;
    return strerror(-error);
}

static json_t *outcome_object(const struct plan_outcome *outcome)
{
    return json_pack("{s:o, s:b, s:o}", "error",
                     outcome->error ? json_string(error_text(outcome->error)) : json_null(), "undone",
                     outcome->undone != 0, "read_back", stored(outcome->read_back));
}

static json_t *row_object(const struct json_host *host, const struct plan *plan, const struct plan_row *row,
                          const struct plan_outcome *outcome)
{
    const struct knob_file *file = has_knob(row) ? knob_file((enum knob_id)row->knob, row->version) : NULL;
    json_t *object = json_object();
    int error = !object;

    error |= json_object_set_new(object, "kind", json_string(kind_name(row->kind)));
    error |= json_object_set_new(object, "path", json_text(plan_text(plan, row->path_off)));
    error |= json_object_set_new(object, "knob", file ? json_string(knobs[row->knob].key) : json_null());
    error |=
        json_object_set_new(object, "device", file ? device_of(host, row->knob, row->device) : json_null());
    error |= json_object_set_new(object, "version", json_integer(row->version));
    error |= json_object_set_new(object, "mount",
                                 mount_of(host, row) ? json_text(mount_of(host, row)) : json_null());
    error |= json_object_set_new(object, "file", file && file->file ? json_string(file->file) : json_null());
    error |= json_object_set_new(object, "old", file ? stored(row->old_value) : json_null());
    error |= json_object_set_new(object, "new", file ? stored(row->value) : json_null());
    error |= json_object_set_new(object, "text", row_text(host, plan, row));
    error |= json_object_set_new(object, "why", json_text(plan_text(plan, row->why_off)));
    error |= json_object_set_new(object, "step", json_boolean(row->flags & PLAN_ROW_STEP));
    error |= json_object_set_new(object, "restore", json_boolean(row->flags & PLAN_ROW_RESTORE));
    if (outcome)
        error |= json_object_set_new(object, "outcome", outcome_object(outcome));
    if (!error)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *refusal_object(const struct json_host *host, const struct plan *plan,
                              const struct plan_refusal *refusal)
{
    return json_pack("{s:o, s:s, s:o, s:b, s:o}", "path", json_text(plan_text(plan, refusal->path_off)),
                     "knob", refusal->knob < KNOB_N ? knobs[refusal->knob].key : "unknown", "device",
                     device_of(host, refusal->knob, refusal->device), "warn", refusal->warn_only != 0, "why",
                     json_text(plan_text(plan, refusal->why_off)));
}

json_t *json_plan(const struct json_host *host, const struct plan *plan, const struct plan_outcomes *outcomes)
{
    json_t *rows = json_array(), *refusals = json_array();
    json_int_t writes = 0;
    int error = !rows || !refusals;

    for (uint32_t i = 0; i < plan->row_count && !error; i++) {
        const struct plan_outcome *outcome = outcomes && i < outcomes->count ? &outcomes->items[i] : NULL;
        writes += plan->rows[i].kind != PLAN_FORGET;
        error |= json_array_append_new(rows, row_object(host, plan, &plan->rows[i], outcome));
    }
    for (uint32_t i = 0; i < plan->refusal_count && !error; i++)
        error |= json_array_append_new(refusals, refusal_object(host, plan, &plan->refusals[i]));
    if (!error)
        return json_pack("{s:I, s:o, s:o}", "writes", writes, "rows", rows, "refusals", refusals);
    json_decref(rows);
    json_decref(refusals);
    return NULL;
}
