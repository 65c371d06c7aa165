#include "agent/courier_queue.h"
#include "base/attrs.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct courier_queue queue;

static int setup(void **state UNUSED)
{
    memset(&queue, 0, sizeof queue);
    return 0;
}

static bool push(uint64_t number)
{
    struct event event = {.sequence = number};

    return courier_queue_push(&queue, &event);
}

static void events_leave_in_the_order_they_came(void **state UNUSED)
{
    push(1);
    push(2);
    assert_int_equal(courier_queue_peek(&queue)->sequence, 1);
    courier_queue_done(&queue, 1);
    assert_int_equal(courier_queue_peek(&queue)->sequence, 2);
    courier_queue_done(&queue, 2);
    assert_null(courier_queue_peek(&queue));
}

static void a_full_queue_lets_the_oldest_go(void **state UNUSED)
{
    for (uint64_t i = 1; i <= COURIER_QUEUE_MAX; i++)
        assert_true(push(i));
    assert_false(push(COURIER_QUEUE_MAX + 1));
    assert_int_equal(courier_queue_peek(&queue)->sequence, 2);
    assert_int_equal(queue.dropped, 1);
}

static void an_event_dropped_while_under_way_takes_no_other_with_it(void **state UNUSED)
{
    for (uint64_t i = 1; i <= COURIER_QUEUE_MAX; i++)
        push(i);
    push(COURIER_QUEUE_MAX + 1);
    courier_queue_done(&queue, 1);
    assert_int_equal(courier_queue_peek(&queue)->sequence, 2);
}

static void tries_come_after_1_2_4_and_at_most_60_seconds(void **state UNUSED)
{
    static const unsigned waits_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
    uint64_t now = 1000 * NSEC_PER_SEC;

    for (size_t i = 0; i < ARRAY_LEN(waits_s); i++)
        assert_int_equal(courier_queue_failed(&queue, now), now + waits_s[i] * NSEC_PER_SEC);
    courier_queue_succeeded(&queue);
    assert_int_equal(courier_queue_failed(&queue, now), now + 1 * NSEC_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(events_leave_in_the_order_they_came, setup),
        cmocka_unit_test_setup(a_full_queue_lets_the_oldest_go, setup),
        cmocka_unit_test_setup(an_event_dropped_while_under_way_takes_no_other_with_it, setup),
        cmocka_unit_test_setup(tries_come_after_1_2_4_and_at_most_60_seconds, setup),
    };
    return cmocka_run_group_tests_name("courier_queue", tests, NULL, NULL);
}
