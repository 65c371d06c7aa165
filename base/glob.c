#include "base/glob.h"
#include <stddef.h>
#include <string.h>

/*
 * Both levels, characters in a component and components in a path, use the same walk: go forward, remember
 * the last star, and on a mismatch let that star take one more. It never recurses and takes at most pattern ×
 * text steps.
 */

struct span {
    const char *at, *end;
};

/* Bytes of the character at @at. */
static size_t character(struct span text)
{
    size_t len = 1;
    while (text.at + len < text.end && ((unsigned char)text.at[len] & 0xc0) == 0x80)
        len++;
    return len;
}

/* Whether class "[...]" at pattern.at holds @c; *ret_next is behind it, NULL when it is not closed. */
static bool class_holds(struct span pattern, char c, const char **ret_next)
{
    const char *at = pattern.at + 1;
    bool negated = at < pattern.end && (*at == '!' || *at == '^');
    bool holds = false;
    at += negated;
    for (const char *first = at; at < pattern.end && (*at != ']' || at == first); at++) {
        if (*at == '\\' && at + 1 < pattern.end)
            at++;
        unsigned char low = (unsigned char)*at, high = low;
        if (at + 2 < pattern.end && at[1] == '-' && at[2] != ']') {
            at += 2;
            high = (unsigned char)*at;
        }
        holds |= low <= (unsigned char)c && (unsigned char)c <= high;
    }
    *ret_next = at < pattern.end ? at + 1 : NULL;
    return holds != negated;
}

/* Matches one unit of the pattern that is no star against the text; advances both. */
static bool match_one(struct span *pattern, struct span *text)
{
    size_t taken = 1;
    const char *next = pattern->at + 1;
    bool fits;
    if (*pattern->at == '?') {
        taken = character(*text);
        fits = true;
    } else if (*pattern->at == '[') {
        fits = class_holds(*pattern, *text->at, &next) && next;
    } else if (*pattern->at == '\\') {
        fits = next < pattern->end && *next == *text->at;
        next++;
    } else {
        fits = *pattern->at == *text->at;
    }
    if (fits) {
        pattern->at = next;
        text->at += taken;
    }
    return fits;
}

static bool match_span(struct span pattern, struct span text)
{
    const char *star = NULL, *star_text = NULL;
    while (text.at < text.end) {
        if (pattern.at < pattern.end && *pattern.at == '*') {
            star = ++pattern.at;
            star_text = text.at;
        } else if (pattern.at < pattern.end && match_one(&pattern, &text)) {
            continue;
        } else if (star) {
            pattern.at = star;
            text.at = ++star_text;
        } else {
            return false;
        }
    }
    while (pattern.at < pattern.end && *pattern.at == '*')
        pattern.at++;
    return pattern.at == pattern.end;
}

bool glob_match_name(const char *pattern, const char *name)
{
    return match_span((struct span){pattern, pattern + strlen(pattern)},
                      (struct span){name, name + strlen(name)});
}

/* The component at or after @at; empty at the end of the path. */
static struct span component(const char *at)
{
    at += strspn(at, "/");
    return (struct span){at, at + strcspn(at, "/")};
}

static bool is_empty(struct span s)
{
    return s.at == s.end;
}

static bool is_any_depth(struct span s)
{
    return s.end - s.at == 2 && s.at[0] == '*' && s.at[1] == '*';
}

bool glob_match_path(const char *pattern, const char *path)
{
    struct span p = component(pattern), t = component(path);
    struct span star = {NULL, NULL}, star_text = {NULL, NULL};
    if ((*pattern == '/') != (*path == '/') && !is_any_depth(p))
        return false;
    while (!is_empty(t)) {
        if (is_any_depth(p)) {
            star = p = component(p.end);
            star_text = t;
        } else if (!is_empty(p) && match_span(p, t)) {
            p = component(p.end);
            t = component(t.end);
        } else if (star.at) {
            p = star;
            t = star_text = component(star_text.end);
        } else {
            return false;
        }
    }
    while (is_any_depth(p))
        p = component(p.end);
    return is_empty(p);
}

static const char *check_component(struct span s, bool in_path)
{
    for (const char *at = s.at; at < s.end; at++) {
        if (*at == '\\') {
            if (++at == s.end)
                return "nothing follows the '\\' at its end; write '\\\\' for a backslash";
        } else if (*at == '[') {
            const char *next;
            class_holds((struct span){at, s.end}, 'a', &next);
            if (!next)
                return "a class '[' is not closed by ']'; write '\\[' for a bracket";
            at = next - 1;
        } else if (in_path && *at == '*' && at + 1 < s.end && at[1] == '*' && !is_any_depth(s)) {
            return "'**' stands alone between slashes; within a name write '*'";
        }
    }
    return NULL;
}

const char *glob_check(const char *pattern)
{
    if (!*pattern)
        return "the pattern is empty";
    bool in_path = strchr(pattern, '/') != NULL;
    for (struct span s = component(pattern); !is_empty(s); s = component(s.end)) {
        const char *wrong = check_component(s, in_path);
        if (wrong)
            return wrong;
    }
    return NULL;
}
