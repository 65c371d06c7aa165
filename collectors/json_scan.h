#pragma once
/*
 * Looking values up in a runtime's state file. JSON is read by libyaml's parser, event by event: nothing is
 * built, no alias is followed, the text's size bounds the work.
 */

#include "base/attrs.h"
#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH_MAX = 16, JSON_KEY_MAX = 96 };

/* A scalar and where it stands. */
struct json_value {
    unsigned depth; /* objects and arrays around it; deeper than JSON_DEPTH_MAX is not reported */
    const char *keys[JSON_DEPTH_MAX]; /* keys[i]: its key at level i; "" in an array */
    unsigned item;                    /* which element of the outermost array it is in, from 0 */
    const char *text;
};

/* Returns false to stop the scan. */
typedef bool json_fn(void *context, const struct json_value *value);

/* 0 (also when stopped), or -EBADMSG when the text is not well formed as far as it was read, or -ENOMEM. */
MUST_USE int json_scan(const char *text, size_t len, json_fn *fn, void *context);

/* Whether the value stands at @key of the outermost object, or at @key in the object @object. */
bool json_is(const struct json_value *value, const char *key);
bool json_is_in(const struct json_value *value, const char *object, const char *key);
