/* YAML as a tree with marks, and what of YAML is refused. */

#include "policy/doc.h"

#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct doc parse(const char *text)
{
    struct doc doc = DOC_NULL;
    struct diags diags = DIAGS_NULL;
    assert_int_equal(doc_parse("f", text, strlen(text), &doc, &diags), 0);
    assert_int_equal(diags.count, 0);
    return doc;
}

static void assert_refused(const char *text, size_t len, unsigned line, unsigned column, const char *says)
{
    struct doc doc = DOC_NULL;
    struct diags diags = DIAGS_NULL;
    assert_true(doc_parse("f", text, len, &doc, &diags) < 0);
    assert_int_equal(diags.count, 1);
    assert_int_equal(diags.items[0].line, line);
    assert_int_equal(diags.items[0].column, column);
    if (!strstr(diags.items[0].text, says))
        fail_msg("'%s' does not say '%s'", diags.items[0].text, says);
    assert_null(doc.root);
    diags_fini(&diags);
}

static void nodes_know_where_they_stand(void **unused)
{
    (void)unused;
    struct doc doc = parse("a: 1\nstraße:\n  b: [ x, 'y z' ]\n  c:\n");
    const struct doc_node *street = doc_get(doc.root, "straße"), *list = doc_get(street, "b");
    assert_int_equal(doc.root->count, 2);
    assert_int_equal(street->key_line, 2);
    assert_int_equal(street->line, 3);
    assert_int_equal(list->kind, DOC_LIST);
    assert_int_equal(list->column, 6);
    assert_string_equal(list->first->next->text, "y z");
    assert_int_equal(list->first->next->column, 11);
    assert_string_equal(doc_get(street, "c")->text, "");
    assert_null(doc_get(street, "d"));
    assert_null(doc_get(list, "b"));
    doc_fini(&doc);
}

static void scalars_are_text_and_nothing_else(void **unused)
{
    (void)unused;
    struct doc doc = parse("a: no\nb: 0x10\nc: ~\nd: 1_000\n");
    assert_string_equal(doc_get(doc.root, "a")->text, "no");
    assert_string_equal(doc_get(doc.root, "b")->text, "0x10");
    assert_string_equal(doc_get(doc.root, "c")->text, "~");
    assert_string_equal(doc_get(doc.root, "d")->text, "1_000");
    doc_fini(&doc);
}

static void errors_carry_the_path_of_their_key(void **unused)
{
    (void)unused;
    struct doc doc = parse("quotas:\n  web:\n    memory: { limit: 5 }\n");
    struct diags diags = DIAGS_NULL;
    const struct doc_node *limit =
        doc_get(doc_get(doc_get(doc_get(doc.root, "quotas"), "web"), "memory"), "limit");
    doc_error(&doc, &diags, limit, "too small: %d", 5);
    assert_string_equal(diags.items[0].key, "quotas.web.memory.limit");
    assert_string_equal(diags.items[0].text, "too small: 5");
    assert_int_equal(diags.items[0].column, 22);
    diags_fini(&diags);
    doc_fini(&doc);
}

static void twice_the_same_key_is_told_and_the_rest_is_read(void **unused)
{
    (void)unused;
    static const char text[] = "a: 1\nb: 2\na: 3\nc: 4\n";
    struct doc doc = DOC_NULL;
    struct diags diags = DIAGS_NULL;
    assert_int_equal(doc_parse("f", text, strlen(text), &doc, &diags), 0);
    assert_int_equal(diags.count, 1);
    assert_int_equal(diags.items[0].line, 3);
    assert_string_equal(doc_get(doc.root, "a")->text, "1");
    assert_string_equal(doc_get(doc.root, "c")->text, "4");
    assert_int_equal(doc.root->count, 3);
    diags_fini(&diags);
    doc_fini(&doc);
}

