/*
 * The texts of /proc and cgroupfs change their numbers every tick and their layout almost never: it changes
 * when a kernel is booted or a controller is switched on. So a flat file is cut into lines (memchr, about 5
 * ns each), and every key is looked for on the line where it stood last time. Only when a compare fails, or
 * the number of lines differs, is the layout learnt anew, in one pass over all lines and keys.
 *
 * The other forms have a few short lines, or one per block device, and are parsed as they stand.
 */

#include "collectors/parse.h"

#include <string.h>

#define VALUE_UNLIMITED (UINT64_C(1) << 62)

struct lines {
    unsigned count;
    const char *end;
    const char *starts[PARSE_LINES_MAX];
};

static const char *line_end(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline ? newline : end;
}

static const char *next_line(const char *at, const char *end)
{
    at = line_end(at, end);
    return at < end ? at + 1 : end;
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

static const char *word_end(const char *at, const char *end)
{
    while (at < end && *at != ' ' && *at != '\t')
        at++;
    return at;
}

/* Digits from *at on; *at moves behind them. False when there is none or the number does not fit. */
static bool take_number(const char **at, const char *end, uint64_t *ret)
{
    const char *p = *at;
    uint64_t value = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    }
    if (p == *at)
        return false;
    *at = p;
    *ret = value;
    return true;
}

/* "MAJ:MIN" filling exactly [at, end). */
static bool is_device(const char *at, const char *end, uint32_t *ret_major, uint32_t *ret_minor)
{
    uint64_t major, minor;
    if (!take_number(&at, end, &major) || at == end || *at++ != ':' || !take_number(&at, end, &minor) ||
        at != end)
        return false;
    *ret_major = (uint32_t)major;
    *ret_minor = (uint32_t)minor;
    return true;
}

static bool device_counted(const struct parse_keys *keys, uint32_t major, uint32_t minor)
{
    return !keys->counted || keys->counted(keys->context, major, minor);
}

/* The key that fills exactly [at, end), looked for from @guess on; keys->count when it is none. */
static unsigned key_find(const struct parse_keys *keys, const char *at, const char *end, unsigned guess)
{
    for (unsigned i = 0; i < keys->count; i++) {
        unsigned k = (guess + i) % keys->count;
        if (keys->items[k].len == (size_t)(end - at) &&
            memcmp(keys->items[k].text, at, keys->items[k].len) == 0)
            return k;
    }
    return keys->count;
}

static void lines_cut(const char *text, size_t len, struct lines *ret)
{
    const char *at = text;
    ret->count = 0;
    ret->end = text + len;
    while (at < ret->end && ret->count < PARSE_LINES_MAX) {
        ret->starts[ret->count++] = at;
        at = next_line(at, ret->end);
    }
}

static bool key_at(const char *at, const char *end, const struct parse_key *key)
{
    return (size_t)(end - at) > key->len && memcmp(at, key->text, key->len) == 0 &&
           (at[key->len] == ' ' || at[key->len] == '\t');
}

static bool layout_holds(const struct lines *lines, const struct parse_keys *keys, const uint16_t *layout)
{
    if (layout[keys->count] != lines->count)
        return false;
    for (unsigned i = 0; i < keys->count; i++) {
        if (layout[i] == PARSE_LINE_NONE)
            continue;
        if (layout[i] >= lines->count || !key_at(lines->starts[layout[i]], lines->end, &keys->items[i]))
            return false;
    }
    return true;
}

static void layout_learn(const struct lines *lines, const struct parse_keys *keys, uint16_t *layout)
{
    for (unsigned i = 0; i < keys->count; i++)
        layout[i] = PARSE_LINE_NONE;
    layout[keys->count] = (uint16_t)lines->count;
    for (unsigned line = 0; line < lines->count; line++)
        for (unsigned i = 0; i < keys->count; i++)
            if (layout[i] == PARSE_LINE_NONE && key_at(lines->starts[line], lines->end, &keys->items[i]))
                layout[i] = (uint16_t)line;
}

uint64_t parse_flat(const char *text, size_t len, const struct parse_keys *keys, uint16_t *layout,
                    uint64_t *ret_values)
{
    struct lines lines;
    lines_cut(text, len, &lines);
    if (!layout_holds(&lines, keys, layout))
        layout_learn(&lines, keys, layout);
    uint64_t found = 0;
    for (unsigned i = 0; i < keys->count; i++) {
        if (layout[i] == PARSE_LINE_NONE)
            continue;
        const char *at = skip_blanks(lines.starts[layout[i]] + keys->items[i].len, lines.end);
        if (take_number(&at, lines.end, &ret_values[i]))
            found |= UINT64_C(1) << i;
    }
    return found;
}

uint64_t parse_value(const char *text, size_t len, uint64_t *ret_values)
{
    const char *at = text;
    uint64_t value;
    if (!take_number(&at, text + len, &value) || (at < text + len && *at != '\n') || value >= VALUE_UNLIMITED)
        return 0;
    ret_values[0] = value;
    return 1;
}

