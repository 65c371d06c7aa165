#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/containers.h"
#include "cli/screen.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_COLUMNS = 40, COLUMNS = CONTAINER_CELLS + 2, WHY_MAX = 512, BESIDE_ROWS = 4 };

/* What the table may be sorted by. */
static const struct order {
    const char *name;
    char key;
    const char *first, *second; /* members that are added up; NULL: the name */
} orders[] = {
    {"cpu", 'c', "sample.rates.cpu_usage", NULL},
    {"memory", 'm', "sample.metrics.memory_usage", NULL},
    {"io", 'i', "sample.rates.io_read", "sample.rates.io_write"},
    {"name", 'n', NULL, NULL},
};

struct top {
    const struct order *order;
    bool all;
    struct screen *screen; /* NULL: print once */
};

static const struct order *sorting; /* qsort has no context */

static double weight(const json_t *container)
{
    return show_number(container, sorting->first, 0) +
           (sorting->second ? show_number(container, sorting->second, 0) : 0);
}

static int compare(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;

    if (sorting->first) {
        double l = weight(left), r = weight(right);
        if (l > r || l < r)
            return l > r ? -1 : 1;
    }
    int by_name = strcmp(show_text(left, "name"), show_text(right, "name"));
    return by_name ? by_name : strcmp(show_text(left, "path"), show_text(right, "path"));
}

/* The containers to show, sorted; heap, borrowed members. */
static json_t **choose(const json_t *list, const struct top *top, size_t *ret_count)
{
    json_t **chosen = calloc(json_array_size(list) + 1, sizeof *chosen), *container;
    size_t i, count = 0;
    bool any = top->all;

    if (!chosen)
        return NULL;
    for (int pass = 0; pass < 2 && !count; pass++, any = true) /* when none stands out, all do */
        json_array_foreach(list, i, container) if (!strcmp(show_text(container, "kind"), "group") &&
                                                   (any || container_stands_out(container))) chosen[count++] =
            container;
    sorting = top->order;
    qsort(chosen, count, sizeof *chosen, compare);
    *ret_count = count;
    return chosen;
}

static void put_row(struct table *table, const json_t *container)
{
    char name[256];
    const char *full = show_text(container, "name");

    if (!strcmp(full, "/"))
        full = "host";
    size_t len = strlen(full);
    /* A path's end tells more than its beginning. */
    str_format(name, sizeof name, "%s%s", len > NAME_MAX_COLUMNS ? "…" : "",
               len > NAME_MAX_COLUMNS ? full + len - NAME_MAX_COLUMNS : full);
    table_put(table, PAINT_NONE, name);
    table_put(table, PAINT_DIM, show_text(container, "runtime"));
    container_put_cells(table, container);
}

static void put_host(struct buf *out, const json_t *list, size_t shown, const struct top *top)
{
    char cpu[SHOW_MAX], cores[SHOW_MAX], memory[SHOW_MAX], total[SHOW_MAX], groups[SHOW_MAX];
    char of_cores[2 * SHOW_MAX + 16] = "", of_memory[2 * SHOW_MAX + 16] = "", sorted[2 * SHOW_MAX + 32];
    const json_t *host = json_array_get(list, 0), *values = show_member(host, "sample.metrics");
    bool known = !strcmp(show_text(host, "kind"), "host");

    if (known) {
        str_format(of_cores, sizeof of_cores, "  %s of %s cores",
                   show_cores(show_member(host, "sample.rates.cpu_usage"), cpu),
                   show_count(json_object_get(values, "cpu_limit"), cores));
        str_format(of_memory, sizeof of_memory, ", %s of %s",
                   show_bytes(json_object_get(values, "memory_usage"), memory),
                   show_bytes(json_object_get(values, "memory_limit"), total));
    }
    str_format(sorted, sizeof sorted, "  %zu of %s by %s", shown,
               show_counted((double)(json_array_size(list) - known), "group", "groups", groups),
               top->order->name);
    const struct paint_part parts[] = {
        {PAINT_BOLD, known ? show_text(host, "name") : "masu"},
        {PAINT_NONE, of_cores},
        {PAINT_NONE, of_memory},
        {PAINT_NONE, sorted},
        {PAINT_DIM, top->screen ? "   q quit" : ""},
        {PAINT_DIM, top->screen ? " · c cpu · m memory · i io · n name · a all" : ""},
    };
    paint_line(out, parts, ARRAY_LEN(parts), top->screen ? screen_width(top->screen) : 0);
    buf_puts(out, "\n\n");
}

