#include "agent/bus.h"

#include "base/clock.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20, NOBODY = 65534 };

struct desk {
    int fd, read_fd;
    struct bus_writer *writer;
    struct bus_reader *reader;
};

static int desk_open(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);

    assert_non_null(desk);
    assert_int_equal(bus_create(MIB, &desk->fd, &desk->read_fd), 0);
    assert_int_equal(bus_writer_open(desk->fd, &desk->writer), 0);
    assert_int_equal(bus_reader_open(desk->read_fd, &desk->reader), 0);
    *state = desk;
    return 0;
}

static int desk_close(void **state)
{
    struct desk *desk = *state;

    bus_reader_close(desk->reader);
    bus_writer_close(desk->writer);
    fd_close(desk->fd);
    fd_close(desk->read_fd);
    free(desk);
    return 0;
}

static void put_event(struct buf *out, uint64_t sequence, const char *text)
{
    struct event event = {.sequence = sequence, .type = EVENT_POLICY, .wall_ns = 1, .mono_ns = 1};

    snprintf(event.text, sizeof event.text, "%s", text);
    frame_put_event(out, sequence, &event);
}

/* Publishes @count events, "event N" where N is the frame's sequence. */
static void publish_events(struct bus_writer *writer, unsigned count)
{
    struct buf frames = BUF_NULL;
    char text[64];

    for (unsigned i = 0; i < count; i++) {
        uint64_t sequence = bus_writer_next_sequence(writer) + i;
        snprintf(text, sizeof text, "event %llu", (unsigned long long)sequence);
        put_event(&frames, sequence, text);
    }
    assert_int_equal(buf_error(&frames), 0);
    bus_publish(writer, &frames);
    buf_fini(&frames);
}

/* Reads once; checks each frame, and that sequences grow by one unless some were lost. Returns how many. */
static unsigned read_some(struct bus_reader *reader, uint64_t *last, uint64_t *lost)
{
    struct buf bytes = BUF_NULL;
    struct frame_header header;
    const void *payload;
    uint64_t missed;
    unsigned count = 0;
    int r = bus_read(reader, MIB, &bytes, &missed);

    assert_true(r == BUS_NONE || r == BUS_FRAMES || r == BUS_LAPPED);
    *lost += missed;
    for (size_t at = 0; at < bytes.len; at += frame_size(header.len), count++) {
        assert_int_equal(frame_peek(bytes.data + at, bytes.len - at, &header, &payload), FRAME_OK);
        assert_true(header.sequence > *last);
        if (*last > 0 && *lost == 0)
            assert_int_equal(header.sequence, *last + 1);
        *last = header.sequence;
    }
    buf_fini(&bytes);
    return r == BUS_LAPPED ? read_some(reader, last, lost) : count;
}

/* Reads all there is. */
static unsigned read_events(struct bus_reader *reader, uint64_t *last, uint64_t *lost)
{
    unsigned all = 0, count;

    *lost = 0;
    while ((count = read_some(reader, last, lost)) > 0)
        all += count;
    return all;
}

static void every_frame_arrives_in_order_over_many_laps(void **state)
{
    struct desk *desk = *state;
    uint64_t last = 0, lost;

    for (unsigned round = 0; round < 3000; round++) {
        publish_events(desk->writer, 1 + round % 37);
        assert_int_equal(read_events(desk->reader, &last, &lost), 1 + round % 37);
        assert_int_equal(lost, 0);
    }
    assert_int_equal(last + 1, bus_writer_next_sequence(desk->writer));
}

static void a_batch_larger_than_the_ring_arrives_as_its_newest_part(void **state)
{
    struct desk *desk = *state;
    uint64_t last = 0, lost;

    publish_events(desk->writer, 1);
    assert_int_equal(read_events(desk->reader, &last, &lost), 1);
    publish_events(desk->writer, 40000);
    unsigned count = read_events(desk->reader, &last, &lost);
    assert_true(lost > 0);
    assert_int_equal(lost + count, 40000);
    assert_int_equal(last, 40001);
}