/* Adds one device's number; the first one of a key sets it. */
static void sum_add(uint64_t *found, uint64_t *values, unsigned key, uint64_t value)
{
    values[key] = (*found >> key) & 1 ? values[key] + value : value;
    *found |= UINT64_C(1) << key;
}

struct nested_state {
    uint64_t found;
    bool any;     /* some key=value was seen */
    bool counted; /* the device of the words that follow is counted */
    unsigned guess;
};

static void nested_word(struct nested_state *state, const struct parse_keys *keys, const char *at,
                        const char *end, uint64_t *ret_values)
{
    const char *equals = memchr(at, '=', (size_t)(end - at));
    uint32_t major, minor;
    if (!equals) {
        if (is_device(at, end, &major, &minor))
            state->counted = device_counted(keys, major, minor);
        return;
    }
    state->any = true;
    unsigned key = key_find(keys, at, equals, state->guess);
    if (key == keys->count)
        return;
    state->guess = key + 1;
    uint64_t value = 0;
    const char *digits = equals + 1;
    if (take_number(&digits, end, &value) && digits == end)
        sum_add(&state->found, ret_values, key, state->counted ? value : 0);
}

/* Word by word rather than line by line: kernels from 5.12 to 6.1 could print several bare "7:7 " before one
 * device's numbers. */
uint64_t parse_nested(const char *text, size_t len, const struct parse_keys *keys, uint64_t *ret_values)
{
    struct nested_state state = {.counted = false};
    const char *end = text + len;
    for (const char *line = text; line < end; line = next_line(line, end)) {
        const char *stop = line_end(line, end);
        state.counted = false;
        for (const char *at = skip_blanks(line, stop); at < stop; at = skip_blanks(word_end(at, stop), stop))
            nested_word(&state, keys, at, word_end(at, stop), ret_values);
    }
    if (state.any)
        return state.found;
    memset(ret_values, 0, keys->count * sizeof ret_values[0]);
    return keys->count == PARSE_KEYS_MAX ? UINT64_MAX : (UINT64_C(1) << keys->count) - 1;
}

uint64_t parse_blkio(const char *text, size_t len, const struct parse_keys *keys, uint64_t *ret_values)
{
    uint64_t found = 0;
    unsigned guess = 0;
    const char *end = text + len;
    for (const char *line = text; line < end; line = next_line(line, end)) {
        const char *stop = line_end(line, end);
        const char *device_end = word_end(line, stop);
        uint32_t major, minor;
        if (!is_device(line, device_end, &major, &minor))
            continue; /* "Total 0", which stands alone when nothing is counted */
        const char *name = skip_blanks(device_end, stop);
        const char *name_end = word_end(name, stop);
        const char *digits = skip_blanks(name_end, stop);
        unsigned key = key_find(keys, name, name_end, guess);
        uint64_t value;
        if (key == keys->count || !take_number(&digits, stop, &value))
            continue;
        guess = key + 1;
        sum_add(&found, ret_values, key, device_counted(keys, major, minor) ? value : 0);
    }
    return found;
}

uint64_t parse_psi(const char *text, size_t len, const struct parse_keys *keys, uint64_t *ret_values)
{
    static const char total[] = "total";
    uint64_t found = 0;
    const char *end = text + len;
    for (const char *line = text; line < end; line = next_line(line, end)) {
        const char *stop = line_end(line, end);
        const char *name_end = word_end(line, stop);
        unsigned key = key_find(keys, line, name_end, 0);
        const char *equals = memrchr(name_end, '=', (size_t)(stop - name_end));
        if (key == keys->count || !equals || equals - name_end < (ptrdiff_t)sizeof total ||
            memcmp(equals - (sizeof total - 1), total, sizeof total - 1) != 0)
            continue;
        const char *digits = equals + 1;
        if (take_number(&digits, stop, &ret_values[key]))
            found |= UINT64_C(1) << key;
    }
    return found;
}

uint64_t parse_text(enum metric_form form, const char *text, size_t len, const struct parse_keys *keys,
                    uint16_t *layout, uint64_t *ret_values)
{
    switch (form) {
    case METRIC_FORM_VALUE:
        return parse_value(text, len, ret_values);
    case METRIC_FORM_FLAT:
        return parse_flat(text, len, keys, layout, ret_values);
    case METRIC_FORM_NESTED:
        return parse_nested(text, len, keys, ret_values);
    case METRIC_FORM_BLKIO:
        return parse_blkio(text, len, keys, ret_values);
    case METRIC_FORM_PSI:
        return parse_psi(text, len, keys, ret_values);
    case METRIC_FORM_NONE:
    case METRIC_FORM_LINK:
    case METRIC_FORM_AGENT:
        return 0;
    }
    return 0;
}
