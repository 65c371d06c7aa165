#include "policy/settings.h"

/*
 * masu.yaml to struct settings: each leaf of the document is a row of the settings table under its keys
 * joined by '.'.
 */

#include "base/str.h"
#include "policy/doc.h"
#include "policy/words.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

struct settings_reader {
    const struct doc *doc;
    struct diags *diags;
    struct settings *settings;
    char directory[SETTING_PATH_MAX]; /* of the file: what relative paths of policies are resolved against */
};

enum { KEY_MAX = 96 };

static const struct setting *find_setting(const char *key)
{
    for (unsigned i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].key, key) == 0)
            return &settings_table[i];
    return NULL;
}

/* The parts that may follow @prefix ("" or "paths."). */
static void words_below(struct words *words, const char *prefix)
{
    size_t len = strlen(prefix);
    for (unsigned i = 0; i < settings_count; i++) {
        const char *key = settings_table[i].key;
        if (str_starts(key, prefix))
            words_add(words, key + len, strcspn(key + len, "."));
    }
}

static bool is_list(const struct setting *setting)
{
    return setting->type == SETTING_PATHS || setting->type == SETTING_GLOBS;
}

static void read_value(struct settings_reader *r, const struct setting *setting, const struct doc_node *node)
{
    char why[DIAG_TEXT_MAX], found[128], path[SETTING_PATH_MAX];
    const char *text = node->text;
    doc_describe(node, found, sizeof found);
    if (node->kind != DOC_SCALAR) {
        doc_error(r->doc, r->diags, node, "%s: found %s, expected one value%s", setting->key, found,
                  is_list(setting) ? " in each place of the list" : "");
        return;
    }
    if (setting->type == SETTING_PATHS && text[0] && text[0] != '/') {
        while (str_starts(text, "./"))
            text += 2;
        if (!str_format(path, sizeof path, "%s/%s", r->directory, text)) {
            doc_error(r->doc, r->diags, node, "%s: found %s, the path is too long", setting->key, found);
            return;
        }
        text = path;
    }
    if (setting_parse(setting, text, r->settings, why, sizeof why) < 0)
        doc_error(r->doc, r->diags, node, "%s: found %s, %s", setting->key, found, why);
}

static void read_setting(struct settings_reader *r, const struct setting *setting,
                         const struct doc_node *node)
{
    if (!is_list(setting) || node->kind == DOC_SCALAR) {
        read_value(r, setting, node);
        return;
    }
    if (node->kind == DOC_MAP) {
        doc_error(r->doc, r->diags, node, "%s: found a map, expected a list", setting->key);
        return;
    }
    DOC_FOR_EACH(child, node)
    read_value(r, setting, child);
}

static void report_key(struct settings_reader *r, const struct doc_node *node, const char *prefix)
{
    struct words known = WORDS_NULL;
    char found[128], list[384];
    words_below(&known, prefix);
    const char *nearest = str_nearest(node->key, known.items);
    const char *dot = strchr(node->key, '.');
    doc_quote(node->key, found, sizeof found);
    if (!prefix[0] && dot && find_setting(node->key))
        doc_error_at_key(r->doc, r->diags, node, "unknown key %s, write it as %.*s: { %s: … }", found,
                         (int)(dot - node->key), node->key, dot + 1);
    else if (nearest)
        doc_error_at_key(r->doc, r->diags, node, "unknown key %s, did you mean '%s'?", found, nearest);
    else
        doc_error_at_key(r->doc, r->diags, node, "unknown key %s, expected %s", found,
                         words_join(&known, " or ", list, sizeof list));
}

static void read_map(struct settings_reader *r, const struct doc_node *map, const char *prefix)
{
    DOC_FOR_EACH(child, map)
    {
        char key[KEY_MAX], below[KEY_MAX], found[128], list[384];
        struct words known = WORDS_NULL;
        bool fits = str_format(key, sizeof key, "%s%s", prefix, child->key) &&
                    str_format(below, sizeof below, "%s.", key) && !strchr(child->key, '.');
        const struct setting *setting = fits ? find_setting(key) : NULL;
        if (fits && !setting)
            words_below(&known, below);
        if (setting)
            read_setting(r, setting, child);
        else if (known.count == 0)
            report_key(r, child, prefix);
        else if (child->kind == DOC_MAP)
            read_map(r, child, below);
        else
            doc_error(r->doc, r->diags, child, "%s: found %s, expected a map with %s", key,
                      doc_describe(child, found, sizeof found),
                      words_join(&known, " or ", list, sizeof list));
    }
}

/* The directory of @path, absolute. */
static bool find_directory(const char *path, char directory[static SETTING_PATH_MAX])
{
    char here[SETTING_PATH_MAX] = "";
    const char *slash = strrchr(path, '/');
    if (path[0] != '/' && !getcwd(here, sizeof here))
        return false;
    return str_format(directory, SETTING_PATH_MAX, "%s%s%.*s", here, path[0] != '/' && slash ? "/" : "",
                      slash ? (int)(slash - path) : 0, path);
}

int settings_load(const char *path, struct settings *ret, struct diags *diags)
{
    struct settings settings;
    struct doc doc = DOC_NULL;
    struct settings_reader r = {.doc = &doc, .diags = diags, .settings = &settings};
    size_t before = diags->count + diags->dropped;
    char found[128];
    settings_init(&settings);
    int result = doc_load(path, &doc, diags);
    if (result < 0)
        return result;
    const char *slash = strrchr(path, '/');
    if (!find_directory(path, r.directory) || !str_format(settings.config_path, sizeof settings.config_path,
                                                          "%s/%s", r.directory, slash ? slash + 1 : path))
        doc_error_at(&doc, diags, 0, 0, "the path of this file is longer than %d bytes",
                     SETTING_PATH_MAX - 1);
    else if (doc.root && doc.root->kind != DOC_MAP)
        doc_error(&doc, diags, doc.root, "found %s, expected a map of settings",
                  doc_describe(doc.root, found, sizeof found));
    else if (doc.root)
        read_map(&r, doc.root, "");
    doc_fini(&doc);
    if (diags->count + diags->dropped > before)
        return -EINVAL;
    *ret = settings;
    return 0;
}
