#include "model/plan.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * On the wire a plan is a head, the rows, the refusals and the string table, as they are in memory: both
 * ends are processes of one build. What comes in is checked whole before anybody acts on a row.
 */

#define PLAN_MAGIC UINT64_C(0x314e4c505553414d)     /* "MASUPLN1" */
#define OUTCOMES_MAGIC UINT64_C(0x3154554f5553414d) /* "MASUOUT1" */

enum {
    FIRST_CAPACITY = 16,
    SHARED_STRINGS = 4, /* how many of the last texts a new one is compared with: path and reason alternate */
    FLAGS_KNOWN = PLAN_ROW_RESTORE | PLAN_ROW_STEP | PLAN_ROW_CREATED | PLAN_ROW_SHRINK,
};

struct plan_head {
    uint64_t magic;
    uint32_t row_count;
    uint32_t refusal_count;
    uint64_t strings_len;
};

struct outcomes_head {
    uint64_t magic;
    uint64_t count;
};

_Static_assert(sizeof(struct plan_row) == 64, "a row has no padding: its bytes travel");
_Static_assert(sizeof(struct plan_refusal) == 16, "a refusal has no padding: its bytes travel");
_Static_assert(sizeof(struct plan_outcome) == 16, "an outcome has no padding: its bytes travel");

void plan_fini(struct plan *plan)
{
    free(plan->rows);
    free(plan->refusals);
    buf_fini(&plan->strings);
    *plan = PLAN_NULL;
}

/* The offset of @text among the last strings of the table, or 0. */
static size_t find_shared(const struct buf *strings, const char *text)
{
    size_t end = strings->len;
    for (unsigned i = 0; i < SHARED_STRINGS && end > 1; i++) {
        size_t start = end - 1;
        while (start > 0 && strings->data[start - 1] != '\0')
            start--;
        if (strcmp(strings->data + start, text) == 0)
            return start;
        end = start;
    }
    return 0;
}

uint32_t plan_string(struct plan *plan, const char *text)
{
    struct buf *strings = &plan->strings;
    if (!*text)
        return 0;
    if (!strings->len)
        buf_putc(strings, '\0');
    if (buf_error(strings))
        return 0;
    size_t offset = find_shared(strings, text);
    if (offset)
        return (uint32_t)offset;
    offset = strings->len;
    size_t len = strlen(text) + 1;
    if (len > UINT32_MAX - offset) {
        strings->error = -ENOMEM;
        return 0;
    }
    buf_append(strings, text, len);
    return buf_error(strings) ? 0 : (uint32_t)offset;
}

/* Makes *items of @size each hold one more than @count. */
static int grow(void **items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return 0;
    uint32_t larger = *capacity ? *capacity * 2 : FIRST_CAPACITY;
    void *moved = larger > *capacity ? reallocarray(*items, larger, size) : NULL;
    if (!moved)
        return -ENOMEM;
    *items = moved;
    *capacity = larger;
    return 0;
}

int plan_add(struct plan *plan, const struct plan_row *row)
{
    void *rows = plan->rows;
    int error = grow(&rows, plan->row_count, &plan->row_capacity, sizeof *row);
    plan->rows = rows;
    if (!error)
        plan->rows[plan->row_count++] = *row;
    return error;
}

int plan_add_refusal(struct plan *plan, const struct plan_refusal *refusal)
{
    void *refusals = plan->refusals;
    int error = grow(&refusals, plan->refusal_count, &plan->refusal_capacity, sizeof *refusal);
    plan->refusals = refusals;
    if (!error)
        plan->refusals[plan->refusal_count++] = *refusal;
    return error;
}

const char *plan_text(const struct plan *plan, uint32_t offset)
{
    return offset < plan->strings.len ? plan->strings.data + offset : "";
}

void plan_encode(const struct plan *plan, struct buf *out)
{
    struct plan_head head = {
        .magic = PLAN_MAGIC,
        .row_count = plan->row_count,
        .refusal_count = plan->refusal_count,
        .strings_len = plan->strings.len,
    };
    if (plan->strings.error)
        out->error = plan->strings.error;
    buf_append(out, &head, sizeof head);
    buf_append(out, plan->rows, plan->row_count * sizeof *plan->rows);
    buf_append(out, plan->refusals, plan->refusal_count * sizeof *plan->refusals);
    buf_append(out, plan->strings.data, plan->strings.len);
}

static bool has_parent_step(const char *path)
{
    for (const char *at = strstr(path, "/.."); at; at = strstr(at + 1, "/.."))
        if (at[3] == '/' || at[3] == '\0')
            return true;
    return false;
}

static bool text_is_known(const struct plan *plan, uint32_t offset)
{
    return offset == 0 || offset < plan->strings.len;
}

