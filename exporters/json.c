#include "exporters/json.h"
#include "base/clock.h"
#include "base/str.h"
#include "exporters/utf8.h"
#include <string.h>
#include <sys/sysmacros.h>

static const char *const container_members[] = {
    "path",    "name",        "runtime", "id",    "kind",        "born",   "populated", "managed", "settling",
    "created", "io_per_leaf", "quota",   "level", "level_since", "wanted", "limits",    "adopted", "sample"};

static const char *const subject_names[SUBJECT_N] = {
    [SUBJECT_GROUP] = "group", [SUBJECT_HOST] = "host", [SUBJECT_INTERFACE] = "interface"};

enum { DEFAULT_PERIOD_USEC = 100000, DEVICE_NAME_MAX = 64 };

json_t *json_text(const char *text)
{
    if (utf8_valid(text))
        return json_string(text);
    struct buf clean = BUF_NULL;
    utf8_put(&clean, text);
    json_t *string = buf_error(&clean) ? NULL : json_stringn(clean.data, clean.len);
    buf_fini(&clean);
    return string;
}

json_t *json_seconds(uint64_t ns)
{
    return json_real((double)(ns / NSEC_PER_USEC) / 1e6);
}

static json_t *whole(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* Gives the object when everything went into it, else nothing. */
static json_t *complete(json_t *object, int error)
{
    if (!error)
        return object;
    json_decref(object);
    return NULL;
}

static bool known_member(const char *field)
{
    size_t len = strcspn(field, ".");

    for (size_t i = 0; i < ARRAY_LEN(container_members); i++)
        if (strlen(container_members[i]) == len && !strncmp(container_members[i], field, len))
            return true;
    return false;
}

bool json_fields_parse(const char *text, struct json_fields *ret)
{
    struct json_fields fields = JSON_FIELDS_ALL;

    while (*text) {
        size_t len = strcspn(text, ",");
        if (len) {
            if (fields.count == JSON_FIELDS_MAX || len >= JSON_FIELD_SIZE)
                return false;
            memcpy(fields.items[fields.count], text, len);
            if (!known_member(fields.items[fields.count++]))
                return false;
        }
        text += len + (text[len] == ',');
    }
    *ret = fields;
    return true;
}

/* One of the two names contains the other, by whole parts. */
static bool related(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (!*a && (!*b || *b == '.')) || (!*b && *a == '.');
}

static bool wants(const struct json_fields *fields, const char *member)
{
    for (unsigned i = 0; i < fields->count; i++)
        if (related(fields->items[i], member))
            return true;
    return !fields->count;
}

static bool wants_metric(const struct json_fields *fields, const char *part, const char *name)
{
    char member[JSON_FIELD_SIZE];

    return !fields->count ||
           (str_format(member, sizeof member, "sample.%s.%s", part, name) && wants(fields, member));
}

static json_t *metric_value(enum metric_id id, uint64_t value)
{
    double scale = metric_unit_scale(metrics[id].unit);

    return scale > 1 ? json_real((double)value / scale) : whole(value);
}

static json_t *metric_values(const struct json_fields *fields, const struct row *row)
{
    json_t *object = json_object();
    int error = !object;

    for (unsigned i = 0; i < METRIC_N; i++) {
        enum metric_id id = (enum metric_id)i;
        if (row_has(row, id) && wants_metric(fields, "metrics", metrics[id].name))
            error |= json_object_set_new_nocheck(object, metrics[id].name, metric_value(id, row->values[id]));
    }
    return complete(object, error);
}

static json_t *metric_rates(const struct json_fields *fields, const struct row *before, const struct row *row)
{
    json_t *object = json_object();
    int error = !object;

    for (unsigned i = 0; i < METRIC_N; i++) {
        enum metric_id id = (enum metric_id)i;
        if (metrics[id].kind != METRIC_COUNTER || !wants_metric(fields, "rates", metrics[id].name))
            continue;
        double rate = row_rate(before, row, id);
        if (rate >= 0)
            error |= json_object_set_new_nocheck(object, metrics[id].name,
                                                 json_real(rate / metric_unit_scale(metrics[id].unit)));
    }
    return complete(object, error);
}

static json_t *knob_keys(uint32_t bits)
{
    json_t *list = json_array();
    for (unsigned k = 0; k < KNOB_N; k++)
        if (bits >> k & 1)
            json_array_append_new(list, json_string(knobs[k].key));
    return list;
}

static json_t *sample(const struct json_fields *fields, const struct view *view)
{
    if (!view->row.wall_ns)
        return json_null();
    json_t *object = json_object();
    int error = !object || json_object_set_new_nocheck(object, "time", json_seconds(view->row.wall_ns));

    if (wants(fields, "sample.metrics"))
        error |= json_object_set_new_nocheck(object, "metrics", metric_values(fields, &view->row));
    if (wants(fields, "sample.rates"))
        error |=
            json_object_set_new_nocheck(object, "rates", metric_rates(fields, &view->before, &view->row));
    return complete(object, error);
}

static void device_name(const struct json_host *host, uint32_t device, char *name, size_t size)
{
    if (!host->device || !host->device(host->device_context, device, name, size))
        str_format(name, size, "%u:%u", major(device), minor(device));
}

static uint64_t period_of(const struct knob_set *set)
{
    const struct knob_setting *period = knob_set_get(set, KNOB_CPU_PERIOD, 0);

    return period && period->value && period->value != KNOB_UNLIMITED ? period->value : DEFAULT_PERIOD_USEC;
}

/* A stored value in the units of the API. */
static json_t *knob_value(const struct json_host *host, const struct knob_set *set,
                          const struct knob_setting *setting)
{
    if (setting->value == KNOB_UNLIMITED)
        return json_null();
    switch (knobs[setting->knob].unit) {
    case KNOB_CORES:
        return json_real((double)setting->value / (double)period_of(set));
    case KNOB_DURATION:
        return json_real((double)setting->value / 1e6);
    case KNOB_WEIGHT:
        return whole(host->cpu_version == 1 ? knob_shares_to_weight(setting->value) : setting->value);
    case KNOB_BYTES:
    case KNOB_BYTES_RATE:
    case KNOB_COUNT:
    case KNOB_COUNT_RATE:
        return whole(setting->value);
    }
    return NULL;
}

/* The object of one device within "io", made when it is first met. */
static json_t *device_object(const struct json_host *host, json_t *limits, uint32_t device)
{
    char name[DEVICE_NAME_MAX];
    json_t *io = json_object_get(limits, "io");

    if (!io && (json_object_set_new(limits, "io", json_object()) || !(io = json_object_get(limits, "io"))))
        return NULL;
    device_name(host, device, name, sizeof name);
    if (!json_object_get(io, name) && json_object_set_new(io, name, json_object()))
        return NULL;
    return json_object_get(io, name);
}

static json_t *knob_values(const struct json_host *host, const struct knob_set *set)
{
    json_t *object = json_object();
    int error = !object;

    for (uint32_t i = 0; i < set->count && i < KNOB_SET_MAX && !error; i++) {
        const struct knob_setting *setting = &set->settings[i];
        if (setting->knob >= KNOB_N)
            continue;
        const struct knob *knob = &knobs[setting->knob];
        json_t *into = knob->per_device ? device_object(host, object, setting->device) : object;
        const char *dot = strrchr(knob->key, '.');
        const char *key = knob->per_device && dot ? dot + 1 : knob->key;
        error |= json_object_set_new(into, key, knob_value(host, set, setting));
    }
    return complete(object, error);
}

static json_t *flag(const struct view *view, uint32_t bit)
{
    return json_boolean(view->flags & bit);
}

json_t *json_container(const struct json_host *host, const struct json_fields *fields,
                       const struct view *view)
{
    const struct group_identity *who = &view->identity;
    json_t *object = json_object();
    int error = !object;

#define MEMBER(name_, value_)                                                                                \
    if (wants(fields, name_))                                                                                \
    error |= json_object_set_new_nocheck(object, name_, value_)
    MEMBER("path", json_text(who->path));
    MEMBER("name", json_text(who->name));
    MEMBER("runtime", json_text(who->runtime));
    MEMBER("id", json_text(who->id));
    MEMBER("kind", json_string(subject_names[who->kind < SUBJECT_N ? who->kind : SUBJECT_GROUP]));
    MEMBER("born", json_seconds(view->born_wall_ns));
    MEMBER("populated", flag(view, VIEW_POPULATED));
    MEMBER("managed", flag(view, VIEW_MANAGED));
    MEMBER("settling", flag(view, VIEW_SETTLING));
    MEMBER("created", flag(view, VIEW_CREATED));
    MEMBER("io_per_leaf", flag(view, VIEW_PER_LEAF));
    MEMBER("quota", view->quota[0] ? json_text(view->quota) : json_null());
    MEMBER("level", json_string(level_name((enum level)view->level)));
    MEMBER("level_since", view->level_since_wall_ns ? json_seconds(view->level_since_wall_ns) : json_null());
    MEMBER("wanted", knob_values(host, &view->wanted));
    MEMBER("limits", knob_values(host, &view->in_force));
    MEMBER("adopted", knob_keys(view->adopted));
    MEMBER("sample", sample(fields, view));
#undef MEMBER
    return complete(object, error);
}

json_t *json_interface(const struct view *view)
{
    json_t *object = json_object();
    int error = !object;

    error |= json_object_set_new(object, "name", json_text(view->identity.name));
    error |= json_object_set_new(object, "metrics", metric_values(&JSON_FIELDS_ALL, &view->row));
    error |= json_object_set_new(object, "rates", metric_rates(&JSON_FIELDS_ALL, &view->before, &view->row));
    return complete(object, error);
}

json_t *json_metrics(void)
{
    json_t *list = json_array();
    int error = !list;

    for (unsigned i = 0; i < METRIC_N; i++) {
        const struct metric *m = &metrics[i];
        error |= json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b}", "name", m->name,
                                                       "group", m->group, "kind",
                                                       m->kind == METRIC_COUNTER ? "counter" : "gauge",
                                                       "unit", metric_unit_name(m->unit), "help", m->help,
                                                       "archived", m->rrd != NULL, "peak", m->peak));
    }
    list = complete(list, error);
    return list ? json_pack("{s:o}", "metrics", list) : NULL;
}
