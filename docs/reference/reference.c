/* Prints the reference pages from the tables: what a row says is what the page says. usage: reference
 * metrics|knobs|settings|events */

#include "base/attrs.h"
#include "model/event.h"
#include "model/knob.h"
#include "model/metric.h"
#include "model/setting.h"

#include <stdio.h>
#include <string.h>

static const char *source_text(const struct metric_source *source, char *buf, size_t size)
{
    switch (source->form) {
    case METRIC_FORM_NONE:
        return "–";
    case METRIC_FORM_AGENT:
        return "masu";
    case METRIC_FORM_LINK:
        snprintf(buf, size, "rtnetlink %s", source->key);
        return buf;
    case METRIC_FORM_VALUE:
        snprintf(buf, size, "`%s`", source->file);
        return buf;
    case METRIC_FORM_FLAT:
    case METRIC_FORM_NESTED:
    case METRIC_FORM_BLKIO:
    case METRIC_FORM_PSI:
        snprintf(buf, size, "`%s` %s", source->file, source->key);
        return buf;
    }
    return "";
}

static void print_metrics(void)
{
    char name[128], v1[128], v2[128];
    printf(
        "# Metrics\n\nOne row each of `model/metric.def`. Counters are raw; the archive keeps their rates, "
        "averages over its step and, where marked, "
        "the\nhighest within it. What a kernel does not offer is absent, not zero.\n\n"
        "| metric | OpenMetrics | kind | archive | v1 | v2 | what it is |\n|---|---|---|---|---|---|---|\n");
    for (unsigned i = 0; i < METRIC_N; i++) {
        const struct metric *m = &metrics[i];
        printf("| %s | `%s` | %s | %s | %s | %s | %s |\n", m->name,
               metric_openmetrics_name((enum metric_id)i, "masu_container_", name, sizeof name),
               m->kind == METRIC_COUNTER ? "counter" : "gauge",
               !m->rrd   ? "–"
               : m->peak ? "average, peak"
                         : "average",
               source_text(&m->v1, v1, sizeof v1), source_text(&m->v2, v2, sizeof v2), m->help);
    }
}

static const char *unit_example(enum knob_unit unit)
{
    switch (unit) {
    case KNOB_CORES:
        return "`1.5`, `150%`";
    case KNOB_DURATION:
        return "`100ms`";
    case KNOB_WEIGHT:
        return "`100` (1–10000)";
    case KNOB_BYTES:
        return "`2GiB`";
    case KNOB_BYTES_RATE:
        return "`50MB/s`";
    case KNOB_COUNT:
        return "`200`";
    case KNOB_COUNT_RATE:
        return "`500` per second";
    }
    return "";
}

static const char *nesting_text(enum knob_nesting nesting)
{
    switch (nesting) {
    case KNOB_NEST_MIN:
        return "least of the ancestors";
    case KNOB_NEST_LEAF:
        return "per leaf";
    case KNOB_NEST_NONE:
        return "of the group alone";
    }
    return "";
}

static void print_file(const struct knob_file *file)
{
    if (file->form == KNOB_FORM_NONE)
        printf("refused: %s", file->refusal);
    else
        printf("`%s`%s%s, %s", file->file, file->key ? " " : "", file->key ? file->key : "",
               nesting_text(file->nesting));
}

static void print_knobs(void)
{
    printf("# Limits\n\nOne row each of `model/knob.def`. What this host cannot enforce is refused with its "
           "reason, never dropped.\n\n"
           "| key | written | v1 | v2 | what it does |\n|---|---|---|---|---|\n");
    for (unsigned i = 0; i < KNOB_N; i++) {
        const struct knob *k = &knobs[i];
        const char *dot = strchr(k->key, '.');
        if (k->per_device)
            printf("| io.DEVICE%s | ", dot);
        else
            printf("| %s | ", k->key);
        printf("%s%s | ", unit_example(k->unit), k->accepts_unlimited ? ", `unlimited`" : "");
        print_file(&k->v1);
        printf(" | ");
        print_file(&k->v2);
        printf(" | %s |\n", k->help);
    }
}

static void print_settings(void)
{
    printf("# Settings\n\nOne row each of `model/setting.def`: the keys of masu.yaml.\n\n| key | default | "
           "what it does |\n|---|---|---|\n");
    for (unsigned i = 0; i < settings_count; i++)
        printf("| %s | %s%s%s | %s |\n", settings_table[i].key, settings_table[i].fallback[0] ? "`" : "",
               settings_table[i].fallback, settings_table[i].fallback[0] ? "`" : "", settings_table[i].help);
}

static void print_events(void)
{
    static const char *const severities[] = {
        [EVENT_INFO] = "info", [EVENT_WARNING] = "warning", [EVENT_PAGE] = "page"};
    printf("# Events\n\nOne row each of `model/event.def`.\n\n| event | severity | when |\n|---|---|---|\n");
    for (unsigned i = 0; i < EVENT_N; i++)
        printf("| %s | %s | %s |\n", event_kinds[i].name, severities[event_kinds[i].severity],
               event_kinds[i].help);
}

static const struct {
    const char *name;
    void (*print)(void);
} pages[] = {
    {"events", print_events},
    {"knobs", print_knobs},
    {"metrics", print_metrics},
    {"settings", print_settings},
};

int main(int argc, char **argv)
{
    for (unsigned i = 0; argc == 2 && i < ARRAY_LEN(pages); i++)
        if (strcmp(argv[1], pages[i].name) == 0) {
            pages[i].print();
            return 0;
        }
    fprintf(stderr, "usage: reference events|knobs|metrics|settings\n");
    return 64;
}