/* The page ends with a newline, and its first line must not scroll away. */
static size_t rows_that_fit(const struct top *top, size_t count)
{
    unsigned height = top->screen ? screen_height(top->screen) : 0;
    size_t rows = height > BESIDE_ROWS ? height - BESIDE_ROWS : 0;

    return top->screen && rows < count ? rows : count;
}

static int render(const struct top *top, const json_t *list, struct buf *out)
{
    struct table_column columns[COLUMNS] = {{"CONTAINER", false}, {"RUNTIME", false}};
    struct table table;
    size_t count = 0;
    json_t **chosen = choose(list, top, &count);

    if (!chosen)
        return -ENOMEM;
    memcpy(columns + 2, container_columns, sizeof container_columns);
    table_init(&table, columns, COLUMNS);
    size_t shown = rows_that_fit(top, count);
    for (size_t i = 0; i < shown; i++)
        put_row(&table, chosen[i]);
    put_host(out, list, shown, top);
    table_render(&table, 0, top->screen ? screen_width(top->screen) : 0, out);
    table_fini(&table);
    free(chosen);
    return buf_error(out);
}

static int once(const struct top *top)
{
    struct buf out = BUF_NULL;
    json_t *list = client_containers(containers_fields, NULL, 0);

    if (!list)
        return EXIT_FAILED;
    if (render(top, list, &out))
        out.error = -ENOMEM;
    json_decref(list);
    return show_buf(&out);
}

static void refresh(struct top *top)
{
    struct buf out = BUF_NULL;
    char why[WHY_MAX] = "";
    json_t *list = client_containers(containers_fields, why, sizeof why);

    if (!list)
        paint_put(&out, PAINT_RED, why);
    else if (render(top, list, &out))
        out.error = -ENOMEM;
    json_decref(list);
    if (!buf_error(&out))
        screen_show(top->screen, &out);
    buf_fini(&out);
}

/* What a key does. False: quit. */
static bool press(struct top *top, int key)
{
    if (key == 'q' || key == SCREEN_END)
        return false;
    if (key == 'a')
        top->all = !top->all;
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (orders[i].key == key)
            top->order = &orders[i];
    return true;
}

static const struct order *order_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (!strcmp(orders[i].name, name))
            return &orders[i];
    return NULL;
}

static int run(const struct args *args)
{
    const char *sort = args_value(args, &command_top, "sort"),
               *delay_text = args_value(args, &command_top, "delay");
    struct top top = {.order = order_find(sort ? sort : "cpu"),
                      .all = args_value(args, &command_top, "all") != NULL};
    uint64_t delay_ns = UINT64_C(1000000000);

    if (!top.order || (delay_text && (units_parse_duration(delay_text, &delay_ns) || delay_ns < 100000000))) {
        fprintf(stderr, "masu top: %s\n",
                top.order ? "--delay takes a duration such as '2s', at least 100ms"
                          : "--sort takes cpu, memory, io or name");
        return EXIT_WRONG_USAGE;
    }
    if (args->json) {
        json_t *list = client_containers(NULL, NULL, 0);
        return list ? show_json(json_pack("{s:o}", "containers", list)) : EXIT_FAILED;
    }
    top.screen = screen_open();
    if (!top.screen)
        return once(&top);
    do
        refresh(&top);
    while (press(&top, screen_key(top.screen, (int)(delay_ns / 1000000))));
    screen_close(top.screen);
    return EXIT_DONE;
}

const struct command command_top = {
    .name = "top",
    .words = "",
    .help = "Show what containers use beside what they may, live; printed once when standard output is no "
            "terminal",
    .options = {{"sort", 's', "KEY", "Sort by cpu (default), memory, io or name"},
                {"delay", 'd', "TIME", "Refresh after TIME, default 1s"},
                {"all", 'a', NULL, "Show every group, not only containers and what a quota holds"}},
    .run = run,
};
