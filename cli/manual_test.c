/* The manual pages keep up with the tables. */

#include "base/fs.h"
#include "base/str.h"
#include "cli/command.h"
#include "model/knob.h"
#include "model/setting.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE_MAX = 1 << 20 };

static char *page(const char *name)
{
    char path[512], *text;
    size_t len;

    str_format(path, sizeof path, MASU_SOURCE_DIR "/docs/man/%s", name);
    assert_int_equal(fs_slurp(path, PAGE_MAX, &text, &len), 0);
    return text;
}

static void assert_says(const char *text, const char *words)
{
    if (!strstr(text, words))
        print_error("the page does not say '%s'\n", words);
    assert_non_null(strstr(text, words));
}

static void masu_1_has_every_command_and_option(void **state UNUSED)
{
    char *text = page("masu.1"), words[96];

    for (size_t i = 0; commands[i]; i++) {
        str_format(words, sizeof words, "\n.It Cm %s", commands[i]->name);
        assert_says(text, words);
        for (const struct option_row *row = commands[i]->options; row->name; row++) {
            if (row->letter)
                str_format(words, sizeof words, "\n.It Fl %c , Fl Fl %s", row->letter, row->name);
            else
                str_format(words, sizeof words, " Fl Fl %s", row->name);
            assert_says(text, words);
        }
    }
    for (const struct option_row *row = common_options; row->name; row++) {
        str_format(words, sizeof words, "Fl Fl %s", row->name);
        assert_says(text, words);
    }
    free(text);
}

static void masu_yaml_5_has_every_setting_and_limit(void **state UNUSED)
{
    char *text = page("masu.yaml.5"), words[96];

    for (unsigned i = 0; i < settings_count; i++) {
        str_format(words, sizeof words, "Cm %s :", settings_table[i].key);
        assert_says(text, words);
    }
    for (unsigned i = 0; i < KNOB_N; i++)
        assert_says(text, knobs[i].key);
    free(text);
}

static void the_pages_are_well_formed(void **state UNUSED)
{
    if (system("command -v mandoc >/dev/null")) {
        print_message("skipped: mandoc is not installed\n");
        skip();
    }
    assert_int_equal(
        system("cd " MASU_SOURCE_DIR
               "/docs/man && ! mandoc -T lint -W warning masu.1 masu.yaml.5 masud.8 2>/dev/null | "
               "grep -E 'WARNING|ERROR'"),
        0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masu_1_has_every_command_and_option),
        cmocka_unit_test(masu_yaml_5_has_every_setting_and_limit),
        cmocka_unit_test(the_pages_are_well_formed),
    };
    return cmocka_run_group_tests_name("manual", tests, NULL, NULL);
}
