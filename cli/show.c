#include "cli/show.h"
#include "base/str.h"
#include "cli/command.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char absent[] = "-";

static const char *none(char *buf)
{
    str_copy(buf, SHOW_MAX, absent);
    return buf;
}

/* The number rounded to what a whole unsigned holds. */
static uint64_t whole(double value)
{
    return value <= 0 ? 0 : value >= 1.8e19 ? UINT64_MAX : (uint64_t)(value + 0.5);
}

/* Three digits at most: what changes every second need not be exact to the byte, and columns stay calm. */
static const char *live(double value, double step, const char *const units[], char buf[static SHOW_MAX])
{
    size_t unit = 0;

    while (value >= 999.5 && units[unit + 1]) {
        value /= step;
        unit++;
    }
    str_format(buf, SHOW_MAX, "%.*f%s",
               unit && value < 9.995   ? 2
               : unit && value < 99.95 ? 1
                                       : 0,
               value, units[unit]);
    return buf;
}

const char *show_bytes(const json_t *value, char buf[static SHOW_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL};

    return json_is_number(value) ? live(json_number_value(value), 1024, units, buf) : none(buf);
}

const char *show_rate(const json_t *bytes_per_s, char buf[static SHOW_MAX])
{
    static const char *const units[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s", NULL};

    return json_is_number(bytes_per_s) ? live(json_number_value(bytes_per_s), 1000, units, buf) : none(buf);
}

const char *show_limit(const json_t *bytes, char buf[static SHOW_MAX])
{
    char text[UNITS_TEXT_MAX];

    if (!json_is_number(bytes))
        return none(buf);
    str_copy(buf, SHOW_MAX, units_format_bytes(whole(json_number_value(bytes)), text));
    return buf;
}

const char *show_cores(const json_t *cores, char buf[static SHOW_MAX])
{
    if (!json_is_number(cores))
        return none(buf);
    str_format(buf, SHOW_MAX, "%.2f", json_number_value(cores));
    return buf;
}

const char *show_count(const json_t *value, char buf[static SHOW_MAX])
{
    if (!json_is_number(value))
        return none(buf);
    str_format(buf, SHOW_MAX, "%.0f", json_number_value(value));
    return buf;
}

const char *show_counted(double count, const char *one, const char *many, char buf[static SHOW_MAX])
{
    double shown = round(count);

    str_format(buf, SHOW_MAX, "%.0f %s", shown, shown > 0.5 && shown < 1.5 ? one : many);
    return buf;
}

/* Three digits, for units.h. */
static double three_digits(double value)
{
    if (value < 1000)
        return value;
    double step = pow(10, floor(log10(value)) - 2);
    return round(value / step) * step;
}

const char *show_seconds(double seconds, char buf[static SHOW_MAX])
{
    char text[UNITS_TEXT_MAX];

    str_copy(buf, SHOW_MAX, units_format_duration(whole(three_digits(seconds * 1e6)) * 1000, text));
    return buf;
}

const char *show_age(double seconds, char buf[static SHOW_MAX])
{
    static const struct {
        unsigned long long size;
        const char *name, *rest;
        unsigned long long rest_size;
    } steps[] = {{86400, "d", "h", 3600}, {3600, "h", "m", 60}, {60, "m", "s", 1}};
    unsigned long long age = whole(seconds);

    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (age >= steps[i].size) {
            str_format(buf, SHOW_MAX, "%llu%s %llu%s", age / steps[i].size, steps[i].name,
                       age % steps[i].size / steps[i].rest_size, steps[i].rest);
            return buf;
        }
    str_format(buf, SHOW_MAX, "%llus", age);
    return buf;
}

const char *show_time(double unix_seconds, char buf[static SHOW_MAX])
{
    time_t when = (time_t)unix_seconds, now = time(NULL);
    struct tm then, today;

    if (!localtime_r(&when, &then) || !localtime_r(&now, &today))
        return none(buf);
    bool same_day = then.tm_year == today.tm_year && then.tm_yday == today.tm_yday;
    if (!strftime(buf, SHOW_MAX, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &then))
        return none(buf);
    return buf;
}

const json_t *show_member(const json_t *object, const char *path)
{
    char part[64];

    while (object && *path) {
        size_t len = strcspn(path, ".");
        str_format(part, sizeof part, "%.*s", (int)len, path);
        object = json_object_get(object, part);
        path += len + (path[len] == '.');
    }
    return object;
}

const char *show_text(const json_t *object, const char *path)
{
    const char *text = json_string_value(show_member(object, path));

    return text ? text : "";
}

double show_number(const json_t *object, const char *path, double fallback)
{
    const json_t *value = show_member(object, path);

    return json_is_number(value) ? json_number_value(value) : fallback;
}

int show_json(json_t *object)
{
    int failed = !object || json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(16));

    json_decref(object);
    if (!failed)
        putchar('\n');
    return failed ? EXIT_FAILED : EXIT_DONE;
}

int show_buf(struct buf *text)
{
    int code = EXIT_DONE;

    if (buf_error(text)) {
        fprintf(stderr, "masu: out of memory\n");
        code = EXIT_FAILED;
    } else if (text->len && fwrite(text->data, 1, text->len, stdout) != text->len) {
        code = EXIT_FAILED;
    }
    buf_fini(text);
    return code;
}

int show_table(struct table *table)
{
    struct buf text = BUF_NULL;

    table_render(table, 0, 0, &text);
    table_fini(table);
    return show_buf(&text);
}
