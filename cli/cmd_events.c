#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/show.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIMIT_DEFAULT = 50, ADDRESS_MAX = 128, WHY_MAX = 512, TRIES_MAX = 10 };

static enum paint paint_of(const json_t *event)
{
    const char *severity = show_text(event, "severity");

    return !strcmp(severity, "page") ? PAINT_RED : !strcmp(severity, "warning") ? PAINT_YELLOW : PAINT_NONE;
}

/* "22:14:03  pressure       /lxc/web  low → medium: some 14 % of the time waiting for memory" */
static void put_event(struct buf *out, const json_t *event)
{
    char when[SHOW_MAX], type[SHOW_MAX];
    const char *path = show_text(event, "path"), *name = show_text(event, "name"),
               *level = show_text(event, "level");

    paint_put(out, PAINT_DIM, show_time(show_number(event, "time", 0), when));
    str_format(type, sizeof type, "  %-12s  ", show_text(event, "type"));
    paint_put(out, paint_of(event), type);
    if (*path) {
        paint_put(out, PAINT_BOLD, *name && name[0] != '/' ? name : path);
        buf_puts(out, "  ");
    }
    if (*level) {
        paint_put(out, PAINT_NONE, show_text(event, "before"));
        buf_puts(out, " → ");
        paint_put(out, paint_of_level(level), level);
        buf_puts(out, ": ");
    }
    paint_put(out, PAINT_NONE, show_text(event, "text"));
    buf_putc(out, '\n');
}

struct follow {
    bool json;
    double last; /* number of the newest event printed */
};

/* Prints one event as soon as it is there. False when nobody listens any more. */
static bool print_event(const struct follow *follow, const json_t *event)
{
    struct buf out = BUF_NULL;

    if (follow->json) {
        json_dumpf(event, stdout, JSON_COMPACT | JSON_REAL_PRECISION(16));
        putchar('\n');
    } else {
        put_event(&out, event);
        show_buf(&out);
    }
    return !fflush(stdout);
}

static bool on_stream(void *owner, const char *type, const char *data)
{
    struct follow *follow = owner;
    bool go_on = true;

    if (strcmp(type, "event") != 0)
        return true;
    json_t *event = json_loads(data, 0, NULL);
    if (show_number(event, "number", 0) > follow->last) {
        follow->last = show_number(event, "number", 0);
        go_on = print_event(follow, event);
    }
    json_decref(event);
    return go_on;
}

static int print_list(const json_t *list, struct follow *follow)
{
    struct buf out = BUF_NULL;
    const json_t *event;
    size_t i;

    json_array_foreach(list, i, event)
    {
        follow->last = show_number(event, "number", follow->last);
        if (follow->json)
            print_event(follow, event);
        else
            put_event(&out, event);
    }
    int code = show_buf(&out);
    fflush(stdout);
    return code;
}

/* Goes on over masud's restarts; what happened meanwhile is heard then. */
static int follow_stream(struct follow *follow)
{
    char address[ADDRESS_MAX], why[WHY_MAX];

    for (unsigned failures = 0; failures < TRIES_MAX; failures++) {
        uint64_t before = (uint64_t)follow->last;
        str_format(address, sizeof address, "/api/v1/stream?ticks=off&after=%llu",
                   (unsigned long long)before);
        if (client_stream(address, on_stream, follow, why, sizeof why))
            return EXIT_DONE;
        if ((uint64_t)follow->last > before)
            failures = 0;
        sleep(1);
    }
    fprintf(stderr, "masu: %s\n", why);
    return EXIT_FAILED;
}

static int run(const struct args *args)
{
    const char *limit_text = args_value(args, &command_events, "limit");
    bool following = args_value(args, &command_events, "follow") != NULL;
    struct follow follow = {.json = args->json};
    char address[ADDRESS_MAX];
    uint64_t limit = LIMIT_DEFAULT;

    if (limit_text && str_to_u64(limit_text, &limit)) {
        fprintf(stderr, "masu events: --limit takes a number\n");
        return EXIT_WRONG_USAGE;
    }
    str_format(address, sizeof address, "/api/v1/events?limit=%llu", (unsigned long long)limit);
    json_t *answer = client_get(address);
    if (!answer)
        return EXIT_FAILED;
    if (args->json && !following)
        return show_json(answer);
    int code = print_list(json_object_get(answer, "events"), &follow);
    json_decref(answer);
    if (code || !following)
        return code;
    return follow_stream(&follow);
}

const struct command command_events = {
    .name = "events",
    .words = "",
    .help =
        "Show what happened: pressure, OOM kills, limits written, drift, births; with --follow as it happens",
    .options = {{"follow", 'f', NULL, "Go on with what happens next; with --json one event a line"},
                {"limit", 'n', "COUNT", "At most so many of the newest, default 50"}},
    .run = run,
};
