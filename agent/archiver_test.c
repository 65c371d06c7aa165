#include "agent/bus.h"
#include "agent/role.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "exporters/archive.h"
#include "exporters/eventlog.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { KILLS = 12, BATCHES = 40, BATCH = 25 };

/* The parent's and core's side: a bus, an eventfd, a state directory; the archiver is a child without links.
 */
struct stage {
    char root[64];
    struct settings settings;
    int bus_fd, read_fd, wake_fd;
    struct bus_writer *writer;
    pid_t archiver;
};

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int set_stage(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);

    if (!stage)
        return -1;
    snprintf(stage->root, sizeof stage->root, "/tmp/masu-archiver-test-XXXXXX");
    if (!mkdtemp(stage->root))
        return -1;
    settings_init(&stage->settings);
    snprintf(stage->settings.state_dir, sizeof stage->settings.state_dir, "%s/state", stage->root);
    assert_int_equal(bus_create(1 << 20, &stage->bus_fd, &stage->read_fd), 0);
    assert_int_equal(bus_writer_open(stage->bus_fd, &stage->writer), 0);
    stage->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *state = stage;
    return 0;
}

static int strike_stage(void **state)
{
    struct stage *stage = *state;

    bus_writer_close(stage->writer);
    fd_close(stage->bus_fd);
    fd_close(stage->read_fd);
    fd_close(stage->wake_fd);
    nftw(stage->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(stage);
    return 0;
}

static void start_archiver(struct stage *stage)
{
    stage->archiver = fork();
    assert_true(stage->archiver >= 0);
    if (stage->archiver > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    log_init("archiver", LOG_ERROR);
    struct role_context context = {.role = ROLE_ARCHIVER,
                                   .loop = loop_new(),
                                   .settings = &stage->settings,
                                   .bus_fd = stage->read_fd,
                                   .wake_fd = stage->wake_fd};
    _exit(archiver_main(&context));
}

static void kill_archiver(struct stage *stage)
{
    int status;

    kill(stage->archiver, SIGKILL);
    assert_int_equal(waitpid(stage->archiver, &status, 0), stage->archiver);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void publish(struct stage *stage, unsigned count)
{
    struct buf frames = BUF_NULL;
    uint64_t one = 1;

    for (unsigned i = 0; i < count; i++) {
        struct event event = {.sequence = bus_writer_next_event(stage->writer), .type = EVENT_BORN};
        snprintf(event.text, sizeof event.text, "%u of %u", i, count);
        frame_put_event(&frames, bus_writer_next_sequence(stage->writer) + i, &event);
    }
    bus_publish(stage->writer, &frames);
    buf_fini(&frames);
    assert_true(write(stage->wake_fd, &one, sizeof one) == sizeof one || errno == EAGAIN);
}

/* The last sequence in the journal; every one from 1 must be there, once. */
static uint64_t journaled(const struct stage *stage)
{
    char dir[ARCHIVE_PATH_MAX];
    struct journal_iter *iter;
    struct journal_item item;
    uint64_t last = 0;
    int r;

    snprintf(dir, sizeof dir, "%s/journal", stage->settings.state_dir);
    if (journal_iter_open(dir, 0, &iter) < 0)
        return 0;
    while ((r = journal_iter_next(iter, &item)) > 0)
        if (r == JOURNAL_FRAME && item.header.sequence > 0) {
            assert_int_equal(item.header.sequence, last + 1);
            last = item.header.sequence;
        }
    journal_iter_close(iter);
    return last;
}

static void wait_until_journaled(const struct stage *stage, uint64_t sequence)
{
    for (unsigned tries = 0; journaled(stage) < sequence; tries++) {
        assert_true(tries < 3000);
        usleep(10000);
    }
}

static void killed_at_any_moment_it_loses_no_frame_and_keeps_none_twice(void **state)
{
    struct stage *stage = *state;
    struct eventlog_list list;
    char dir[ARCHIVE_PATH_MAX];

    srand(1);
    for (unsigned round = 0; round < KILLS; round++) {
        start_archiver(stage);
        for (unsigned i = 0; i < BATCHES; i++) {
            publish(stage, BATCH);
            usleep((useconds_t)(rand() % 1000));
        }
        if (round % 2)
            wait_until_journaled(stage, bus_writer_next_sequence(stage->writer) - BATCH);
        kill_archiver(stage);
    }
    start_archiver(stage);
    wait_until_journaled(stage, KILLS * BATCHES * BATCH);
    kill_archiver(stage);
    archive_events_dir(stage->settings.state_dir, dir);
    assert_int_equal(eventlog_read(dir, &(struct eventlog_query){.limit = UINT32_MAX}, &list), 0);
    assert_true(list.count >=
                KILLS * BATCHES * BATCH - BATCHES * BATCH); /* the newest may be in the journal alone */
    for (size_t i = 1; i < list.count; i++)
        assert_int_equal(list.events[i].sequence, list.events[i - 1].sequence + 1);
    eventlog_list_fini(&list);
}

static void a_lapped_archiver_goes_on(void **state)
{
    struct stage *stage = *state;

    start_archiver(stage);
    publish(stage, 10);
    wait_until_journaled(stage, 10);
    kill_archiver(stage);
    publish(stage, 30000); /* more than the ring holds */
    start_archiver(stage);
    for (unsigned tries = 0; tries < 3000; tries++) {
        char dir[ARCHIVE_PATH_MAX];
        struct eventlog_list list;
        archive_events_dir(stage->settings.state_dir, dir);
        assert_int_equal(eventlog_read(dir, &(struct eventlog_query){.limit = 1}, &list), 0);
        bool is_last = list.count == 1 && strcmp(list.events[0].text, "29999 of 30000") == 0;
        eventlog_list_fini(&list);
        if (is_last)
            break;
        assert_true(tries < 2999);
        usleep(10000);
    }
    kill_archiver(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_at_any_moment_it_loses_no_frame_and_keeps_none_twice,
                                        set_stage, strike_stage),
        cmocka_unit_test_setup_teardown(a_lapped_archiver_goes_on, set_stage, strike_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
