/* The shell's completion knows every command and option of the table: bash itself is asked. */

#include "base/str.h"
#include "cli/command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { COMMAND_LINE_MAX = 1024, ANSWER_MAX = 4096 };

/* What bash offers for the last of @words; between blanks, with one before and after. */
static const char *offered(const char *words)
{
    static char answer[ANSWER_MAX];
    char line[COMMAND_LINE_MAX];

    assert_true(str_format(line, sizeof line,
                           "bash -c 'PATH=" MASU_BINARY_DIR ":$PATH; source " MASU_SOURCE_DIR
                           "/cli/masu.bash; COMP_WORDS=(masu %s); "
                           "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _masu; echo \" ${COMPREPLY[*]} \"'",
                           words));
    FILE *bash = popen(line, "r");
    assert_non_null(bash);
    size_t n = fread(answer, 1, sizeof answer - 1, bash);
    answer[n] = '\0';
    assert_int_equal(pclose(bash), 0);
    return answer;
}

static void assert_offered(const char *words, const char *word)
{
    char apart[96];

    str_format(apart, sizeof apart, " %s ", word);
    const char *answer = offered(words);
    if (!strstr(answer, apart))
        print_error("'masu %s' offers '%s', not '%s'\n", words, answer, word);
    assert_non_null(strstr(answer, apart));
}

static void every_command_is_offered(void **state UNUSED)
{
    for (size_t i = 0; commands[i]; i++) {
        assert_offered("\"\"", commands[i]->name);
        assert_offered("help \"\"", commands[i]->name);
    }
}

static void every_option_is_offered_with_its_command(void **state UNUSED)
{
    for (size_t i = 0; commands[i]; i++) {
        char words[64], option[64];
        str_format(words, sizeof words, "%s --", commands[i]->name);
        for (const struct option_row *row = commands[i]->options; row->name; row++) {
            str_format(option, sizeof option, "--%s", row->name);
            assert_offered(words, option);
        }
        for (const struct option_row *row = common_options; row->name; row++) {
            str_format(option, sizeof option, "--%s", row->name);
            assert_offered(words, option);
        }
    }
}

static void an_option_of_another_command_is_not_offered(void **state UNUSED)
{
    assert_null(strstr(offered("plan --"), "--follow"));
    assert_string_equal(offered("top --sort m"), " memory \n");
}

static void types_of_events_are_offered_one_after_the_other(void **state UNUSED)
{
    assert_offered("events --type \"\"", "oom_kill");
    assert_string_equal(offered("events --type born,g"), " born,gone \n");
    assert_string_equal(offered("events -t -born,-g"), " -born,-gone \n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_offered),
        cmocka_unit_test(every_option_is_offered_with_its_command),
        cmocka_unit_test(an_option_of_another_command_is_not_offered),
        cmocka_unit_test(types_of_events_are_offered_one_after_the_other),
    };
    return cmocka_run_group_tests_name("completion", tests, NULL, NULL);
}