static bool row_is_valid(const struct plan *plan, const struct plan_row *row)
{
    const char *path = plan_text(plan, row->path_off);
    return row->kind >= PLAN_WRITE && row->kind <= PLAN_FORGET && !(row->flags & ~FLAGS_KNOWN) &&
           row->knob < KNOB_N && (row->version == 1 || row->version == 2) &&
           text_is_known(plan, row->path_off) && text_is_known(plan, row->why_off) && *path == '/' &&
           !has_parent_step(path);
}

static bool refusal_is_valid(const struct plan *plan, const struct plan_refusal *refusal)
{
    return refusal->knob < KNOB_N && refusal->warn_only <= 1 && text_is_known(plan, refusal->path_off) &&
           text_is_known(plan, refusal->why_off);
}

static bool plan_is_valid(const struct plan *plan)
{
    const struct buf *strings = &plan->strings;
    if (strings->len && (strings->data[0] != '\0' || strings->data[strings->len - 1] != '\0'))
        return false;
    for (uint32_t i = 0; i < plan->row_count; i++)
        if (!row_is_valid(plan, &plan->rows[i]))
            return false;
    for (uint32_t i = 0; i < plan->refusal_count; i++)
        if (!refusal_is_valid(plan, &plan->refusals[i]))
            return false;
    return true;
}

/* A heap copy of @count items of @size each. False (errno-like in *error) when the bytes end before or memory
 * does. */
static void *copy_items(struct cursor *from, uint64_t count, size_t size, int *error)
{
    const void *bytes = count > SIZE_MAX / size ? NULL : cursor_bytes(from, (size_t)count * size);
    if (!bytes) {
        *error = -EBADMSG;
        return NULL;
    }
    void *copy = count ? malloc((size_t)count * size) : NULL;
    if (copy)
        memcpy(copy, bytes, (size_t)count * size);
    else if (count)
        *error = -ENOMEM;
    return copy;
}

int plan_decode(const void *bytes, size_t len, struct plan *ret_plan)
{
    struct cursor from = {.at = bytes, .end = (const uint8_t *)bytes + len};
    struct plan_head head;
    const void *head_bytes = cursor_bytes(&from, sizeof head);
    if (!head_bytes)
        return -EBADMSG;
    memcpy(&head, head_bytes, sizeof head);
    if (head.magic != PLAN_MAGIC || head.strings_len > UINT32_MAX)
        return -EBADMSG;

    int error = 0;
    CLEANUP(plan_fini) struct plan plan = PLAN_NULL;
    plan.rows = copy_items(&from, head.row_count, sizeof *plan.rows, &error);
    if (!error)
        plan.refusals = copy_items(&from, head.refusal_count, sizeof *plan.refusals, &error);
    const void *strings = error ? NULL : cursor_bytes(&from, (size_t)head.strings_len);
    if (error)
        return error;
    if (!strings || from.at != from.end)
        return -EBADMSG;
    plan.row_count = plan.row_capacity = head.row_count;
    plan.refusal_count = plan.refusal_capacity = head.refusal_count;
    buf_append(&plan.strings, strings, (size_t)head.strings_len);
    if (buf_error(&plan.strings))
        return buf_error(&plan.strings);
    if (!plan_is_valid(&plan))
        return -EBADMSG;
    *ret_plan = plan;
    plan = PLAN_NULL;
    return 0;
}

void plan_outcomes_fini(struct plan_outcomes *outcomes)
{
    free(outcomes->items);
    *outcomes = PLAN_OUTCOMES_NULL;
}

void plan_outcomes_encode(const struct plan_outcomes *outcomes, struct buf *out)
{
    struct outcomes_head head = {.magic = OUTCOMES_MAGIC, .count = outcomes->count};
    buf_append(out, &head, sizeof head);
    buf_append(out, outcomes->items, outcomes->count * sizeof *outcomes->items);
}

int plan_outcomes_decode(const void *bytes, size_t len, struct plan_outcomes *ret)
{
    struct cursor from = {.at = bytes, .end = (const uint8_t *)bytes + len};
    struct outcomes_head head;
    const void *head_bytes = cursor_bytes(&from, sizeof head);
    if (!head_bytes)
        return -EBADMSG;
    memcpy(&head, head_bytes, sizeof head);
    if (head.magic != OUTCOMES_MAGIC || head.count > UINT32_MAX)
        return -EBADMSG;
    int error = 0;
    CLEANUP(plan_outcomes_fini) struct plan_outcomes outcomes = PLAN_OUTCOMES_NULL;
    outcomes.items = copy_items(&from, head.count, sizeof *outcomes.items, &error);
    if (error)
        return error;
    outcomes.count = (uint32_t)head.count;
    if (from.at != from.end)
        return -EBADMSG;
    for (uint32_t i = 0; i < outcomes.count; i++)
        if (outcomes.items[i].error > 0 || outcomes.items[i].undone > 1)
            return -EBADMSG;
    *ret = outcomes;
    outcomes = PLAN_OUTCOMES_NULL;
    return 0;
}
