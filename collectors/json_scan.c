#include "collectors/json_scan.h"

#include "base/str.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

/* One object or array that is open. */
struct level {
    bool object;
    bool expects_key; /* of an object: the next node is a key */
    char key[JSON_KEY_MAX];
};

struct scan {
    json_fn *fn;
    void *context;
    unsigned depth; /* open levels, those beyond JSON_DEPTH_MAX counted only */
    unsigned item;
    struct level levels[JSON_DEPTH_MAX];
};

static struct level *innermost(struct scan *s)
{
    return s->depth > 0 && s->depth <= JSON_DEPTH_MAX ? &s->levels[s->depth - 1] : NULL;
}

/* A node that is a value has ended: what follows it in its level? */
static void value_done(struct scan *s)
{
    struct level *level = innermost(s);
    if (level && level->object)
        level->expects_key = true;
    else if (level && s->depth == 1)
        s->item++;
}

static void level_open(struct scan *s, bool object)
{
    s->depth++;
    struct level *level = innermost(s);
    if (level)
        *level = (struct level){.object = object, .expects_key = object};
}

static bool scalar(struct scan *s, const char *text)
{
    struct level *level = innermost(s);
    if (level && level->object && level->expects_key) {
        str_copy(level->key, sizeof level->key, text);
        level->expects_key = false;
        return true;
    }
    bool more = true;
    if (s->depth <= JSON_DEPTH_MAX) {
        struct json_value value = {.depth = s->depth, .item = s->item, .text = text};
        for (unsigned i = 0; i < s->depth; i++)
            value.keys[i] = s->levels[i].key;
        more = s->fn(s->context, &value);
    }
    value_done(s);
    return more;
}

/* False at the end of the text or when the reader has enough. */
static bool take(struct scan *s, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        level_open(s, event->type == YAML_MAPPING_START_EVENT);
        return true;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        s->depth--;
        value_done(s);
        return true;
    case YAML_SCALAR_EVENT:
        return scalar(s, (const char *)event->data.scalar.value);
    case YAML_ALIAS_EVENT: /* JSON has none; not followed */
        return scalar(s, "");
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_START_EVENT:
        return true;
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return false;
    }
    return false;
}

int json_scan(const char *text, size_t len, json_fn *fn, void *context)
{
    struct scan s = {.fn = fn, .context = context};
    yaml_parser_t parser;
    yaml_event_t event;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    int error = 0;
    bool more = true;
    while (more && !error) {
        if (!yaml_parser_parse(&parser, &event)) {
            error = parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EBADMSG;
            break;
        }
        more = take(&s, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return error;
}

bool json_is(const struct json_value *value, const char *key)
{
    return value->depth == 1 && strcmp(value->keys[0], key) == 0;
}

bool json_is_in(const struct json_value *value, const char *object, const char *key)
{
    return value->depth == 2 && strcmp(value->keys[0], object) == 0 && strcmp(value->keys[1], key) == 0;
}
