#include "cli/command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct args args;
static char why[160];

static int setup(void **state UNUSED)
{
    args = (struct args){0};
    why[0] = '\0';
    return 0;
}

#define PARSE(command, ...) parse(command, (const char *const[]){__VA_ARGS__, NULL})

static bool parse(const struct command *command, const char *const *words)
{
    char *argv[16];
    int argc = 0;

    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    return args_parse(command, argc, argv, &args, why, sizeof why);
}

static void words_and_options_stand_in_any_order(void **state UNUSED)
{
    assert_true(PARSE(&command_graph, "web", "--last", "1h", "cpu_usage", "-o", "x.png"));
    assert_int_equal(args.count, 2);
    assert_string_equal(args.words[1], "cpu_usage");
    assert_string_equal(args_value(&args, &command_graph, "last"), "1h");
    assert_string_equal(args_value(&args, &command_graph, "output"), "x.png");
    assert_null(args_value(&args, &command_graph, "width"));
}

static void values_may_be_attached(void **state UNUSED)
{
    assert_true(PARSE(&command_graph, "web", "cpu_usage", "--last=2h", "-ox.svg", "--socket=/run/x"));
    assert_string_equal(args_value(&args, &command_graph, "last"), "2h");
    assert_string_equal(args_value(&args, &command_graph, "output"), "x.svg");
    assert_string_equal(args.socket, "/run/x");
}

static void every_command_gives_json_and_help(void **state UNUSED)
{
    for (size_t i = 0; commands[i]; i++) {
        args = (struct args){0};
        assert_true(PARSE(commands[i], "--json", "--help"));
        assert_true(args.json);
        assert_true(args.help);
    }
}

static void what_the_command_does_not_take_is_named(void **state UNUSED)
{
    assert_false(PARSE(&command_plan, "--folow"));
    assert_string_equal(why, "unknown option '--folow'");
    assert_false(PARSE(&command_plan, "web"));
    assert_string_equal(why, "unexpected 'web'");
    assert_false(PARSE(&command_top, "--sort"));
    assert_string_equal(why, "a value is missing after '--sort'");
    assert_false(PARSE(&command_events, "--follow=yes"));
    assert_string_equal(why, "no value is taken by '--follow=yes'");
}

static void what_is_missing_is_named(void **state UNUSED)
{
    assert_false(PARSE(&command_graph, "web"));
    assert_string_equal(why, "what is missing is 'CONTAINER METRIC'");
}

static void after_two_dashes_all_are_words(void **state UNUSED)
{
    assert_true(PARSE(&command_check, "--", "--json"));
    assert_false(args.json);
    assert_string_equal(args.words[0], "--json");
}

static void the_table_is_in_order(void **state UNUSED)
{
    for (size_t i = 0; commands[i]; i++) {
        const struct command *command = commands[i];
        size_t last = strlen(command->help) - 1;
        assert_ptr_equal(command_find(command->name), command);
        assert_non_null(command->run);
        assert_true(command->least <= command->most);
        assert_int_equal(command->most == 0, command->words[0] == '\0');
        assert_true(command->help[last] != '.');
        for (size_t k = 0; command->options[k].name; k++)
            for (const struct option_row *common = common_options; common->name; common++) {
                assert_string_not_equal(command->options[k].name, common->name);
                assert_true(!command->options[k].letter || command->options[k].letter != common->letter);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(words_and_options_stand_in_any_order, setup),
        cmocka_unit_test_setup(values_may_be_attached, setup),
        cmocka_unit_test_setup(every_command_gives_json_and_help, setup),
        cmocka_unit_test_setup(what_the_command_does_not_take_is_named, setup),
        cmocka_unit_test_setup(what_is_missing_is_named, setup),
        cmocka_unit_test_setup(after_two_dashes_all_are_words, setup),
        cmocka_unit_test(the_table_is_in_order),
    };
    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
