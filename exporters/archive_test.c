#include "exporters/archive_world.h"

#include "base/clock.h"
#include "exporters/eventlog.h"
#include "exporters/graph.h"
#include "model/frame.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_near(double value, double expected)
{
    if (!(value > expected - 1e-5 && value < expected + 1e-5))
        fail_msg("%g, expected %g", value, expected);
}

static void a_container_gets_files_once_it_lived_long_enough_and_loses_nothing(void **state)
{
    struct world *world = *state;

    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 55, 0.5);
    assert_false(world_has_file(world, "lxc:web"));
    world_live(world, WEB, 10, 0.5);
    assert_true(world_has_file(world, "lxc:web"));
    assert_near(world_average_at(world, "lxc:web", 10), 0.5);
    assert_near(world_average_at(world, "lxc:web", 60), 0.5);
}

static void a_container_that_dies_young_leaves_no_file(void **state)
{
    struct world *world = *state;

    world_born(world, WEB, "job", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 30, 0.5);
    world_gone(world, WEB);
    world_deliver(world);
    for (unsigned i = 0; i < 100; i++) {
        world->second++;
        world_tick(world);
    }
    assert_false(world_has_file(world, "lxc:job"));
    assert_int_equal(archive_stats(world->archive).subjects, 0);
}

static void a_recreated_container_goes_on_with_its_history(void **state)
{
    struct world *world = *state;

    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 70, 0.5);
    world_gone(world, WEB);
    world->second += 5;
    world_born(world, WEB, "web", 101);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 25, 2);
    archive_flush(world->archive, "lxc:web");
    assert_near(world_average_at(world, "lxc:web", 60), 0.5);
    assert_near(world_average_at(world, "lxc:web", 90), 2);
    assert_near(world_average_at(world, "lxc:web", 100), 2);
}

static void a_query_sees_the_newest_finished_step_at_once(void **state)
{
    struct world *world = *state;

    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 21, 0.25);
    archive_flush(world->archive, "lxc:web");
    assert_near(world_average_at(world, "lxc:web", 20), 0.25);
    json_t *object = world_history(world, "lxc:web", 0, 20);
    assert_string_equal(json_string_value(json_object_get(object, "metric")), "cpu_usage");
    assert_string_equal(json_string_value(json_object_get(object, "unit")), "cores");
    assert_int_equal(json_integer_value(json_object_get(object, "step")), 10);
    assert_true(json_is_array(json_object_get(object, "limit")));
    json_decref(object);
    object = world_history(world, "lxc:nobody", 0, 20);
    assert_int_equal(json_array_size(json_object_get(object, "points")), 0);
    assert_int_equal(json_integer_value(json_object_get(object, "step")), 10);
    json_decref(object);
}

static void two_living_subjects_of_one_key_are_kept_apart(void **state)
{
    struct world *world = *state;
    struct frame_born other = {.slot = 4,
                               .identity = {.path = "/nested/lxc/web", .name = "web", .runtime = "lxc"}};

    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    frame_put_born(&world->frames, world->sequence++, &other);
    world_sample(world, 4, 0);
    for (unsigned i = 0; i < 70; i++) {
        world->second++;
        world_sample(world, WEB, 0.5);
        world_sample(world, 4, 2);
        world_deliver(world);
        world_tick(world);
    }
    assert_string_equal(archive_key_of_path(world->archive, "/lxc/web"), "lxc:web");
    const char *key = archive_key_of_path(world->archive, "/nested/lxc/web");
    assert_string_equal(key, "lxc:web /nested/lxc/web");
    assert_near(world_average_at(world, "lxc:web", 30), 0.5);
    assert_near(world_average_at(world, key, 30), 2);
}

