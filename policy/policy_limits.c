#include "policy/policy_parts.h"

/* The limits of a quota: rows of the knob table, found by section and key. */

#include "base/str.h"
#include <stdio.h>
#include <string.h>

static bool in_section(const struct knob *knob, const char *section)
{
    size_t len = strlen(section);
    return str_starts(knob->key, section) && knob->key[len] == '.';
}

/* The key of the knob within its section, the whole key of one that has none. */
static const char *key_in_section(const struct knob *knob)
{
    const char *dot = strchr(knob->key, '.');
    return dot ? dot + 1 : knob->key;
}

void limits_add(struct reader *r, enum knob_id knob, const char *device, const struct doc_node *node)
{
    struct quota *quota = &r->draft->quota;
    char why[DIAG_TEXT_MAX], shown[DIAG_KEY_MAX];
    struct policy_setting setting = {.knob = knob, .file = r->doc->file, .line = node->line};
    snprintf(shown, sizeof shown, "%s%s%s", device ? device : "", device ? ": " : "",
             device ? key_in_section(&knobs[knob]) : knobs[knob].key);
    if (node->kind != DOC_SCALAR) {
        ERROR(r, node, "%s: found %s, expected one value", shown,
              node->kind == DOC_LIST ? "a list" : "a map");
        return;
    }
    if (!policy_value_parse(knob, node->text, &setting.value, why, sizeof why)) {
        ERROR(r, node, "%s: %s", shown, why);
        return;
    }
    if (device)
        str_copy(setting.device, sizeof setting.device, device);
    if (quota->setting_count == QUOTA_SETTINGS_MAX) {
        ERROR(r, node, "%s: a quota has at most %d limits", shown, QUOTA_SETTINGS_MAX);
        return;
    }
    r->draft->origins[quota->setting_count].doc = r->doc;
    r->draft->origins[quota->setting_count].node = node;
    quota->settings[quota->setting_count++] = setting;
}

static int find_in_section(const char *section, const char *key)
{
    for (int i = 0; i < KNOB_N; i++)
        if (in_section(&knobs[i], section) && strcmp(key_in_section(&knobs[i]), key) == 0)
            return i;
    return -1;
}

static void section_words(struct words *words, const char *section)
{
    for (unsigned i = 0; i < KNOB_N; i++)
        if (in_section(&knobs[i], section))
            words_add(words, key_in_section(&knobs[i]), strlen(key_in_section(&knobs[i])));
}

/* The limits of a map; @scope names it in errors, @device is NULL where the knobs are not per device. */
static void read_limits(struct reader *r, const struct doc_node *map, const char *scope, const char *section,
                        const char *device)
{
    struct words known = WORDS_NULL;
    section_words(&known, section);
    DOC_FOR_EACH(child, map)
    {
        int knob = find_in_section(section, child->key);
        if (knob < 0)
            policy_refuse_key(r->loader, r->doc, child, scope, &known);
        else
            limits_add(r, (enum knob_id)knob, device, child);
    }
}

static bool parse_switch(const char *text, bool *ret)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes"};
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(text, words[i]) == 0) {
            *ret = i % 2;
            return true;
        }
    return false;
}

static void read_per_leaf(struct reader *r, const struct doc_node *node)
{
    char found[DIAG_KEY_MAX];
    if (node->kind == DOC_SCALAR && parse_switch(node->text, &r->draft->quota.io_per_leaf))
        r->draft->given |= DRAFT_PER_LEAF;
    else
        ERROR(r, node, "io.per_leaf: found %s, expected true or false",
              doc_describe(node, found, sizeof found));
}

static void read_device(struct reader *r, const struct doc_node *node)
{
    const struct policy_setting *fits = NULL;
    if (strlen(node->key) >= sizeof fits->device || strstr(node->key, "//") || str_ends(node->key, "/")) {
        doc_error_at_key(r->doc, r->loader->diags, node,
                         "io: expected a device's path of at most %zu bytes, such as /dev/vda",
                         sizeof fits->device - 1);
        return;
    }
    if (reader_expect(r, node, DOC_MAP, "a map with read, write, read_iops or write_iops"))
        read_limits(r, node, "device", "io", node->key);
}

static const struct key_row io_rows[] = {
    {"per_leaf", read_per_leaf},
};

static void read_devices(struct reader *r, const struct doc_node *map)
{
    struct words known = WORDS_NULL;
    words_add(&known, "/dev/NAME", strlen("/dev/NAME"));
    key_rows_words(&known, io_rows, ARRAY_LEN(io_rows));
    DOC_FOR_EACH(child, map)
    {
        const struct key_row *row = key_row_find(io_rows, ARRAY_LEN(io_rows), child->key);
        if (row)
            row->read(r, child);
        else if (child->key[0] == '/')
            read_device(r, child);
        else if (find_in_section("io", child->key) >= 0)
            doc_error_at_key(r->doc, r->loader->diags, child,
                             "io: '%s' stands under a device, such as /dev/vda: { %s: … }", child->key,
                             child->key);
        else
            policy_refuse_key(r->loader, r->doc, child, "io", &known);
    }
}

/* Whether @key is a section of the knob table, and whether its knobs are per device. */
static bool find_section(const char *key, bool *ret_per_device)
{
    for (unsigned i = 0; i < KNOB_N; i++)
        if (in_section(&knobs[i], key)) {
            *ret_per_device = knobs[i].per_device;
            return true;
        }
    return false;
}

bool limits_read_section(struct reader *r, const struct doc_node *node)
{
    bool per_device = false;
    if (!find_section(node->key, &per_device))
        return false;
    if (!reader_expect(r, node, DOC_MAP, per_device ? "a map of devices" : "a map of limits"))
        return true;
    if (per_device)
        read_devices(r, node);
    else
        read_limits(r, node, node->key, node->key, NULL);
    return true;
}
