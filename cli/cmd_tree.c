#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/containers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX_MAX = 512, PART_MAX = 256, TEXT_MAX = 1024, ROOT_MAX = 1024, COLUMNS = CONTAINER_CELLS + 1 };

/* Paths in the order in which a tree is walked: '/' before everything else, so that children follow their
 * parent. */
static int compare(const void *a, const void *b)
{
    const char *left = show_text(*(json_t *const *)a, "path"),
               *right = show_text(*(json_t *const *)b, "path");

    for (; *left && *left == *right; left++)
        right++;
    int l = *left == '/' ? 1 : (unsigned char)*left, r = *right == '/' ? 1 : (unsigned char)*right;
    return l - r;
}

struct tree {
    json_t **groups; /* sorted by path */
    size_t count;
    struct table table;
};

static const char *path_at(const struct tree *tree, size_t i)
{
    return show_text(tree->groups[i], "path");
}

static bool is_below(const char *path, const char *parent, size_t parent_len)
{
    return !strncmp(path, parent, parent_len) && path[parent_len] == '/';
}

/* The end of the groups from @at on whose path is, or is below, the first @len characters of @path. */
static size_t run_end(const struct tree *tree, size_t at, const char *path, size_t len)
{
    while (at < tree->count && !strncmp(path_at(tree, at), path, len) &&
           (!path_at(tree, at)[len] || path_at(tree, at)[len] == '/'))
        at++;
    return at;
}

/* The name of the node; @group is NULL for one that is there only as a parent. */
static void put_name(struct tree *tree, const char *prefix, const char *branch, const char *last_part,
                     const json_t *group)
{
    char text[TEXT_MAX];
    const char *name = show_text(group, "name"), *runtime = show_text(group, "runtime");
    bool known = group && strcmp(runtime, "cgroup") != 0;

    if (known && strcmp(name, last_part) != 0)
        str_format(text, sizeof text, "%s%s%s  %s %s", prefix, branch, last_part, runtime, name);
    else
        str_format(text, sizeof text, "%s%s%s%s%s", prefix, branch, last_part, known ? "  " : "",
                   known ? runtime : "");
    table_put(&tree->table, group ? PAINT_NONE : PAINT_DIM, text);
    if (group)
        container_put_cells(&tree->table, group);
    for (unsigned i = 0; !group && i < CONTAINER_CELLS; i++)
        table_put(&tree->table, PAINT_NONE, "");
}

/* The groups [begin, end), all below the first @depth characters of their paths. */
static void put_level(struct tree *tree, size_t begin, size_t end, size_t depth, const char *prefix)
{
    while (begin < end) {
        char part[PART_MAX], below[PREFIX_MAX];
        const char *path = path_at(tree, begin);
        size_t len = depth + 1 + strcspn(path + depth + 1, "/"), next = run_end(tree, begin, path, len);
        bool itself = !path[len], last = next == end;
        str_format(part, sizeof part, "%.*s", (int)(len - depth - 1), path + depth + 1);
        put_name(tree, prefix, last ? "└─ " : "├─ ", part, itself ? tree->groups[begin] : NULL);
        if (str_format(below, sizeof below, "%s%s", prefix, last ? "   " : "│  "))
            put_level(tree, begin + itself, next, len, below);
        begin = next;
    }
}

static bool wanted(const json_t *group, const char *root, bool all)
{
    const char *path = show_text(group, "path");
    size_t len = strlen(root);

    return !strcmp(show_text(group, "kind"), "group") && path[0] == '/' &&
           (all || container_stands_out(group)) &&
           (!root[1] || !strcmp(path, root) || is_below(path, root, len));
}

/* Fills tree->groups, sorted. False: out of memory. */
static bool choose(struct tree *tree, const json_t *list, const char *root, bool all)
{
    json_t *group;
    size_t i;

    tree->groups = calloc(json_array_size(list) + 1, sizeof *tree->groups);
    for (int pass = 0; tree->groups && pass < 2 && !tree->count;
         pass++, all = true) /* when none stands out, all do */
        json_array_foreach(list, i, group) if (wanted(group, root, all)) tree->groups[tree->count++] = group;
    if (tree->groups)
        qsort(tree->groups, tree->count, sizeof *tree->groups, compare);
    return tree->groups != NULL;
}

static int print_tree(const json_t *list, const char *root, bool all)
{
    struct table_column columns[COLUMNS] = {{"GROUP", false}};
    struct tree tree = {0};
    const json_t *host = json_array_get(list, 0);

    if (!choose(&tree, list, root, all))
        return EXIT_FAILED;
    memcpy(columns + 1, container_columns, sizeof container_columns);
    table_init(&tree.table, columns, COLUMNS);
    put_name(&tree, "", "", "/", strcmp(show_text(host, "kind"), "host") ? NULL : host);
    put_level(&tree, 0, tree.count, 0, "");
    free(tree.groups);
    return show_table(&tree.table);
}

static int run(const struct args *args)
{
    char root[ROOT_MAX] = "/";

    if (args->count && !container_resolve(args->words[0], root, sizeof root))
        return EXIT_FAILED;
    json_t *list = client_containers(args->json ? NULL : containers_fields, NULL, 0);
    if (!list)
        return EXIT_FAILED;
    if (args->json)
        return show_json(json_pack("{s:o}", "containers", list));
    int code = print_tree(list, root, args_value(args, &command_tree, "all") != NULL);
    json_decref(list);
    return code;
}

const struct command command_tree = {
    .name = "tree",
    .words = "[CONTAINER]",
    .most = 1,
    .help = "Show the tree of groups, or what is below one, with what each uses and may",
    .options = {{"all", 'a', NULL, "Show every group, not only containers and what a quota holds"}},
    .run = run,
};
