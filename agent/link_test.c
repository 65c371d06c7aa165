#include "agent/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct side {
    struct link *link;
    struct loop *loop;
    unsigned heard, closed;
    unsigned expected; /* stop the loop at that many */
    bool in_order, free_at_first;
    int fd;
};

static void on_message(void *owner, struct channel_message *message)
{
    struct side *side = owner;
    side->in_order = side->in_order && message->id == side->heard;
    side->heard++;
    if (message->fd_count)
        side->fd = fd_take(&message->fds[0]);
    if (side->free_at_first)
        side->link = link_free(side->link);
    if (side->heard == side->expected)
        loop_stop(side->loop, 0);
}

static void on_closed(void *owner)
{
    struct side *side = owner;
    side->closed++;
    side->link = link_free(side->link);
    loop_stop(side->loop, 0);
}

struct pair {
    struct loop *loop;
    struct side here, there;
};

static void side_open(struct side *side, struct loop *loop, int fd)
{
    static const struct link_handlers handlers = {.on_message = on_message, .on_closed = on_closed};
    *side = (struct side){.loop = loop, .in_order = true, .fd = -1};
    assert_int_equal(link_new(loop, fd, &handlers, side, &side->link), 0);
}

static int setup(void **state)
{
    static struct pair pair;
    int ends[2];
    pair.loop = loop_new();
    if (!pair.loop || channel_pair(ends) < 0)
        return -1;
    side_open(&pair.here, pair.loop, ends[0]);
    side_open(&pair.there, pair.loop, ends[1]);
    *state = &pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    pair->here.link = link_free(pair->here.link);
    pair->there.link = link_free(pair->there.link);
    fd_close(pair->there.fd);
    pair->loop = loop_free(pair->loop);
    return 0;
}

static void test_what_does_not_fit_the_socket_waits_and_arrives_in_order(void **state)
{
    struct pair *pair = *state;
    static char body[CHANNEL_BODY_MAX];
    unsigned sent = 0;
    while (link_queued(pair->here.link) < 10) {
        assert_int_equal(
            link_send(pair->here.link,
                      &(struct link_letter){.type = 1, .id = sent, .body = body, .len = sizeof body}),
            LINK_SENT);
        sent++;
    }
    pair->there.expected = sent;
    (void)loop_run(pair->loop);
    assert_int_equal(pair->there.heard, sent);
    assert_true(pair->there.in_order);
    assert_int_equal(link_queued(pair->here.link), 0);
}

static void test_a_peer_that_never_reads_fills_a_bounded_queue(void **state)
{
    struct pair *pair = *state;
    static char body[CHANNEL_BODY_MAX];
    const struct link_letter letter = {.type = 1, .body = body, .len = sizeof body};
    int r;
    while ((r = link_send(pair->here.link, &letter)) == LINK_SENT)
        ;
    assert_int_equal(r, LINK_FULL);
    assert_int_equal(link_queued(pair->here.link), LINK_QUEUE_MAX);
}

static void test_a_waiting_letter_keeps_its_descriptor(void **state)
{
    struct pair *pair = *state;
    static char body[CHANNEL_BODY_MAX];
    int ends[2];
    unsigned sent = 0;
    while (!link_queued(pair->here.link)) {
        assert_int_equal(
            link_send(pair->here.link,
                      &(struct link_letter){.type = 1, .id = sent++, .body = body, .len = sizeof body}),
            LINK_SENT);
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(
        link_send(pair->here.link,
                  &(struct link_letter){.type = 2, .id = sent++, .fds = &ends[1], .fd_count = 1}),
        LINK_SENT);
    fd_close(ends[1]);
    pair->there.expected = sent;
    (void)loop_run(pair->loop);
    assert_int_equal(write(pair->there.fd, "x", 1), 1);
    char byte = 0;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    fd_close(ends[0]);
}

static void test_the_end_of_the_peer_is_told_once_after_its_last_words(void **state)
{
    struct pair *pair = *state;
    assert_int_equal(link_send(pair->here.link, &(struct link_letter){.type = 1, .id = 0}), LINK_SENT);
    pair->here.link = link_free(pair->here.link);
    (void)loop_run(pair->loop);
    assert_int_equal(pair->there.heard, 1);
    assert_int_equal(pair->there.closed, 1);
}

static void test_a_link_may_be_freed_while_it_speaks(void **state)
{
    struct pair *pair = *state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(link_send(pair->here.link, &(struct link_letter){.type = 1, .id = i}), LINK_SENT);
    pair->there.free_at_first = true;
    pair->there.expected = 1;
    (void)loop_run(pair->loop);
    assert_int_equal(pair->there.heard, 1);
    assert_null(pair->there.link);
}

static void test_a_letter_too_long_is_refused(void **state)
{
    struct pair *pair = *state;
    static char body[CHANNEL_BODY_MAX + 1];
    assert_int_equal(
        link_send(pair->here.link, &(struct link_letter){.type = 1, .body = body, .len = sizeof body}),
        -EMSGSIZE);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_what_does_not_fit_the_socket_waits_and_arrives_in_order),
        STORY(test_a_peer_that_never_reads_fills_a_bounded_queue),
        STORY(test_a_waiting_letter_keeps_its_descriptor),
        STORY(test_the_end_of_the_peer_is_told_once_after_its_last_words),
        STORY(test_a_link_may_be_freed_while_it_speaks),
        STORY(test_a_letter_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
