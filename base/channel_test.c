#include "base/channel.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
    int fds[2];
};
static struct channel_message message;

static int open_pair(void **state)
{
    static struct ends ends;
    *state = &ends;
    return channel_pair(ends.fds);
}

static int close_pair(void **state)
{
    struct ends *ends = *state;
    channel_message_fini(&message);
    fd_close(ends->fds[0]);
    fd_close(ends->fds[1]);
    return 0;
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_message_arrives_whole(void **state)
{
    const struct ends *ends = *state;
    assert_int_equal(channel_send(ends->fds[0], 7, 42, "hello", 5, NULL, 0), CHANNEL_OK);
    assert_int_equal(channel_send(ends->fds[0], 8, 0, NULL, 0, NULL, 0), CHANNEL_OK);
    assert_int_equal(channel_receive(ends->fds[1], &message), CHANNEL_OK);
    assert_int_equal(message.type, 7);
    assert_int_equal(message.id, 42);
    assert_int_equal(message.len, 5);
    assert_memory_equal(message.body, "hello", 5);
    assert_int_equal(message.fd_count, 0);
    assert_int_equal(channel_receive(ends->fds[1], &message), CHANNEL_OK);
    assert_int_equal(message.type, 8);
    assert_int_equal(message.len, 0);
}

static void the_largest_body_fits_and_no_larger(void **state)
{
    const struct ends *ends = *state;
    static uint8_t body[CHANNEL_BODY_MAX + 1];
    body[CHANNEL_BODY_MAX - 1] = 9;
    assert_int_equal(channel_send(ends->fds[0], 1, 0, body, sizeof body, NULL, 0), -EMSGSIZE);
    assert_int_equal(channel_send(ends->fds[0], 1, 0, body, CHANNEL_BODY_MAX, NULL, 0), CHANNEL_OK);
    assert_int_equal(channel_receive(ends->fds[1], &message), CHANNEL_OK);
    assert_int_equal(message.len, CHANNEL_BODY_MAX);
    assert_int_equal(message.body[CHANNEL_BODY_MAX - 1], 9);
}

static void descriptors_travel(void **state)
{
    const struct ends *ends = *state;
    int before = open_descriptors();
    CLEANUP_FD int file = open("/proc/version", O_RDONLY | O_CLOEXEC);
    const int fds[] = {file, file, file, file, file};
    assert_int_equal(channel_send(ends->fds[0], 1, 0, "x", 1, fds, 5), -EMSGSIZE);
    assert_int_equal(channel_send(ends->fds[0], 1, 0, "x", 1, fds, 4), CHANNEL_OK);
    assert_int_equal(channel_receive(ends->fds[1], &message), CHANNEL_OK);
    assert_int_equal(message.fd_count, 4);
    char text[256];
    for (unsigned i = 0; i < 4; i++) {
        assert_true(fs_pread(message.fds[i], text, sizeof text) > 0);
        assert_true(fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC);
    }
    channel_message_fini(&message);
    channel_message_fini(&message);
    fd_close(fd_take(&file));
    assert_int_equal(open_descriptors(), before);
}

static void nobody_waits(void **state)
{
    const struct ends *ends = *state;
    static uint8_t body[CHANNEL_BODY_MAX];
    assert_int_equal(channel_receive(ends->fds[0], &message), CHANNEL_AGAIN);
    int result;
    do
        result = channel_send(ends->fds[0], 1, 0, body, sizeof body, NULL, 0);
    while (result == CHANNEL_OK);
    assert_int_equal(result, CHANNEL_AGAIN);
    assert_int_equal(channel_receive(ends->fds[1], &message), CHANNEL_OK);
    assert_int_equal(channel_send(ends->fds[0], 1, 0, body, sizeof body, NULL, 0), CHANNEL_OK);
}

static void what_was_sent_before_the_end_still_arrives(void **state)
{
    struct ends *ends = *state;
    assert_int_equal(channel_send(ends->fds[0], 1, 0, "x", 1, NULL, 0), CHANNEL_OK);
    fd_close(fd_take(&ends->fds[0]));
    assert_int_equal(channel_receive(ends->fds[1], &message), CHANNEL_OK);
    assert_int_equal(channel_receive(ends->fds[1], &message), CHANNEL_CLOSED);
    assert_int_equal(channel_send(ends->fds[1], 1, 0, "x", 1, NULL, 0), CHANNEL_CLOSED);
}

struct forged_header {
    uint32_t type, len;
    uint64_t id;
};

static void a_forged_message_is_refused(void **state)
{
    const struct ends *ends = *state;
    struct {
        struct forged_header header;
        char body[4];
    } lies = {.header = {.type = 1, .len = 400}};
    assert_true(send(ends->fds[0], &lies, sizeof lies, 0) > 0);
    assert_int_equal(channel_receive(ends->fds[1], &message), -EBADMSG);
    assert_true(send(ends->fds[0], "short", 5, 0) > 0);
    assert_int_equal(channel_receive(ends->fds[1], &message), -EBADMSG);
    static char huge[sizeof(struct forged_header) + CHANNEL_BODY_MAX + 1];
    assert_true(send(ends->fds[0], huge, sizeof huge, 0) > 0);
    assert_int_equal(channel_receive(ends->fds[1], &message), -EBADMSG);
}

/* Sends a well-formed empty message with @count descriptors, more than channel_send would. */
static void send_with_fds(int to, int fd, unsigned count)
{
    struct forged_header header = {.type = 1};
    struct iovec part = {&header, sizeof header};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 8)];
    } control = {0};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&m);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
    for (unsigned i = 0; i < count; i++)
        memcpy(CMSG_DATA(rights) + i * sizeof fd, &fd, sizeof fd);
    assert_true(sendmsg(to, &m, 0) > 0);
}

static void descriptors_of_a_refused_message_do_not_leak(void **state)
{
    const struct ends *ends = *state;
    int before = open_descriptors();
    send_with_fds(ends->fds[0], STDERR_FILENO, 7);
    assert_int_equal(channel_receive(ends->fds[1], &message), -EBADMSG);
    assert_int_equal(message.fd_count, 0);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
    const struct CMUnitTest tests[] = {
        STORY(a_message_arrives_whole),
        STORY(the_largest_body_fits_and_no_larger),
        STORY(descriptors_travel),
        STORY(nobody_waits),
        STORY(what_was_sent_before_the_end_still_arrives),
        STORY(a_forged_message_is_refused),
        STORY(descriptors_of_a_refused_message_do_not_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