/* Everything since the last flush is folded again from the journal, whatever segment it is in. */
static void a_killed_archiver_takes_up_where_the_journal_ends(void **state)
{
    struct world *world = *state;
    int status;

    world->options.flush_ns = 3600 * NSEC_PER_SEC;
    archive_close(world->archive);
    pid_t pid = fork();
    if (pid == 0) {
        world_open(world);
        world_born(world, WEB, "web", 100);
        world_sample(world, WEB, 0);
        world_live(world, WEB, 95, 0.5);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    world_open(world);
    assert_true(archive_stats(world->archive).frames_replayed >= 97);
    assert_int_equal(archive_next_sequence(world->archive, LIFE), 98);
    assert_int_equal(archive_next_sequence(world->archive, LIFE + 1), 0);
    /* core goes on: its next frame is a delta to what the journal holds */
    world->second = 95;
    world->sequence = 98;
    world->rows[WEB] = (struct row){.wall_ns = world_wall_ns(world), .mono_ns = world_mono_ns(world)};
    row_set(&world->rows[WEB], METRIC_CPU_USAGE, 47500000);
    row_set(&world->rows[WEB], METRIC_MEMORY_USAGE, 1 << 20);
    row_set(&world->rows[WEB], METRIC_MEMORY_LIMIT, 2 << 20);
    world_live(world, WEB, 6, 0.5);
    archive_flush(world->archive, "lxc:web");
    for (int64_t at = 10; at <= 100; at += 10)
        assert_near(world_average_at(world, "lxc:web", at), 0.5);
}

static void a_new_segment_can_be_replayed_without_the_ones_before(void **state)
{
    struct world *world = *state;

    world->options.journal_max_bytes = 1; /* every segment but the newest is dropped */
    archive_close(world->archive);
    world_open(world);
    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 65, 0.5);
    world->life++; /* masud was restarted: a new bus, a new segment */
    world->sequence = 1;
    world_born(world, WEB, "web", 100);
    world->rows[WEB].wall_ns = 0;
    world_sample(world, WEB, 0.5);
    world_live(world, WEB, 45, 0.5);
    archive_close(world->archive);
    world_open(world);
    world_live(world, WEB, 10, 0.5);
    archive_flush(world->archive, "lxc:web");
    assert_near(world_average_at(world, "lxc:web", 110), 0.5);
}

static void what_the_bus_lost_is_a_gap_and_said(void **state)
{
    struct world *world = *state;
    struct frame_born again = {.slot = WEB,
                               .identity = {.path = "/lxc/web", .name = "web", .runtime = "lxc"}};
    struct buf frames = BUF_NULL;
    char text[ARCHIVE_TEXT_MAX];

    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 70, 0.5);
    assert_false(archive_trouble(world->archive, text));
    frame_put_born(&frames, 0, &again);
    archive_lost(world->archive, LIFE, 500, &frames);
    buf_fini(&frames);
    assert_true(archive_trouble(world->archive, text));
    assert_non_null(strstr(text, "500 frames"));
    world_live(world, WEB, 10, 0.5); /* deltas whose base was lost: skipped, not guessed */
    world->second += 60;
    world->sequence += 500;
    world->rows[WEB].wall_ns = 0;
    world_sample(world, WEB, 0);
    world_live(world, WEB, 20, 1);
    archive_flush(world->archive, "lxc:web");
    assert_near(world_average_at(world, "lxc:web", 60), 0.5);
    assert_near(world_average_at(world, "lxc:web", 100), -1);
    assert_near(world_average_at(world, "lxc:web", 150), 1);
}

static void an_absence_costs_only_its_own_steps(void **state)
{
    struct world *world = *state;

    world->options.after_ns = 3600 * NSEC_PER_SEC; /* all points wait together */
    archive_close(world->archive);
    world_open(world);
    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 30, 0.5);
    world->second += 60;
    world_live(world, WEB, 20, 2);
    archive_flush(world->archive, "lxc:web");
    assert_near(world_average_at(world, "lxc:web", 30), 0.5);
    assert_near(world_average_at(world, "lxc:web", 80), -1);
    assert_near(world_average_at(world, "lxc:web", 100), 2);
    assert_near(world_average_at(world, "lxc:web", 110), 2);
}

static void what_a_stop_had_no_time_to_write_is_in_the_journal(void **state)
{
    struct world *world = *state;

    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 95, 0.5);
    archive_flush_all(world->archive, 0);
    assert_near(world_average_at(world, "lxc:web", 90), -1);
    archive_close(world->archive);
    world_open(world);
    archive_flush_all(world->archive, UINT64_MAX);
    for (int64_t at = 10; at <= 90; at += 10)
        assert_near(world_average_at(world, "lxc:web", at), 0.5);
}

static void a_restart_removes_no_files_before_it_knows_who_lives(void **state)
{
    struct world *world = *state;

    world_born(world, WEB, "web", 100);
    world_born(world, DB, "db", 200);
    world_sample(world, WEB, 0);
    for (unsigned i = 0; i < 70; i++) {
        world_live(world, WEB, 1, 0.5);
        world_sample(world, DB, 0.5);
    }
    assert_true(world_has_file(world, "lxc:web") && world_has_file(world, "lxc:db"));
    archive_close(world->archive);
    world->options.max_bytes = 1;
    world->life++; /* masud was restarted, and db has ended meanwhile */
    world->sequence = 1;
    world_open(world);
    world_tick(world);
    assert_true(world_has_file(world, "lxc:web") && world_has_file(world, "lxc:db"));
    world_born(world, WEB, "web", 100);
    world->rows[WEB].wall_ns = 0;
    world_live(world, WEB, 70, 0.5);
    assert_true(world_has_file(world, "lxc:web"));
    assert_false(world_has_file(world, "lxc:db"));
}

