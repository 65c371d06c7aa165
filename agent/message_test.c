#include "agent/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/role.h"

#include <string.h>

static struct channel_message message_of(uint32_t type, uint32_t len, unsigned fd_count)
{
    return (struct channel_message){.type = type, .len = len, .fd_count = fd_count};
}

static void test_every_message_has_a_name_and_fits_a_channel(void **state)
{
    (void)state;
    for (uint32_t type = 1; type < MESSAGE_N; type++)
        assert_string_not_equal(message_name(type), "?");
    assert_string_equal(message_name(MESSAGE_PLAN_DONE), "PLAN_DONE");
    assert_string_equal(message_name(MESSAGE_NONE), "?");
    assert_string_equal(message_name(4000000000U), "?");
    assert_true(sizeof(struct message_query) <= CHANNEL_BODY_MAX);
    assert_true(sizeof(struct message_exec) <= CHANNEL_BODY_MAX);
    assert_true(sizeof(struct message_roles) <= CHANNEL_BODY_MAX);
}

static void test_only_the_sender_named_in_the_table_is_believed(void **state)
{
    (void)state;
    struct channel_message plan = message_of(MESSAGE_PLAN, 0, 1);
    assert_true(message_fits(&plan, ROLE_CORE, ROLE_ENFORCER));
    assert_false(message_fits(&plan, ROLE_GATEWAY, ROLE_ENFORCER));
    assert_false(message_fits(&plan, ROLE_CORE, ROLE_GATEWAY));

    struct channel_message exec = message_of(MESSAGE_RUN_EXEC, sizeof(struct message_exec), 0);
    assert_true(message_fits(&exec, ROLE_COURIER, ROLE_PARENT));
    assert_false(message_fits(&exec, ROLE_GATEWAY, ROLE_PARENT));
}

static void test_a_body_of_another_size_is_refused(void **state)
{
    (void)state;
    struct channel_message cut = message_of(MESSAGE_REQUEST, sizeof(struct message_request) - 1, 0);
    struct channel_message padded = message_of(MESSAGE_STOP, 1, 0);
    assert_false(message_fits(&cut, ROLE_GATEWAY, ROLE_CORE));
    assert_false(message_fits(&padded, ROLE_PARENT, ROLE_CORE));
}

static void test_more_descriptors_than_the_table_says_are_refused(void **state)
{
    (void)state;
    struct channel_message go = message_of(MESSAGE_GO, 0, 1);
    struct channel_message request = message_of(MESSAGE_REQUEST, sizeof(struct message_request), 0);
    assert_false(message_fits(&go, ROLE_PARENT, ROLE_CORE));
    assert_true(message_fits(&request, ROLE_GATEWAY, ROLE_CORE)); /* the client's socket is optional */
}

static void test_an_unknown_message_is_refused(void **state)
{
    (void)state;
    struct channel_message none = message_of(MESSAGE_NONE, 0, 0);
    struct channel_message future = message_of(MESSAGE_N + 3, 0, 0);
    assert_false(message_fits(&none, ROLE_PARENT, ROLE_CORE));
    assert_false(message_fits(&future, ROLE_PARENT, ROLE_CORE));
}

/* The role table: a wall that is open on one side only is no wall. */

static void test_channels_between_roles_have_two_ends(void **state)
{
    (void)state;
    for (unsigned a = 0; a < ROLE_N; a++)
        for (unsigned b = 0; b < ROLE_N; b++)
            assert_int_equal((roles[a].peers >> b) & 1, (roles[b].peers >> a) & 1);
    assert_int_equal(roles[ROLE_COURIER].peers, 0);
}

static void test_only_roles_of_root_hold_capabilities(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROLE_N; i++) {
        assert_int_equal(role_find(roles[i].name), i);
        if (roles[i].user)
            assert_true(roles[i].capabilities == 0);
        if (roles[i].file != ROLE_FILE_MASUD)
            assert_non_null(roles[i].user);
        if (roles[i].bus_write)
            assert_int_equal(i, ROLE_CORE);
    }
    assert_int_equal(role_find("nobody"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_has_a_name_and_fits_a_channel),
        cmocka_unit_test(test_only_the_sender_named_in_the_table_is_believed),
        cmocka_unit_test(test_a_body_of_another_size_is_refused),
        cmocka_unit_test(test_more_descriptors_than_the_table_says_are_refused),
        cmocka_unit_test(test_an_unknown_message_is_refused),
        cmocka_unit_test(test_channels_between_roles_have_two_ends),
        cmocka_unit_test(test_only_roles_of_root_hold_capabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
