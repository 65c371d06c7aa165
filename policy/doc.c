#include "policy/doc.h"

/*
 * libyaml is asked for events, one at a time, and the tree is built on a stack as deep as a document may be.
 * It never gets text it could misread: the encoding is checked before, because libyaml guesses at it and
 * reports it without a line. Its own sentences are for people who write parsers; the table `problems` says
 * the same to people who write policies. Where a sentence is not in the table it is passed on as it is.
 *
 * The first error of syntax ends the work, for what follows it cannot be trusted.
 */

#include "base/fs.h"
#include "base/map.h"
#include "base/str.h"
#include "base/units.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

struct builder {
    struct doc *doc;
    struct diags *diags;
    const char *text, *end;
    struct doc_node *stack[DOC_DEPTH_MAX];
    unsigned depth;
    char *key; /* owned: read, its value is still to come */
    unsigned key_line, key_column;
    int result;
};

static const struct {
    const char *libyaml, *text;
} problems[] = {
    {"mapping values are not allowed in this context",
     "a ':' that starts no key here: indent the line as its neighbours, or put the value in quotes"},
    {"could not find expected ':'", "a key without ':' behind it"},
    {"did not find expected key", "expected a key, indented as its neighbours"},
    {"did not find expected '-' indicator", "expected a list item ('- …'), indented as its neighbours"},
    {"did not find expected ',' or '}'", "expected ',' or '}'"},
    {"did not find expected ',' or ']'", "expected ',' or ']'"},
    {"did not find expected node content", "expected a value"},
    {"did not find expected <document start>", "text behind the end of the document"},
    {"block sequence entries are not allowed in this context", "a list item ('- …') where a key is expected"},
    {"block mapping entries are not allowed in this context", "a key where a value is expected"},
    {"found unknown escape character", "an escape that YAML does not know: write '\\\\' for a backslash"},
    {"found character that cannot start any token",
     "a character that starts no YAML value: put the value in quotes"},
    {"control characters are not allowed", "a control character: a policy is plain text"},
};

static const char *explain_problem(const char *problem)
{
    for (size_t i = 0; i < ARRAY_LEN(problems); i++)
        if (strcmp(problems[i].libyaml, problem) == 0)
            return problems[i].text;
    return problem;
}

/* The line and column of a byte of the text, columns counted in characters as libyaml does. */
static void find_mark(const char *text, const char *at, unsigned *ret_line, unsigned *ret_column)
{
    *ret_line = *ret_column = 1;
    for (; text < at; text++) {
        if (*text == '\n') {
            ++*ret_line;
            *ret_column = 1;
        } else if (((unsigned char)*text & 0xc0) != 0x80) {
            ++*ret_column;
        }
    }
}

static int check_text(const struct builder *b)
{
    for (const char *at = b->text, *here = at; at < b->end; here = at) {
        int32_t code = doc_utf8_next(&at, b->end);
        if (code > 0)
            continue;
        unsigned line, column;
        find_mark(b->text, here, &line, &column);
        if (code == 0)
            doc_error_at(b->doc, b->diags, line, column, "a NUL byte: this is no text file");
        else
            doc_error_at(b->doc, b->diags, line, column,
                         "byte 0x%02x is not UTF-8: save the file as UTF-8 text", (unsigned char)*here);
        return -EINVAL;
    }
    return 0;
}

static void report_parser(struct builder *b, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        b->result = -ENOMEM;
        return;
    }
    b->result = -EINVAL;
    const char *problem = parser->problem ? parser->problem : "this is not YAML";
    unsigned line = (unsigned)parser->problem_mark.line + 1,
             column = (unsigned)parser->problem_mark.column + 1;
    const char *at = b->text + parser->problem_mark.index;
    if (parser->error == YAML_READER_ERROR) {
        at = b->text + parser->problem_offset;
        find_mark(b->text, at < b->end ? at : b->end, &line, &column);
    } else if (parser->error == YAML_SCANNER_ERROR && at < b->end && *at == '\t') {
        doc_error_at(b->doc, b->diags, line, column, "a tab: YAML is indented with spaces");
        return;
    }
    const char *context = parser->context ? parser->context : "";
    unsigned begun = (unsigned)parser->context_mark.line + 1;
    if (strstr(context, "quoted scalar") && strstr(problem, "unexpected"))
        doc_error_at(b->doc, b->diags, begun, (unsigned)parser->context_mark.column + 1,
                     "this quote is not closed before the file ends");
    else if (strstr(context, "flow") && begun != line)
        doc_error_at(b->doc, b->diags, line, column, "%s (a bracket begun in line %u)",
                     explain_problem(problem), begun);
    else
        doc_error_at(b->doc, b->diags, line, column, "%s", explain_problem(problem));
}