static void events_are_kept_once_over_a_replay(void **state)
{
    struct world *world = *state;
    struct event event = {.sequence = 5000, .type = EVENT_OOM_KILL, .path = "/lxc/web", .text = "killed"};
    struct eventlog_list list;
    char dir[ARCHIVE_PATH_MAX];

    frame_put_event(&world->frames, world->sequence++, &event);
    world_deliver(world);
    archive_close(world->archive);
    world_open(world);
    archive_events_dir(world->state_dir, dir);
    assert_int_equal(eventlog_read(dir, &(struct eventlog_query){.limit = 10}, &list), 0);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.events[0].text, "killed");
    eventlog_list_fini(&list);
}

/* Draws as a reader does, in a process of its own: librrd 1.7 and fontconfig never free all that a picture
 * took. */
static int draw(const struct graph_query *query, struct buf *image, char *why, size_t why_size)
{
    int pipe_fds[2], status;
    char bytes[65536];
    ssize_t n;

    buf_clear(image);
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int r = graph_draw(query, image, why, why_size);
        n = write(pipe_fds[1], r == 0 ? image->data : why, r == 0 ? image->len : strlen(why));
        _exit(n > 0 ? -r : 255);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], bytes, sizeof bytes)) > 0)
        buf_append(image, bytes, (size_t)n);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0)
        snprintf(why, why_size, "%s", image->data);
    return -WEXITSTATUS(status);
}

static void a_graph_is_a_picture_or_says_why_not(void **state)
{
    struct world *world = *state;
    struct graph_query query = {
        .history = {world->files_dir, "lxc:web", METRIC_MEMORY_USAGE, NOON_S, NOON_S + 600, 10},
        .title = "we:b \\",
        .width = 800,
        .height = 240};
    struct buf image = BUF_NULL;
    char why[128];

    assert_int_equal(draw(&query, &image, why, sizeof why), -ENOENT);
    assert_non_null(strstr(why, "lxc:web"));
    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 70, 0.5);
    assert_int_equal(draw(&query, &image, why, sizeof why), 0);
    assert_memory_equal(image.data, "\x89PNG", 4);
    buf_clear(&image);
    query.svg = true;
    for (unsigned id = 0; id < METRIC_N; id++)
        if (metrics[id].rrd) {
            query.history.metric = (enum metric_id)id;
            buf_clear(&image);
            if (draw(&query, &image, why, sizeof why) != 0)
                fail_msg("%s: %s", metrics[id].name, why);
            assert_non_null(strstr(image.data, "<svg"));
        }
    buf_fini(&image);
}

/* Memory has one in this world, CPU has none, and nothing limits what PSI tells. */
static void a_limit_is_drawn_only_where_one_was(void **state)
{
    struct world *world = *state;
    struct history_query query = {world->files_dir, "lxc:web", METRIC_MEMORY_USAGE, NOON_S, NOON_S + 60, 10};

    assert_false(history_has_limit(&query));
    world_born(world, WEB, "web", 100);
    world_sample(world, WEB, 0);
    world_live(world, WEB, 70, 0.5);
    assert_true(history_has_limit(&query));
    query.metric = METRIC_CPU_USAGE;
    assert_false(history_has_limit(&query));
    query.metric = METRIC_MEMORY_PRESSURE_SOME;
    assert_false(history_has_limit(&query));
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, world_make, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_container_gets_files_once_it_lived_long_enough_and_loses_nothing),
        STORY(a_container_that_dies_young_leaves_no_file),
        STORY(a_recreated_container_goes_on_with_its_history),
        STORY(a_query_sees_the_newest_finished_step_at_once),
        STORY(two_living_subjects_of_one_key_are_kept_apart),
        STORY(a_killed_archiver_takes_up_where_the_journal_ends),
        STORY(a_new_segment_can_be_replayed_without_the_ones_before),
        STORY(what_the_bus_lost_is_a_gap_and_said),
        STORY(an_absence_costs_only_its_own_steps),
        STORY(what_a_stop_had_no_time_to_write_is_in_the_journal),
        STORY(a_restart_removes_no_files_before_it_knows_who_lives),
        STORY(events_are_kept_once_over_a_replay),
        STORY(a_graph_is_a_picture_or_says_why_not),
        STORY(a_limit_is_drawn_only_where_one_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