static void a_lapped_reader_is_told_how_many_frames_it_missed(void **state)
{
    struct desk *desk = *state;
    uint64_t last = 0, lost;

    publish_events(desk->writer, 10);
    assert_int_equal(read_events(desk->reader, &last, &lost), 10);
    for (unsigned i = 0; i < 3000; i++)
        publish_events(desk->writer, 10);
    unsigned count = read_events(desk->reader, &last, &lost);
    assert_true(count > 5000);
    assert_int_equal(lost + count, 30000);
    assert_int_equal(last, 30010);
}

static void seeking_finds_a_sequence_and_says_what_the_ring_forgot(void **state)
{
    struct desk *desk = *state;
    uint64_t last = 0, lost;

    publish_events(desk->writer, 1000);
    assert_int_equal(bus_seek(desk->reader, 700), 0);
    assert_int_equal(read_events(desk->reader, &last, &lost), 301);
    assert_int_equal(bus_seek(desk->reader, UINT64_MAX), 0);
    assert_int_equal(read_events(desk->reader, &last, &lost), 0);
    assert_int_equal(bus_seek(desk->reader, 5000), 0); /* not yet written */
    assert_int_equal(read_events(desk->reader, &last, &lost), 0);
    publish_events(desk->writer, 30000);
    uint64_t forgotten = bus_seek(desk->reader, 1001);
    assert_true(forgotten > 0);
    last = 0;
    assert_int_equal(read_events(desk->reader, &last, &lost) + forgotten, 30000);
    assert_int_equal(bus_seek(desk->reader, 0), 0);
}

static void what_core_sampled_is_decoded_the_same_on_the_other_side(void **state)
{
    struct desk *desk = *state;
    struct frame_decoder *decoder = frame_decoder_new();
    struct frame_born born = {.slot = 3, .identity = {.path = "/lxc/web", .name = "web", .runtime = "lxc"}};
    struct row before = {.mono_ns = 1}, now = {.mono_ns = 1000001, .wall_ns = 5};
    struct buf frames = BUF_NULL, bytes = BUF_NULL;
    struct frame_header header;
    struct frame_news news = {0};
    const void *payload;
    uint64_t lost;

    row_set(&before, METRIC_CPU_USAGE, 100);
    row_set(&now, METRIC_CPU_USAGE, 250);
    row_set(&now, METRIC_PIDS, 7);
    frame_put_born(&frames, 1, &born);
    frame_put_keyframe(&frames, 2, 3, &before);
    frame_put_delta(&frames, 3, 3, &before, &now);
    bus_publish(desk->writer, &frames);

    assert_int_equal(bus_read(desk->reader, MIB, &bytes, &lost), BUS_FRAMES);
    assert_int_equal(bytes.len, frames.len);
    for (size_t at = 0; at < bytes.len; at += frame_size(header.len)) {
        assert_int_equal(frame_peek(bytes.data + at, bytes.len - at, &header, &payload), FRAME_OK);
        assert_int_equal(frame_decode(decoder, &header, payload, &news), 0);
    }
    assert_int_equal(news.type, FRAME_DELTA);
    assert_string_equal(news.identity->name, "web");
    assert_int_equal(news.row->values[METRIC_CPU_USAGE], 250);
    assert_int_equal(news.row->values[METRIC_PIDS], 7);
    frame_decoder_free(decoder);
    buf_fini(&frames);
    buf_fini(&bytes);
}

/* Publishes without end; the test kills it. */
static void publish_until_killed(int fd, unsigned batch)
{
    struct bus_writer *writer;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (bus_writer_open(fd, &writer) != 0)
        _exit(1);
    for (;;) {
        struct view *view = bus_view_begin(writer, 5);
        view->born_wall_ns++;
        for (unsigned i = 0; i < METRIC_N; i++) {
            view->row.values[i] = view->born_wall_ns;
            if (i % 16 == 0)
                sched_yield(); /* time enough to be looked at amid the change */
        }
        bus_view_end(writer, 5);
        publish_events(writer, batch);
    }
}

