#include "exporters/openmetrics.h"
#include "base/str.h"
#include "exporters/utf8.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct subject {
    uint8_t kind;
    char *labels; /* "{…}" or "", heap */
    uint64_t have[METRIC_HAVE_WORDS];
    uint64_t values[METRIC_N];
};

enum step { STEP_SUBJECTS, STEP_SELF, STEP_END, STEP_DONE };

struct openmetrics {
    enum openmetrics_format format;
    struct subject *subjects;
    size_t subject_count, subject_capacity;
    uint64_t any[SUBJECT_N][METRIC_HAVE_WORDS]; /* metrics that some subject of the kind has */
    struct openmetrics_self *selves;
    size_t self_count, self_capacity;

    /* where the next piece begins */
    enum step step;
    unsigned kind, metric;
    size_t at;
};

static const char *const prefixes[SUBJECT_N] = {[SUBJECT_GROUP] = "masu_container_",
                                                [SUBJECT_HOST] = "masu_host_",
                                                [SUBJECT_INTERFACE] = "masu_interface_"};

enum openmetrics_format openmetrics_negotiate(const char *accept)
{
    return accept && strstr(accept, "application/openmetrics-text") ? OPENMETRICS_OPENMETRICS
                                                                    : OPENMETRICS_PROMETHEUS;
}

const char *openmetrics_content_type(enum openmetrics_format format)
{
    return format == OPENMETRICS_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                             : "text/plain; version=0.0.4; charset=utf-8";
}

struct openmetrics *openmetrics_new(enum openmetrics_format format)
{
    struct openmetrics *page = calloc(1, sizeof *page);

    if (page)
        page->format = format;
    return page;
}

struct openmetrics *openmetrics_free(struct openmetrics *page)
{
    if (!page)
        return NULL;
    for (size_t i = 0; i < page->subject_count; i++)
        free(page->subjects[i].labels);
    free(page->subjects);
    free(page->selves);
    free(page);
    return NULL;
}

/* Room for one more in a heap array. 0 or -ENOMEM. */
static int grow(void **array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return 0;
    size_t wanted = *capacity ? *capacity * 2 : 64;
    void *moved = realloc(*array, wanted * size);
    if (!moved)
        return -ENOMEM;
    *array = moved;
    *capacity = wanted;
    return 0;
}

static void put_label(struct buf *out, const char *separator, const char *name, const char *value)
{
    struct buf clean = BUF_NULL;

    utf8_put(&clean, value);
    buf_printf(out, "%s%s=\"", separator, name);
    for (const char *at = clean.data ? clean.data : ""; *at; at++) {
        if (*at == '\n')
            buf_puts(out, "\\n");
        else if (*at == '"' || *at == '\\')
            buf_printf(out, "\\%c", *at);
        else
            buf_putc(out, *at);
    }
    buf_putc(out, '"');
    if (buf_error(&clean))
        out->error = clean.error;
    buf_fini(&clean);
}

static char *labels_of(const struct group_identity *who)
{
    struct buf labels = BUF_NULL;

    switch ((enum subject_kind)who->kind) {
    case SUBJECT_GROUP:
        put_label(&labels, "{", "container", who->name);
        put_label(&labels, ",", "path", who->path);
        put_label(&labels, ",", "runtime", who->runtime);
        buf_putc(&labels, '}');
        break;
    case SUBJECT_INTERFACE:
        put_label(&labels, "{", "interface", who->name);
        buf_putc(&labels, '}');
        break;
    case SUBJECT_HOST:
    case SUBJECT_N:
        return strdup("");
    }
    if (buf_error(&labels)) {
        buf_fini(&labels);
        return NULL;
    }
    return buf_take(&labels);
}

int openmetrics_add(struct openmetrics *page, const struct view *view)
{
    if (view->identity.kind >= SUBJECT_N)
        return 0;
    if (grow((void **)&page->subjects, &page->subject_capacity, page->subject_count, sizeof *page->subjects))
        return -ENOMEM;
    struct subject *subject = &page->subjects[page->subject_count];
    subject->labels = labels_of(&view->identity);
    if (!subject->labels)
        return -ENOMEM;
    subject->kind = view->identity.kind;
    memcpy(subject->have, view->row.have, sizeof subject->have);
    memcpy(subject->values, view->row.values, sizeof subject->values);
    for (unsigned i = 0; i < METRIC_HAVE_WORDS; i++)
        page->any[subject->kind][i] |= subject->have[i];
    page->subject_count++;
    return 0;
}