static void what_is_no_policy_text_is_refused_where_it_stands(void **unused)
{
    (void)unused;
    assert_refused("a: &x 1", 7, 1, 4, "extends");
    assert_refused("a: 1\nb: *x", 10, 2, 4, "extends");
    assert_refused("a: !!str 1", 10, 1, 4, "tags");
    assert_refused("a: 1\n---\nb: 2\n", 14, 2, 1, "second document");
    assert_refused("? [ a ]\n: b\n", 12, 1, 3, "a key must be plain text");
    assert_refused("a:\n\tb: 1\n", 9, 2, 1, "a tab");
    assert_refused("a: \"x\\ty\"", 9, 1, 4, "U+0009");
    assert_refused("a: \"x\\0y\"", 9, 1, 4, "U+0000");
    assert_refused("a: |\n  x\n  y\n", 13, 1, 4, "several lines");
    assert_refused("a: 'x\n", 6, 1, 4, "quote is not closed");
    assert_refused("a: [ 1,\nb: 2\n", 13, 3, 1, "bracket begun in line 1");
    assert_refused("a: b: c\n", 8, 1, 5, "':'");
    assert_refused("a: 1\n b: 2\n", 11, 2, 3, "':'");
    assert_refused("x\0y", 3, 1, 2, "NUL");
    assert_refused("a: \xc3\xa4\xff", 6, 1, 5, "0xff");
    assert_refused("a: \xed\xa0\x80", 6, 1, 4, "UTF-8");
    assert_refused("a: \xc0\xaf", 5, 1, 4, "UTF-8");
    assert_refused("\xff\xfe"
                   "a",
                   3, 1, 1, "UTF-8");
    assert_refused("a: \x01", 4, 1, 4, "control character");
}

static void depth_nodes_and_bytes_are_bounded(void **unused)
{
    (void)unused;
    struct buf deep = BUF_NULL, many = BUF_NULL, nested = BUF_NULL;
    for (unsigned i = 0; i < DOC_DEPTH_MAX + 1; i++)
        buf_putc(&deep, '[');
    assert_refused(deep.data, deep.len, 1, DOC_DEPTH_MAX + 1, "levels deep");
    buf_puts(&many, "[");
    for (unsigned i = 0; i < DOC_NODES_MAX; i++)
        buf_puts(&many, "a,\n");
    assert_refused(many.data, many.len, DOC_NODES_MAX, 1, "values");
    for (unsigned i = 0; i < DOC_BYTES_MAX - 8; i++)
        buf_putc(&nested, '[');
    assert_refused(nested.data, nested.len, 1, DOC_DEPTH_MAX + 1, "levels deep");
    buf_puts(&nested, "]]]]]]]]]");
    assert_refused(nested.data, nested.len, 0, 0, "at most 1MiB");
    buf_fini(&deep);
    buf_fini(&many);
    buf_fini(&nested);
}

static void big_file_is_named_with_its_size(void **unused)
{
    (void)unused;
    struct doc doc = DOC_NULL;
    struct diags diags = DIAGS_NULL;
    char path[] = "/tmp/masu-doc-XXXXXX", line[1024];
    int fd = mkstemp(path);
    assert_int_equal(ftruncate(fd, 10 << 20), 0);
    close(fd);
    assert_true(doc_load(path, &doc, &diags) < 0);
    diag_format(&diags.items[0], line, sizeof line);
    assert_non_null(strstr(line, ": is 10MiB, a policy is at most 1MiB"));
    unlink(path);
    assert_true(doc_load("/dev/zero", &doc, &diags) < 0);
    assert_string_equal(diags.items[1].text, "is no regular file, expected a file");
    assert_true(doc_load("/", &doc, &diags) < 0);
    assert_string_equal(diags.items[2].text, "is a directory, expected a file");
    diags_fini(&diags);
}

static void file_cut_off_at_its_start_is_no_empty_policy(void **unused)
{
    (void)unused;
    struct doc doc = DOC_NULL;
    struct diags diags = DIAGS_NULL;
    char path[] = "/tmp/masu-doc-XXXXXX";
    close(mkstemp(path));
    assert_true(doc_load(path, &doc, &diags) < 0);
    assert_non_null(strstr(diags.items[0].text, "is empty, perhaps it was cut off"));
    unlink(path);
    diags_fini(&diags);
}

static void long_words_are_cut_between_characters(void **unused)
{
    (void)unused;
    struct buf word = BUF_NULL;
    char quoted[128];
    for (unsigned i = 0; i < 1000; i++)
        buf_puts(&word, "ü");
    doc_quote(word.data, quoted, sizeof quoted);
    const char *at = quoted, *end = quoted + strlen(quoted);
    while (at < end)
        assert_true(doc_utf8_next(&at, end) > 0);
    assert_non_null(strstr(quoted, "…'"));
    buf_fini(&word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_where_they_stand),
        cmocka_unit_test(scalars_are_text_and_nothing_else),
        cmocka_unit_test(errors_carry_the_path_of_their_key),
        cmocka_unit_test(twice_the_same_key_is_told_and_the_rest_is_read),
        cmocka_unit_test(what_is_no_policy_text_is_refused_where_it_stands),
        cmocka_unit_test(depth_nodes_and_bytes_are_bounded),
        cmocka_unit_test(big_file_is_named_with_its_size),
        cmocka_unit_test(file_cut_off_at_its_start_is_no_empty_policy),
        cmocka_unit_test(long_words_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