static void a_writer_killed_at_any_moment_is_followed_by_another_without_a_gap(void **state)
{
    struct desk *desk = *state;
    uint64_t last = 0, lost = 0;

    for (unsigned round = 0; round < 8; round++) {
        uint64_t target = last + 200;
        pid_t pid = fork();
        if (pid == 0)
            publish_until_killed(desk->fd, 20);
        assert_true(pid > 0);
        while (last < target && lost == 0)
            read_events(desk->reader, &last, &lost);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        read_events(desk->reader, &last, &lost);
        last = lost > 0 ? 0 : last; /* this reader was slow: only the order is looked at from here */
        lost = 0;
    }
    bus_writer_close(desk->writer);
    assert_int_equal(bus_writer_open(desk->fd, &desk->writer), 0);
    uint64_t next = bus_writer_next_sequence(desk->writer);
    assert_true(next > 8 * 200);
    publish_events(desk->writer, 1);
    last = 0;
    bus_seek(desk->reader, next - 100);
    assert_int_equal(read_events(desk->reader, &last, &lost), 101);
    assert_int_equal(last, next);
}

static void a_slow_reader_is_lapped_but_never_given_torn_frames(void **state)
{
    struct desk *desk = *state;
    uint64_t last = 0, lost = 0;
    unsigned count = 0;
    useconds_t pause = 200;
    pid_t pid = fork();

    if (pid == 0)
        publish_until_killed(desk->fd, 1000);
    assert_true(pid > 0);
    while (lost < 20000 || count < 20000) {
        uint64_t lost_before = lost;
        count += read_some(desk->reader, &last, &lost); /* looks at every checksum */
        usleep(pause);
        /* As slow as it takes for this machine's writer to lap it now and then. */
        pause = lost > lost_before ? pause / 2 + 1 : pause < 250000 ? pause * 2 : pause;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void a_view_is_never_seen_half_written(void **state)
{
    struct desk *desk = *state;
    struct view view;
    unsigned seen = 0;
    uint64_t newest = 0;
    pid_t pid = fork();

    if (pid == 0)
        publish_until_killed(desk->fd, 1);
    assert_true(pid > 0);
    while (seen < 500) {
        if (!bus_view_read(desk->reader, 5, &view))
            continue;
        for (unsigned i = 0; i < METRIC_N; i++)
            assert_int_equal(view.row.values[i], view.born_wall_ns);
        assert_true(view.born_wall_ns >= newest);
        newest = view.born_wall_ns;
        seen++;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void a_view_left_half_written_is_free_for_the_next_writer(void **state)
{
    struct desk *desk = *state;
    struct view view;

    bus_view_begin(desk->writer, 2)->born_wall_ns = 1;
    bus_view_end(desk->writer, 2);
    bus_view_begin(desk->writer, 4)->born_wall_ns = 1;
    bus_view_end(desk->writer, 4);
    bus_view_begin(desk->writer, 2)->born_wall_ns = 2; /* dies here */
    assert_false(bus_view_read(desk->reader, 2, &view));
    bus_writer_close(desk->writer);
    assert_int_equal(bus_writer_open(desk->fd, &desk->writer), 0);
    assert_false(bus_view_read(desk->reader, 2, &view));
    assert_true(bus_view_read(desk->reader, 4, &view));
    assert_int_equal(bus_view_limit(desk->reader), 5);
    bus_view_begin(desk->writer, 2)->born_wall_ns = 3;
    bus_view_end(desk->writer, 2);
    assert_true(bus_view_read(desk->reader, 2, &view));
    assert_int_equal(view.born_wall_ns, 3);
    bus_view_clear(desk->writer, 2);
    assert_false(bus_view_read(desk->reader, 2, &view));
    assert_false(bus_view_read(desk->reader, 19999, &view));
}

static void status_is_absent_until_core_speaks(void **state)
{
    struct desk *desk = *state;
    struct bus_status status;

    assert_false(bus_status_read(desk->reader, &status));
    assert_int_equal(status.ticks, 0);
    bus_status_begin(desk->writer)->ticks = 12;
    bus_status_end(desk->writer);
    assert_true(bus_status_read(desk->reader, &status));
    assert_int_equal(status.ticks, 12);
}

static void events_are_numbered_upwards_over_the_lives_of_the_parent(void **state)
{
    struct desk *desk = *state;
    struct bus_writer *second;
    int fd, read_fd;

    uint64_t first = bus_writer_next_event(desk->writer);
    assert_int_equal(bus_writer_next_event(desk->writer), first + 1);
    usleep(3000);
    assert_int_equal(bus_create(MIB, &fd, &read_fd), 0);
    assert_int_equal(bus_writer_open(fd, &second), 0);
    assert_true(bus_writer_next_event(second) > first + 1);
    bus_writer_close(second);
    fd_close(fd);
    fd_close(read_fd);
}

static void a_reader_cannot_write(void **state)
{
    struct desk *desk = *state;
    int status;

    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, desk->read_fd, 0) == MAP_FAILED);
    assert_int_equal(errno, EACCES);
    assert_int_equal(ftruncate(desk->fd, 4096), -1);
    assert_int_equal(errno, EPERM);
    if (geteuid() != 0) {
        print_message("not root: reopening as another user was not tried\n");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", desk->read_fd);
        if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
            _exit(1);
        if (open(path, O_RDWR | O_CLOEXEC) >= 0 || errno != EACCES)
            _exit(2);
        struct bus_reader *reader;
        _exit(bus_reader_open(desk->read_fd, &reader) == 0 ? 0 : 3);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_is_no_bus_of_this_build_is_refused(void **state)
{
    struct desk *desk = *state;
    struct bus_reader *reader;
    uint32_t version = 999;
    int other = memfd_create("other", MFD_CLOEXEC);

    assert_int_equal(bus_reader_open(other, &reader), -EBADMSG);
    assert_int_equal(ftruncate(other, 64 * MIB), 0);
    assert_int_equal(bus_reader_open(other, &reader), -EBADMSG);
    assert_int_equal(pwrite(desk->fd, &version, sizeof version, 8), sizeof version);
    assert_int_equal(bus_reader_open(desk->read_fd, &reader), -EBADMSG);
    fd_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_frame_arrives_in_order_over_many_laps, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(a_batch_larger_than_the_ring_arrives_as_its_newest_part, desk_open,
                                        desk_close),
        cmocka_unit_test_setup_teardown(a_lapped_reader_is_told_how_many_frames_it_missed, desk_open,
                                        desk_close),
        cmocka_unit_test_setup_teardown(seeking_finds_a_sequence_and_says_what_the_ring_forgot, desk_open,
                                        desk_close),
        cmocka_unit_test_setup_teardown(what_core_sampled_is_decoded_the_same_on_the_other_side, desk_open,
                                        desk_close),
        cmocka_unit_test_setup_teardown(a_writer_killed_at_any_moment_is_followed_by_another_without_a_gap,
                                        desk_open, desk_close),
        cmocka_unit_test_setup_teardown(a_slow_reader_is_lapped_but_never_given_torn_frames, desk_open,
                                        desk_close),
        cmocka_unit_test_setup_teardown(a_view_is_never_seen_half_written, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(a_view_left_half_written_is_free_for_the_next_writer, desk_open,
                                        desk_close),
        cmocka_unit_test_setup_teardown(status_is_absent_until_core_speaks, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(events_are_numbered_upwards_over_the_lives_of_the_parent, desk_open,
                                        desk_close),
        cmocka_unit_test_setup_teardown(a_reader_cannot_write, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(what_is_no_bus_of_this_build_is_refused, desk_open, desk_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
