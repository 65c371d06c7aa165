#include "cli/containers.h"
#include "base/str.h"
#include "cli/client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char containers_fields[] =
    "path,name,runtime,kind,managed,populated,settling,quota,level,sample."
    "metrics.cpu_limit,sample.metrics.memory_usage,"
    "sample.metrics.memory_limit,sample.metrics.memory_active_file,"
    "sample.metrics.memory_inactive_file,sample.metrics.pids,sample.rates.cpu_usage,"
    "sample.rates.cpu_periods,sample.rates."
    "cpu_throttled_periods,sample.rates.io_read,sample.rates.io_write";

const struct table_column container_columns[CONTAINER_CELLS] = {
    {"CPU", true},   {"LIMIT", true},     {"THROTTLED", true}, {"MEMORY", true},
    {"LIMIT", true}, {"USED", true},      {"READ", true},      {"WRITE", true},
    {"TASKS", true}, {"PRESSURE", false}, {"QUOTA", false},
};

enum { PERCENT = 100, TIGHT_PERCENT = 80, FULL_PERCENT = 95 };

bool container_stands_out(const json_t *container)
{
    return json_is_true(json_object_get(container, "managed")) ||
           strcmp(show_text(container, "runtime"), "cgroup") != 0;
}

/* @part is shown, @firm of it gives the colour. */
static void put_share(struct table *table, double part, double firm, double of)
{
    double percent = of > 0 ? part / of * PERCENT : -1, firm_percent = of > 0 ? firm / of * PERCENT : -1;

    if (percent < 0)
        table_put(table, PAINT_DIM, "-");
    else
        table_printf(table,
                     firm_percent >= FULL_PERCENT    ? PAINT_RED
                     : firm_percent >= TIGHT_PERCENT ? PAINT_YELLOW
                                                     : PAINT_NONE,
                     "%.0f%%", percent);
}

double container_firm_memory(const json_t *container)
{
    const json_t *values = show_member(container, "sample.metrics");
    double used = show_number(values, "memory_usage", -1);

    if (!strcmp(show_text(container, "kind"), "host"))
        return used;
    double cache =
        show_number(values, "memory_active_file", 0) + show_number(values, "memory_inactive_file", 0);
    return used > cache ? used - cache : used < 0 ? used : 0;
}

static void put_shown(struct table *table, const char *text)
{
    table_put(table, strcmp(text, "-") != 0 ? PAINT_NONE : PAINT_DIM, text);
}

void container_put_cells(struct table *table, const json_t *container)
{
    char text[SHOW_MAX];
    const json_t *values = show_member(container, "sample.metrics"),
                 *rates = show_member(container, "sample.rates");
    const char *level = show_text(container, "level"), *quota = show_text(container, "quota");
    double periods = show_number(rates, "cpu_periods", 0),
           throttled = show_number(rates, "cpu_throttled_periods", -1);

    put_shown(table, show_cores(json_object_get(rates, "cpu_usage"), text));
    put_shown(table, show_cores(json_object_get(values, "cpu_limit"), text));
    put_share(table, throttled, throttled, periods);
    put_shown(table, show_bytes(json_object_get(values, "memory_usage"), text));
    put_shown(table, show_limit(json_object_get(values, "memory_limit"), text));
    put_share(table, show_number(values, "memory_usage", -1), container_firm_memory(container),
              show_number(values, "memory_limit", 0));
    put_shown(table, show_rate(json_object_get(rates, "io_read"), text));
    put_shown(table, show_rate(json_object_get(rates, "io_write"), text));
    put_shown(table, show_count(json_object_get(values, "pids"), text));
    table_put(table, paint_of_level(level), *level ? level : "-");
    put_shown(table, *quota ? quota : "-");
}

/* A name fits when it is the container's, and less well when it is the last part of its path. */
static bool fits(const json_t *container, const char *given, bool by_last_part)
{
    const char *slash = strrchr(show_text(container, "path"), '/');

    return by_last_part ? slash && !strcmp(slash + 1, given) : !strcmp(show_text(container, "name"), given);
}

static void say_several(const json_t *list, const char *given, bool by_last_part)
{
    const json_t *container;
    size_t i;

    fprintf(stderr, "masu: several containers are called '%s'; say which by its path:\n", given);
    json_array_foreach(list, i, container) if (fits(container, given, by_last_part))
        fprintf(stderr, "  %s (%s)\n", show_text(container, "path"), show_text(container, "runtime"));
}

static void say_unknown(const json_t *list, const char *given)
{
    const char **names = calloc(json_array_size(list) * 2 + 1, sizeof *names);
    const json_t *container;
    size_t i, count = 0;

    if (names)
        json_array_foreach(list, i, container)
        {
            names[count++] = show_text(container, "name");
            names[count++] = show_text(container, "path");
        }
    const char *near = names ? str_nearest(given, names) : NULL;
    fprintf(stderr, "masu: there is no container '%s'%s%s%s\n", given, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
    free(names);
}

/* How many fit; *ret_path is the path of the last of them, borrowed. */
static unsigned count_fitting(const json_t *list, const char *given, bool by_last_part, const char **ret_path)
{
    const json_t *container;
    unsigned count = 0;
    size_t i;

    json_array_foreach(list, i, container) if (fits(container, given, by_last_part))
    {
        *ret_path = show_text(container, "path");
        count++;
    }
    return count;
}

static const char *find_path(const json_t *list, const char *given)
{
    const json_t *container;
    size_t i;

    json_array_foreach(list, i, container) if (!strcmp(show_text(container, "path"), given)) return show_text(
        container, "path");
    return NULL;
}

bool container_resolve(const char *given, char *ret_path, size_t size)
{
    json_t *list = client_containers("path,name,runtime", NULL, 0);
    bool by_last_part = false;

    if (!list)
        return false;
    const char *path = find_path(list, given);
    unsigned count = path ? 1 : count_fitting(list, given, false, &path);
    if (!count && !strchr(given, '/')) {
        by_last_part = true;
        count = count_fitting(list, given, true, &path);
    }
    bool found = count == 1 && str_copy(ret_path, size, path);
    if (count > 1)
        say_several(list, given, by_last_part);
    else if (!found)
        say_unknown(list, given);
    json_decref(list);
    return found;
}