int openmetrics_add_self(struct openmetrics *page, const struct openmetrics_self *self)
{
    if (grow((void **)&page->selves, &page->self_capacity, page->self_count, sizeof *page->selves))
        return -ENOMEM;
    page->selves[page->self_count++] = *self;
    return 0;
}

static bool has(const uint64_t *have, unsigned metric)
{
    return (have[metric / 64] >> (metric % 64)) & 1;
}

/* OpenMetrics names a counter's family without the "_total" of its samples. */
static void put_head(struct buf *out, enum openmetrics_format format, const struct openmetrics_self *family)
{
    bool counter = family->kind == METRIC_COUNTER;
    const char *end = counter && format == OPENMETRICS_PROMETHEUS ? "_total" : "";

    buf_printf(out, "# HELP %s%s %s\n", family->name, end, family->help);
    buf_printf(out, "# TYPE %s%s %s\n", family->name, end, counter ? "counter" : "gauge");
    if (format == OPENMETRICS_OPENMETRICS && family->unit[0])
        buf_printf(out, "# UNIT %s%s %s\n", family->name, end, family->unit);
}

/* The exact decimal of a stored value in exported units. */
static void put_value(struct buf *out, enum metric_unit unit, uint64_t value)
{
    if (metric_unit_scale(unit) <= 1) {
        buf_printf(out, "%" PRIu64, value);
        return;
    }
    uint64_t scale = (uint64_t)metric_unit_scale(unit), rest = value % scale;
    buf_printf(out, "%" PRIu64, value / scale);
    if (!rest)
        return;
    buf_putc(out, '.');
    for (scale /= 10; rest; rest %= scale, scale /= 10) {
        buf_putc(out, (char)('0' + rest / scale));
        if (scale == 1)
            break;
    }
}

static void put_metric_head(struct buf *out, enum openmetrics_format format, const char *name,
                            enum metric_id id)
{
    char family[128];
    struct openmetrics_self head = {.name = family,
                                    .help = metrics[id].help,
                                    .kind = metrics[id].kind,
                                    .unit = metric_unit_name(metrics[id].unit)};

    str_copy(family, sizeof family, name);
    if (head.kind == METRIC_COUNTER && str_ends(family, "_total"))
        family[strlen(family) - strlen("_total")] = '\0';
    put_head(out, format, &head);
}

/* The samples of one family, from page->at on; true when it is done. */
static bool put_family(struct openmetrics *page, size_t limit, struct buf *out)
{
    enum metric_id id = (enum metric_id)page->metric;
    char name[128];

    metric_openmetrics_name(id, prefixes[page->kind], name, sizeof name);
    if (!page->at)
        put_metric_head(out, page->format, name, id);
    for (; page->at < page->subject_count; page->at++) {
        const struct subject *subject = &page->subjects[page->at];
        if (subject->kind != page->kind || !has(subject->have, page->metric))
            continue;
        buf_printf(out, "%s%s ", name, subject->labels);
        put_value(out, metrics[id].unit, subject->values[id]);
        buf_putc(out, '\n');
        if (out->len >= limit) {
            page->at++;
            return false;
        }
    }
    page->at = 0;
    return true;
}

static void put_self(struct openmetrics *page, struct buf *out)
{
    for (size_t i = 0; i < page->self_count; i++) {
        const struct openmetrics_self *self = &page->selves[i];
        if (!i || strcmp(self->name, page->selves[i - 1].name) != 0)
            put_head(out, page->format, self);
        buf_printf(out, "%s%s", self->name, self->kind == METRIC_COUNTER ? "_total" : "");
        if (self->label) {
            put_label(out, "{", self->label, self->label_value);
            buf_putc(out, '}');
        }
        buf_printf(out, " %.15g\n", self->value);
    }
}

static void next_subjects(struct openmetrics *page, size_t limit, struct buf *out)
{
    for (; page->kind < SUBJECT_N; page->kind++, page->metric = 0)
        for (; page->metric < METRIC_N; page->metric++) {
            if (!has(page->any[page->kind], page->metric))
                continue;
            if (out->len >= limit || !put_family(page, limit, out))
                return;
        }
    page->step = STEP_SELF;
}

bool openmetrics_next(struct openmetrics *page, size_t limit, struct buf *out)
{
    limit += out->len;
    switch (page->step) {
    case STEP_SUBJECTS:
        next_subjects(page, limit, out);
        break;
    case STEP_SELF:
        put_self(page, out);
        page->step = STEP_END;
        break;
    case STEP_END:
        if (page->format == OPENMETRICS_OPENMETRICS)
            buf_puts(out, "# EOF\n");
        page->step = STEP_DONE;
        break;
    case STEP_DONE:
        break;
    }
    return page->step != STEP_DONE;
}
