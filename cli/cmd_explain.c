#include "cli/client.h"
#include "cli/command.h"
#include "cli/containers.h"
#include <stdio.h>
#include <string.h>

static int print_text(const json_t *answer)
{
    struct buf out = BUF_NULL;

    for (const char *line = show_text(answer, "text"); *line;) {
        char text[1024];
        size_t len = strcspn(line, "\n");
        snprintf(text, sizeof text, "%.*s", (int)len, line);
        paint_put(&out, line[0] == '*' ? PAINT_BOLD : PAINT_NONE, text);
        buf_putc(&out, '\n');
        line += len + (line[len] == '\n');
    }
    return show_buf(&out);
}

static int run(const struct args *args)
{
    char path[1024];
    struct buf address = BUF_NULL;

    if (!container_resolve(args->words[0], path, sizeof path))
        return EXIT_FAILED;
    buf_puts(&address, "/api/v1/containers/");
    client_put_part(&address, path);
    buf_puts(&address, "/explain");
    json_t *answer = buf_error(&address) ? NULL : client_get(address.data);
    buf_fini(&address);
    if (!answer)
        return EXIT_FAILED;
    int code = args->json ? show_json(json_incref(answer)) : print_text(answer);
    json_decref(answer);
    return code;
}

const struct command command_explain = {
    .name = "explain",
    .words = "CONTAINER",
    .least = 1,
    .most = 1,
    .help = "Say which quota holds for a container, and why not the others",
    .run = run,
};
