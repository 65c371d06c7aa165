#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/containers.h"
#include "model/event.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIMIT_DEFAULT = 50, PATH_SIZE = 1024, WHY_MAX = 512, TRIES_MAX = 10 };

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
    const char *filter; /* "&path=…&type=…" */
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

static int print_list(const json_t *list, struct follow *follow, bool following)
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
    if (!json_array_size(list) && !follow->json && !following)
        buf_puts(&out, "No events.\n");
    int code = show_buf(&out);
    fflush(stdout);
    return code;
}

/* Goes on over masud's restarts; what happened meanwhile is heard then. */
static int follow_stream(struct follow *follow)
{
    char why[WHY_MAX] = "out of memory";

    for (unsigned failures = 0; failures < TRIES_MAX; failures++) {
        uint64_t before = (uint64_t)follow->last;
        struct buf address = BUF_NULL;
        buf_printf(&address, "/api/v1/stream?ticks=off&after=%llu%s", (unsigned long long)before,
                   follow->filter);
        bool enough = !buf_error(&address) && client_stream(address.data, on_stream, follow, why, sizeof why);
        buf_fini(&address);
        if (enough)
            return EXIT_DONE;
        if ((uint64_t)follow->last > before)
            failures = 0;
        sleep(1);
    }
    fprintf(stderr, "masu: %s\n", why);
    return EXIT_FAILED;
}

static int wrong_type(const char *given)
{
    fprintf(stderr,
            "masu events: --type takes one or several, with commas, a '-' before each for all but these, of");
    for (unsigned i = 0; i < EVENT_N; i++)
        fprintf(stderr, "%s %s", i ? "," : "", event_kinds[i].name);
    fprintf(stderr, "; '%s' is not one\n", given);
    return EXIT_WRONG_USAGE;
}

/* A path, a glob over paths and a key of the archive go as they are, so that what is no more is found; a name
 * is looked up, and its path means itself though it may look like a glob. */
static bool put_container(struct buf *filter, const char *given)
{
    char path[PATH_SIZE];
    struct buf glob = BUF_NULL;

    if (!strpbrk(given, "/:*")) {
        if (!container_resolve(given, path, sizeof path))
            return false;
        for (const char *at = path; *at; at++)
            buf_printf(&glob, "%s%c", strchr("\\*?[", *at) ? "\\" : "", *at);
        given = buf_error(&glob) ? path : glob.data;
    }
    buf_puts(filter, "&path=");
    client_put_part(filter, given);
    buf_fini(&glob);
    return true;
}

static int show_events(const struct args *args, uint64_t limit, const char *filter)
{
    bool following = args_value(args, &command_events, "follow") != NULL;
    struct follow follow = {.filter = filter, .json = args->json};
    struct buf address = BUF_NULL;

    if (!limit)
        return follow_stream(&follow);
    buf_printf(&address, "/api/v1/events?limit=%llu%s", (unsigned long long)limit, filter);
    json_t *answer = buf_error(&address) ? NULL : client_get(address.data);
    buf_fini(&address);
    if (!answer)
        return EXIT_FAILED;
    if (args->json && !following)
        return show_json(answer);
    int code = print_list(json_object_get(answer, "events"), &follow, following);
    json_decref(answer);
    return code || !following ? code : follow_stream(&follow);
}

static int run(const struct args *args)
{
    const char *limit_text = args_value(args, &command_events, "limit"),
               *type = args_value(args, &command_events, "type");
    struct buf filter = BUF_NULL;
    uint64_t limit = LIMIT_DEFAULT;
    bool following = args_value(args, &command_events, "follow") != NULL;
    uint32_t types;
    int code = EXIT_FAILED;

    if (limit_text && (str_to_u64(limit_text, &limit) || (!limit && !following))) {
        fprintf(stderr, "masu events: --limit takes a number, 0 only with --follow\n");
        return EXIT_WRONG_USAGE;
    }
    if (type && !event_types_parse(type, &types))
        return wrong_type(type);
    buf_puts(&filter, "");
    if (type)
        buf_printf(&filter, "&type=%s", type);
    if (!args->count || put_container(&filter, args->words[0]))
        code = buf_error(&filter) ? EXIT_FAILED : show_events(args, limit, filter.data);
    buf_fini(&filter);
    return code;
}

const struct command command_events = {
    .name = "events",
    .words = "[CONTAINER]",
    .most = 1,
    .help = "Show what happened, to one container or to all: pressure, OOM kills, limits written, drift, "
            "births; with --follow as it happens",
    .options = {{"follow", 'f', NULL, "Go on with what happens next; with --json one event a line"},
                {"type", 't', "TYPE,...",
                 "Only events of these types, see below; -TYPE,... is all but these"},
                {"limit", 'n', "COUNT", "At most so many of the newest, default 50"}},
    .run = run,
};
