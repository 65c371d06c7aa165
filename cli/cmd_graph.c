#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/containers.h"
#include "model/metric.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 1024 };

static const char *option(const struct args *args, const char *name)
{
    return args_value(args, &command_graph, name);
}

static bool metric_is_archived(const char *name)
{
    const char *names[METRIC_N + 1];
    unsigned count = 0;
    int id = metric_find(name);

    if (id >= 0 && metrics[id].rrd)
        return true;
    for (unsigned i = 0; i < METRIC_N; i++)
        if (metrics[i].rrd)
            names[count++] = metrics[i].name;
    names[count] = NULL;
    const char *near = str_nearest(name, names);
    fprintf(stderr, "masu graph: the archive keeps no metric '%s'", name);
    if (near)
        fprintf(stderr, "; did you mean '%s'?\n", near);
    else
        fprintf(stderr, "; 'masu help graph' lists them\n");
    return false;
}

static bool is_interface(const char *name)
{
    char why[256];
    json_t *answer = client_try("/api/v1/interfaces", why, sizeof why), *interface;
    bool found = false;
    size_t i;

    json_array_foreach(json_object_get(answer, "interfaces"), i, interface) found |=
        !strcmp(show_text(interface, "name"), name);
    json_decref(answer);
    return found;
}

/* Whether the archive has points of @path, or nobody can tell now: the question itself then says why. */
static bool is_archived(const char *path, const char *metric)
{
    struct buf address = BUF_NULL;
    char why[256];

    buf_puts(&address, "/api/v1/containers/");
    client_put_part(&address, path);
    buf_printf(&address, "/history?metric=%s&last=1m", metric);
    json_t *history = buf_error(&address) ? NULL : client_try(address.data, why, sizeof why);
    bool archived = !history || json_array_size(json_object_get(history, "points")) > 0;
    json_decref(history);
    buf_fini(&address);
    return archived;
}

/* A network interface is graphed by its name. What is gone has history too: "lxc:web" is a key of the
 * archive, and so is the path of what no runtime named.
 */
static bool find_subject(const char *given, const char *metric, char *path, size_t size)
{
    bool plain = given[0] != '/';
    bool known = plain ? strchr(given, ':') || is_interface(given) : is_archived(given, metric);

    return known ? str_copy(path, size, given) : container_resolve(given, path, size);
}

static void put_span(struct buf *address, const struct args *args)
{
    buf_puts(address, "last=");
    client_put_part(address, option(args, "last") ? option(args, "last") : "1h");
}

static void put_size(struct buf *address, const struct args *args)
{
    for (size_t i = 0; i < 2; i++) {
        const char *name = i ? "height" : "width", *value = option(args, name);
        if (value) {
            buf_printf(address, "&%s=", name);
            client_put_part(address, value);
        }
    }
}

static int print_history(const struct args *args, const char *path)
{
    struct buf address = BUF_NULL;

    buf_puts(&address, "/api/v1/containers/");
    client_put_part(&address, path);
    buf_printf(&address, "/history?metric=%s&", args->words[1]);
    put_span(&address, args);
    json_t *history = buf_error(&address) ? NULL : client_get(address.data);
    buf_fini(&address);
    return history ? show_json(history) : EXIT_FAILED;
}

static int write_image(const struct buf *image, const char *file)
{
    FILE *to = strcmp(file, "-") ? fopen(file, "wb") : stdout;
    bool written = to && fwrite(image->data, 1, image->len, to) == image->len;

    if (to && to != stdout && fclose(to))
        written = false;
    if (!written)
        fprintf(stderr, "masu graph: cannot write '%s': %s\n", file, strerror(errno));
    return written ? EXIT_DONE : EXIT_FAILED;
}

static int save_graph(const struct args *args, const char *path, const char *file)
{
    struct buf address = BUF_NULL, image = BUF_NULL;

    buf_puts(&address, "/graph/");
    client_put_part(&address, path);
    buf_printf(&address, "/%s.%s?", args->words[1], str_ends(file, ".svg") ? "svg" : "png");
    put_span(&address, args);
    put_size(&address, args);
    bool got = !buf_error(&address) && client_get_bytes(address.data, &image);
    int code = got ? write_image(&image, file) : EXIT_FAILED;
    buf_fini(&address);
    buf_fini(&image);
    return code;
}

static int run(const struct args *args)
{
    char path[PATH_SIZE];
    const char *file = option(args, "output");
    uint64_t span;

    if (!metric_is_archived(args->words[1]))
        return EXIT_FAILED;
    if (option(args, "last") && units_parse_duration(option(args, "last"), &span)) {
        fprintf(stderr, "masu graph: --last takes a duration such as '1h', '30m' or '7d'\n");
        return EXIT_WRONG_USAGE;
    }
    if (!args->json && !file && isatty(STDOUT_FILENO)) {
        fprintf(stderr, "masu graph: say where the image goes: --output FILE.png or FILE.svg\n");
        return EXIT_WRONG_USAGE;
    }
    if (file && strcmp(file, "-") != 0 && !str_ends(file, ".png") && !str_ends(file, ".svg")) {
        fprintf(stderr,
                "masu graph: --output takes a file that ends in .png or .svg, or - for standard output\n");
        return EXIT_WRONG_USAGE;
    }
    if (!find_subject(args->words[0], args->words[1], path, sizeof path))
        return EXIT_FAILED;
    return args->json ? print_history(args, path) : save_graph(args, path, file ? file : "-");
}

const struct command command_graph = {
    .name = "graph",
    .words = "CONTAINER METRIC",
    .least = 2,
    .most = 2,
    .help =
        "Draw the history of one metric of a container, its limit as a line; with --json print the points",
    .options = {{"last", 'l', "TIME", "How far back, default 1h"},
                {"output", 'o', "FILE", "Where the image goes, .png or .svg; - is standard output"},
                {"width", 0, "PIXELS", "Width of the drawing, default 800"},
                {"height", 0, "PIXELS", "Height of the drawing, default 240"}},
    .run = run,
};
