#include "exporters/eventlog.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIFE = 77, KIB = 1024 };

static char dir[64];

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/masu-journal-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct journal *open_journal(uint64_t max_bytes, uint64_t segment_bytes)
{
    struct journal_options options = {.dir = dir, .max_bytes = max_bytes, .segment_bytes = segment_bytes};
    struct journal *journal;

    assert_int_equal(journal_open(&options, &journal), 0);
    return journal;
}

static void start(struct journal *journal, uint64_t life)
{
    struct journal_segment segment = {.life = life, .wall_ns = 5, .boot_id = "boot"};
    struct buf none = BUF_NULL;

    assert_int_equal(journal_start_segment(journal, &segment, &none), 0);
}

static void put_event(struct buf *frames, uint64_t sequence)
{
    struct event event = {.sequence = sequence, .wall_ns = sequence, .type = EVENT_POLICY};

    snprintf(event.text, sizeof event.text, "event %llu", (unsigned long long)sequence);
    frame_put_event(frames, sequence, &event);
}

static void append(struct journal *journal, uint64_t first, uint64_t count)
{
    struct buf frames = BUF_NULL;

    for (uint64_t i = 0; i < count; i++)
        put_event(&frames, first + i);
    assert_int_equal(journal_append(journal, &frames), 0);
    buf_fini(&frames);
}

/* Walks the journal: frames must be of growing sequences. Returns how many. */
static unsigned replay(uint64_t from, uint64_t *ret_last, uint64_t *ret_skipped)
{
    struct journal_iter *iter;
    struct journal_item item;
    unsigned count = 0;
    int r;

    *ret_last = 0;
    assert_int_equal(journal_iter_open(dir, from, &iter), 0);
    while ((r = journal_iter_next(iter, &item)) != JOURNAL_END) {
        if (r == JOURNAL_SEGMENT) {
            assert_string_equal(item.segment->boot_id, "boot");
            continue;
        }
        assert_true(item.header.sequence > *ret_last);
        *ret_last = item.header.sequence;
        count++;
    }
    *ret_skipped = journal_iter_skipped_bytes(iter);
    journal_iter_close(iter);
    return count;
}

static void what_was_appended_is_there_after_reopening(void **state)
{
    struct journal *journal = open_journal(KIB * KIB, 64 * KIB);
    uint64_t last, skipped;

    (void)state;
    assert_true(journal_wants_segment(journal, LIFE));
    start(journal, LIFE);
    assert_false(journal_wants_segment(journal, LIFE));
    append(journal, 1, 100);
    journal_close(journal);
    journal = open_journal(KIB * KIB, 64 * KIB);
    assert_int_equal(journal_life(journal), LIFE);
    assert_int_equal(journal_last_sequence(journal), 100);
    assert_int_equal(journal_cut_bytes(journal), 0);
    append(journal, 101, 50);
    journal_close(journal);
    assert_int_equal(replay(0, &last, &skipped), 150);
    assert_int_equal(last, 150);
    assert_int_equal(skipped, 0);
}

static char *segment_path(unsigned number)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%08u.mj", dir, number);
    return path;
}

static void a_torn_tail_is_cut_wherever_it_was_torn(void **state)
{
    struct journal *journal = open_journal(KIB * KIB, 64 * KIB);
    struct stat whole;
    uint64_t last, skipped;

    (void)state;
    start(journal, LIFE);
    append(journal, 1, 20);
    journal_close(journal);
    assert_int_equal(stat(segment_path(1), &whole), 0);
    for (off_t cut = 1; cut < 200; cut += 7) {
        assert_int_equal(truncate(segment_path(1), whole.st_size - cut), 0);
        journal = open_journal(KIB * KIB, 64 * KIB);
        uint64_t sequence = journal_last_sequence(journal);
        assert_true(sequence >= 14 && sequence < 20);
        append(journal, sequence + 1, 20 - sequence); /* again from the bus */
        assert_int_equal(journal_last_sequence(journal), 20);
        journal_close(journal);
        assert_int_equal(replay(0, &last, &skipped), 20);
        assert_int_equal(skipped, 0);
    }
}