/* Ends the work with a diag where the event stands. */
#define REFUSE(b, event, ...)                                                                                \
    do {                                                                                                     \
        doc_error_at((b)->doc, (b)->diags, (unsigned)(event)->start_mark.line + 1,                           \
                     (unsigned)(event)->start_mark.column + 1, __VA_ARGS__);                                 \
        (b)->result = -EINVAL;                                                                               \
    } while (0)

static void refuse_anchor(struct builder *b, const yaml_event_t *event, char sign, const yaml_char_t *name)
{
    REFUSE(b, event,
           "'%c%s': anchors and aliases are not accepted; write what is shared as a quota without match, and "
           "take it "
           "up with extends",
           sign, (const char *)name);
}

/* Whether @text may be shown and compared: one line of printable text. */
static bool scalar_ok(struct builder *b, const yaml_event_t *event)
{
    const char *at = (const char *)event->data.scalar.value, *end = at + event->data.scalar.length;
    while (at < end) {
        int32_t code = doc_utf8_next(&at, end);
        if (code == '\n') {
            REFUSE(b, event, "a text of several lines is not accepted here");
            return false;
        }
        if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029) {
            REFUSE(b, event, "a control character (U+%04X) in the text", (unsigned)code);
            return false;
        }
    }
    return true;
}

static struct doc_node *new_node(struct builder *b, enum doc_kind kind, const yaml_event_t *event)
{
    if (b->doc->node_count >= DOC_NODES_MAX) {
        REFUSE(b, event, "more than %d values: split the file", DOC_NODES_MAX);
        return NULL;
    }
    struct doc_node *node = calloc(1, sizeof *node);
    if (!node) {
        b->result = -ENOMEM;
        return NULL;
    }
    b->doc->node_count++;
    node->kind = kind;
    node->line = (unsigned)event->start_mark.line + 1;
    node->column = (unsigned)event->start_mark.column + 1;
    node->allocated = b->doc->all;
    b->doc->all = node;
    node->parent = b->depth ? b->stack[b->depth - 1] : NULL;
    node->key = b->key;
    node->key_line = b->key ? b->key_line : node->line;
    node->key_column = b->key ? b->key_column : node->column;
    b->key = NULL;
    return node;
}

static void hang_node(struct builder *b, struct doc_node *node)
{
    struct doc_node *parent = b->depth ? b->stack[b->depth - 1] : NULL;
    if (!parent) {
        b->doc->root = node;
        return;
    }
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
}

static void on_scalar(struct builder *b, const yaml_event_t *event)
{
    const struct doc_node *parent = b->depth ? b->stack[b->depth - 1] : NULL;
    if (!scalar_ok(b, event))
        return;
    char *text = strdup((const char *)event->data.scalar.value);
    if (!text) {
        b->result = -ENOMEM;
        return;
    }
    if (parent && parent->kind == DOC_MAP && !b->key) {
        b->key = text;
        b->key_line = (unsigned)event->start_mark.line + 1;
        b->key_column = (unsigned)event->start_mark.column + 1;
        return;
    }
    struct doc_node *node = new_node(b, DOC_SCALAR, event);
    if (!node) {
        free(text);
        return;
    }
    node->text = text;
    hang_node(b, node);
}

static void on_begin(struct builder *b, const yaml_event_t *event, enum doc_kind kind)
{
    const struct doc_node *parent = b->depth ? b->stack[b->depth - 1] : NULL;
    if (parent && parent->kind == DOC_MAP && !b->key) {
        REFUSE(b, event, "a key must be plain text, found %s", kind == DOC_MAP ? "a map" : "a list");
        return;
    }
    if (b->depth == DOC_DEPTH_MAX) {
        REFUSE(b, event, "more than %d levels deep", DOC_DEPTH_MAX);
        return;
    }
    struct doc_node *node = new_node(b, kind, event);
    if (!node)
        return;
    hang_node(b, node);
    b->stack[b->depth++] = node;
}

/* Reports the keys that stand twice and leaves out their second values. */
static void drop_duplicates(struct builder *b, struct doc_node *map)
{
    struct map seen = MAP_NULL;
    struct doc_node *before = NULL;
    for (struct doc_node *child = map->first; child; child = child->next) {
        const struct doc_node *other = map_get_str(&seen, child->key);
        if (!other) {
            before = child;
            if (map_set_str(&seen, child->key, child) < 0) {
                b->result = -ENOMEM;
                break;
            }
            continue;
        }
        doc_error_at_key(b->doc, b->diags, child, "'%s' stands twice, first in line %u", child->key,
                         other->key_line);
        before->next = child->next;
        map->count--;
        if (map->last == child)
            map->last = before;
    }
    map_fini(&seen);
}

static void on_end(struct builder *b)
{
    struct doc_node *node = b->stack[--b->depth];
    if (node->kind == DOC_MAP && node->count > 1)
        drop_duplicates(b, node);
}

static const yaml_char_t *event_anchor(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor
           : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
           : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor
                                                      : NULL;
}

static const yaml_char_t *event_tag(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT           ? event->data.scalar.tag
           : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.tag
           : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.tag
                                                      : NULL;
}

static void on_event(struct builder *b, const yaml_event_t *event)
{
    if (event_anchor(event)) {
        refuse_anchor(b, event, '&', event_anchor(event));
        return;
    }
    if (event_tag(event)) {
        REFUSE(b, event, "tags such as !!int are not accepted");
        return;
    }
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        refuse_anchor(b, event, '*', event->data.alias.anchor);
        break;
    case YAML_SCALAR_EVENT:
        on_scalar(b, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        on_begin(b, event, DOC_LIST);
        break;
    case YAML_MAPPING_START_EVENT:
        on_begin(b, event, DOC_MAP);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_end(b);
        break;
    case YAML_DOCUMENT_START_EVENT:
        if (b->doc->root)
            REFUSE(b, event, "a second document ('---'): write one file for each");
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
}

static void run_parser(struct builder *b)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        b->result = -ENOMEM;
        return;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)b->text, (size_t)(b->end - b->text));
    for (bool more = true; more && b->result == 0;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            report_parser(b, &parser);
            break;
        }
        on_event(b, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
}

int doc_parse(const char *file, const char *text, size_t len, struct doc *ret, struct diags *diags)
{
    struct doc doc = {.file = file};
    struct builder b = {.doc = &doc, .diags = diags, .text = text, .end = text + len};
    if (len > DOC_BYTES_MAX) {
        char size[UNITS_TEXT_MAX];
        doc_error_at(&doc, diags, 0, 0, "the file is %s, at most 1MiB is read",
                     units_format_bytes(len, size));
        return -EINVAL;
    }
    b.result = check_text(&b);
    if (b.result == 0)
        run_parser(&b);
    free(b.key);
    if (b.result < 0)
        doc_fini(&doc);
    else
        *ret = doc;
    return b.result;
}

int doc_load(const char *file, struct doc *ret, struct diags *diags)
{
    const struct doc named = {.file = file};
    struct stat st;
    char size[UNITS_TEXT_MAX];
    if (stat(file, &st) < 0) {
        doc_error_at(&named, diags, 0, 0, "cannot be read: %s", strerror(errno));
        return -EINVAL;
    }
    if (!S_ISREG(st.st_mode)) {
        doc_error_at(&named, diags, 0, 0, "is %s, expected a file",
                     S_ISDIR(st.st_mode) ? "a directory" : "no regular file");
        return -EINVAL;
    }
    char *text = NULL;
    size_t len = 0;
    int r = fs_slurp(file, DOC_BYTES_MAX, &text, &len);
    if (r == -EFBIG)
        doc_error_at(&named, diags, 0, 0, "is %s, a policy is at most 1MiB",
                     units_format_bytes((uint64_t)st.st_size, size));
    else if (r < 0 && r != -ENOMEM)
        doc_error_at(&named, diags, 0, 0, "cannot be read: %s", strerror(-r));
    else if (r == 0 && len == 0)
        doc_error_at(
            &named, diags, 0, 0,
            "is empty, perhaps it was cut off while it was written; a comment alone says that nothing "
            "is meant");
    if (r < 0 || len == 0) {
        free(text);
        return r == -ENOMEM ? r : -EINVAL;
    }
    r = doc_parse(file, text, len, ret, diags);
    free(text);
    return r;
}

void doc_fini(struct doc *doc)
{
    for (struct doc_node *node = doc->all, *next; node; node = next) {
        next = node->allocated;
        free(node->text);
        free(node->key);
        free(node);
    }
    *doc = DOC_NULL;
}