static void damage_amid_a_segment_costs_only_what_it_hit(void **state)
{
    struct journal *journal = open_journal(KIB * KIB, 64 * KIB);
    uint64_t last, skipped;

    (void)state;
    start(journal, LIFE);
    append(journal, 1, 50);
    journal_close(journal);
    int fd = open(segment_path(1), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\xff\xff\xff", 3, 1000), 3);
    close(fd);
    journal = open_journal(KIB * KIB, 64 * KIB);
    assert_int_equal(journal_last_sequence(journal), 50);
    journal_close(journal);
    assert_int_equal(replay(0, &last, &skipped), 49);
    assert_true(skipped > 0);
}

static void another_life_begins_another_segment(void **state)
{
    struct journal *journal = open_journal(KIB * KIB, 64 * KIB);

    (void)state;
    start(journal, LIFE);
    append(journal, 1, 50);
    assert_true(journal_wants_segment(journal, LIFE + 1));
    start(journal, LIFE + 1);
    assert_int_equal(journal_last_sequence(journal), 0);
    assert_int_equal(journal_segment_number(journal), 2);
    append(journal, 1, 3);
    journal_close(journal);
    journal = open_journal(KIB * KIB, 64 * KIB);
    assert_int_equal(journal_life(journal), LIFE + 1);
    assert_int_equal(journal_last_sequence(journal), 3);
    journal_close(journal);
}

static void fill(struct journal *journal, unsigned batches)
{
    for (unsigned i = 0; i < batches; i++) {
        if (journal_wants_segment(journal, LIFE))
            start(journal, LIFE);
        append(journal, journal_last_sequence(journal) + 1, 50);
    }
}

static void the_oldest_segments_go_when_the_bound_is_reached(void **state)
{
    struct journal *journal = open_journal(100 * KIB, 10 * KIB);
    uint64_t *numbers, last, skipped;

    (void)state;
    journal_folded(journal, UINT64_MAX);
    fill(journal, 200);
    assert_int_equal(journal_forced_drops(journal), 0);
    assert_true(journal_bytes(journal) <= 115 * KIB);
    int count = journal_list(dir, &numbers);
    assert_true(count >= 8 && count <= 12);
    assert_true(numbers[0] > 1);
    free(numbers);
    journal_close(journal);
    assert_true(replay(0, &last, &skipped) > 500);
    assert_int_equal(last, 10000);
}

static void a_drop_of_what_is_still_needed_is_counted(void **state)
{
    struct journal *journal = open_journal(100 * KIB, 10 * KIB);

    (void)state;
    journal_folded(journal, 3);
    fill(journal, 200);
    assert_true(journal_forced_drops(journal) > 0);
    journal_close(journal);
}

static void a_full_disk_leaves_whole_frames_and_the_same_can_be_tried_again(void **state)
{
    struct journal *journal = open_journal(KIB * KIB, 640 * KIB);
    struct rlimit before, tight = {.rlim_cur = 4 * KIB};
    struct buf frames = BUF_NULL;
    uint64_t last, skipped;

    (void)state;
    start(journal, LIFE);
    append(journal, 1, 50);
    for (uint64_t i = 51; i <= 150; i++)
        put_event(&frames, i);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    assert_true(journal_append(journal, &frames) < 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(journal_last_sequence(journal), 50);
    assert_int_equal(journal_append(journal, &frames), 0);
    buf_fini(&frames);
    journal_close(journal);
    assert_int_equal(replay(0, &last, &skipped), 150);
    assert_int_equal(skipped, 0);
}

static void tell(struct eventlog *log, uint64_t number)
{
    struct event event = {.sequence = number, .wall_ns = number, .type = EVENT_BORN};

    snprintf(event.text, sizeof event.text, "number %llu", (unsigned long long)number);
    assert_int_equal(eventlog_append(log, &event), 0);
}

static struct eventlog_list ask(struct eventlog_query query)
{
    struct eventlog_list list = {0};

    assert_int_equal(eventlog_read(dir, &query, &list), 0);
    return list;
}

static void the_event_log_answers_with_the_newest_oldest_first(void **state)
{
    struct eventlog *log;

    (void)state;
    struct eventlog_list list = ask((struct eventlog_query){.limit = 10});
    assert_int_equal(list.count, 0);
    assert_int_equal(eventlog_open(dir, 16 * KIB * KIB, &log), 0);
    for (uint64_t number = 1000; number < 1300; number++)
        tell(log, number);
    eventlog_close(log);
    assert_int_equal(eventlog_open(dir, 16 * KIB * KIB, &log), 0);
    tell(log, 1299); /* told again by a replay */
    tell(log, 1300);
    eventlog_close(log);
    list = ask((struct eventlog_query){.limit = 3});
    assert_int_equal(list.count, 3);
    assert_int_equal(list.events[0].sequence, 1298);
    assert_string_equal(list.events[2].text, "number 1300");
    eventlog_list_fini(&list);
    list = ask((struct eventlog_query){.after = 1290, .limit = 100});
    assert_int_equal(list.count, 10);
    assert_int_equal(list.events[0].sequence, 1291);
    eventlog_list_fini(&list);
}

static void births_do_not_push_out_what_is_asked_for(void **state)
{
    enum { KILLS = 3, STORM = 30000 }; /* more than one segment holds */
    struct event killed = {.type = EVENT_OOM_KILL, .path = "/lxc/web"};
    struct eventlog *log;
    uint64_t *segments;
    struct eventlog_query kills = {.limit = 2, .filter = {.types = 1U << EVENT_OOM_KILL}};

    (void)state;
    assert_int_equal(eventlog_open(dir, 16 * KIB * KIB, &log), 0);
    while (killed.sequence++ < KILLS)
        assert_int_equal(eventlog_append(log, &killed), 0);
    for (uint64_t number = KILLS + 1; number < STORM; number++)
        tell(log, number);
    eventlog_close(log);
    assert_true(journal_list(dir, &segments) > 1);
    free(segments);
    struct eventlog_list list = ask(kills);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.events[1].sequence, KILLS);
    eventlog_list_fini(&list);
    kills.after = KILLS - 1;
    str_copy(kills.filter.path, sizeof kills.filter.path, "/lxc/*");
    list = ask(kills);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.events[0].sequence, KILLS);
    eventlog_list_fini(&list);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(what_was_appended_is_there_after_reopening),
        STORY(a_torn_tail_is_cut_wherever_it_was_torn),
        STORY(damage_amid_a_segment_costs_only_what_it_hit),
        STORY(another_life_begins_another_segment),
        STORY(the_oldest_segments_go_when_the_bound_is_reached),
        STORY(a_drop_of_what_is_still_needed_is_counted),
        STORY(a_full_disk_leaves_whole_frames_and_the_same_can_be_tried_again),
        STORY(the_event_log_answers_with_the_newest_oldest_first),
        STORY(births_do_not_push_out_what_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
