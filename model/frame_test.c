#include "base/str.h"
#include "model/frame.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

/* A decoder and the bytes it is fed from. */
struct tape {
    struct frame_decoder *decoder;
    struct buf bytes;
    size_t at;
};

static int open_tape(void **state)
{
    struct tape *tape = calloc(1, sizeof *tape);
    *state = tape;
    tape->decoder = frame_decoder_new();
    return tape->decoder ? 0 : -1;
}

static int close_tape(void **state)
{
    struct tape *tape = *state;
    frame_decoder_free(tape->decoder);
    buf_fini(&tape->bytes);
    free(tape);
    return 0;
}

/* Decodes the next frame of the tape. */
static int play(struct tape *tape, struct frame_news *news)
{
    struct frame_header header;
    const void *payload;
    assert_int_equal(buf_error(&tape->bytes), 0);
    assert_int_equal(frame_peek(tape->bytes.data + tape->at, tape->bytes.len - tape->at, &header, &payload),
                     FRAME_OK);
    tape->at += frame_size(header.len);
    return frame_decode(tape->decoder, &header, payload, news);
}

static struct frame_born web_is_born(uint32_t slot)
{
    struct frame_born born = {.slot = slot, .wall_ns = 1000 * SECOND, .mono_ns = 10 * SECOND};
    born.cgroup_ids[0] = 4711;
    born.cgroup_ids[FRAME_HIERARCHIES_MAX - 1] = UINT64_MAX;
    str_copy(born.identity.path, sizeof born.identity.path, "/lxc/web");
    str_copy(born.identity.name, sizeof born.identity.name, "web");
    str_copy(born.identity.runtime, sizeof born.identity.runtime, "lxc");
    str_copy(born.identity.id, sizeof born.identity.id, "f00");
    return born;
}

static struct row row_at(uint64_t second)
{
    struct row row = {.wall_ns = (1000 + second) * SECOND, .mono_ns = (10 + second) * SECOND};
    row_set(&row, METRIC_CPU_USAGE, 1000000 * second);
    row_set(&row, METRIC_MEMORY_USAGE, UINT64_C(512) << 20);
    row_set(&row, METRIC_PIDS, 0);
    row_set(&row, (enum metric_id)(METRIC_N - 1), UINT64_MAX);
    return row;
}

static void assert_rows_equal(const struct row *a, const struct row *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

static void a_container_lives(void **state)
{
    struct tape *tape = *state;
    struct frame_news news;
    struct frame_born born = web_is_born(7);
    struct row first = row_at(1), second = row_at(2);
    struct frame_gone gone = {.slot = 7, .wall_ns = 1003 * SECOND, .mono_ns = 13 * SECOND};
    frame_put_born(&tape->bytes, 1, &born);
    frame_put_keyframe(&tape->bytes, 2, 7, &first);
    frame_put_delta(&tape->bytes, 3, 7, &first, &second);
    frame_put_gone(&tape->bytes, 4, &gone);

    assert_int_equal(play(tape, &news), 0);
    assert_int_equal(news.type, FRAME_BORN);
    assert_int_equal(news.slot, 7);
    assert_memory_equal(news.identity, &born.identity, sizeof born.identity);
    assert_memory_equal(news.cgroup_ids, born.cgroup_ids, sizeof born.cgroup_ids);
    assert_int_equal(play(tape, &news), 0);
    assert_rows_equal(news.row, &first);
    assert_string_equal(news.identity->name, "web");
    assert_int_equal(play(tape, &news), 0);
    assert_int_equal(news.type, FRAME_DELTA);
    assert_int_equal(news.sequence, 3);
    assert_rows_equal(news.row, &second);
    assert_true(news.mono_ns == second.mono_ns && news.wall_ns == second.wall_ns);
    assert_int_equal(play(tape, &news), 0);
    assert_int_equal(news.type, FRAME_GONE);
    assert_string_equal(news.identity->name, "web"); /* the news of a death still say whose */
    assert_int_equal(news.wall_ns, 1003 * SECOND);
    assert_int_equal(tape->at, tape->bytes.len);
}

static void numbers_come_and_go(void **state)
{
    struct tape *tape = *state;
    struct frame_news news;
    struct row rows[4] = {row_at(1), row_at(2), row_at(3), row_at(4)};
    row_unset(&rows[1], METRIC_MEMORY_USAGE);     /* a file vanished */
    row_set(&rows[2], METRIC_MEMORY_USAGE, 4096); /* and is back */
    row_set(&rows[2], METRIC_CPU_USAGE, 5);       /* a counter went back */
    row_set(&rows[3], METRIC_IO_READS, 0);        /* a new one that is zero */
    rows[3].wall_ns = 5;                          /* the wall clock was set back */
    frame_put_keyframe(&tape->bytes, 1, 3, &rows[0]);
    for (unsigned i = 1; i < 4; i++)
        frame_put_delta(&tape->bytes, i + 1, 3, &rows[i - 1], &rows[i]);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(play(tape, &news), 0);
        assert_rows_equal(news.row, &rows[i]);
    }
    assert_null(news.identity); /* this slot's birth was never seen */
    assert_null(news.cgroup_ids);
}

static void a_quiet_container_costs_few_bytes(void **state)
{
    struct tape *tape = *state;
    struct row first = row_at(1), second = row_at(1);
    second.mono_ns += SECOND;
    second.wall_ns += SECOND;
    frame_put_delta(&tape->bytes, 1, 3, &first, &second);
    assert_true(tape->bytes.len <= 48);
}

static void a_delta_without_its_base_is_never_guessed(void **state)
{
    struct tape *tape = *state;
    struct frame_news news = {.type = 99};
    struct row first = row_at(1), second = row_at(2);
    struct frame_born born = web_is_born(3);
    struct frame_epoch epoch = {
        .wall_ns = 1, .mono_ns = 2, .boot_id = "2c0f7f4c-0000-0000-0000-000000000000"};
    frame_put_delta(&tape->bytes, 1, 3, &first, &second);
    frame_put_keyframe(&tape->bytes, 2, 3, &first);
    frame_put_born(&tape->bytes, 3, &born); /* the slot is taken by another subject */
    frame_put_delta(&tape->bytes, 4, 3, &first, &second);
    frame_put_keyframe(&tape->bytes, 5, 3, &first);
    frame_put_epoch(&tape->bytes, 6, &epoch); /* core started anew */
    frame_put_delta(&tape->bytes, 7, 3, &first, &second);

    assert_int_equal(play(tape, &news), FRAME_SKIPPED);
    assert_int_equal(news.type, 99); /* untouched */
    assert_int_equal(play(tape, &news), 0);
    assert_int_equal(play(tape, &news), 0);
    assert_int_equal(play(tape, &news), FRAME_SKIPPED);
    assert_int_equal(play(tape, &news), 0);
    assert_int_equal(play(tape, &news), 0);
    assert_int_equal(news.type, FRAME_EPOCH);
    assert_string_equal(news.epoch->boot_id, epoch.boot_id);
    assert_int_equal(play(tape, &news), FRAME_SKIPPED);
}

static void events_are_told_whole(void **state)
{
    struct tape *tape = *state;
    struct frame_news news;
    struct event event = {.sequence = 12,
                          .wall_ns = 1,
                          .mono_ns = 2,
                          .type = EVENT_PRESSURE,
                          .level_before = LEVEL_LOW,
                          .level = LEVEL_CRITICAL};
    str_copy(event.path, sizeof event.path, "/lxc/web");
    str_copy(event.name, sizeof event.name, "web");
    str_copy(event.runtime, sizeof event.runtime, "lxc");
    memset(event.text, 't', sizeof event.text - 1);
    frame_put_event(&tape->bytes, 1, &event);
    assert_int_equal(play(tape, &news), 0);
    assert_memory_equal(news.event, &event, sizeof event);
    event.level = LEVEL_N;
    frame_put_event(&tape->bytes, 2, &event);
    assert_int_equal(play(tape, &news), -EBADMSG);
    event.level = 0;
    event.type = EVENT_N; /* of a later build */
    frame_put_event(&tape->bytes, 3, &event);
    assert_int_equal(play(tape, &news), FRAME_SKIPPED);
}

static void twenty_thousand_slots_are_held(void **state)
{
    struct tape *tape = *state;
    struct frame_news news;
    for (uint32_t slot = 0; slot < 20000; slot++) {
        struct row row = row_at(slot);
        buf_clear(&tape->bytes);
        tape->at = 0;
        frame_put_keyframe(&tape->bytes, slot, slot, &row);
        assert_int_equal(play(tape, &news), 0);
    }
    struct row before = row_at(123), now = row_at(124);
    frame_put_delta(&tape->bytes, 1, 123, &before, &now);
    assert_int_equal(play(tape, &news), 0);
    assert_rows_equal(news.row, &now);
    frame_put_keyframe(&tape->bytes, 1, 65536, &now); /* no table is that large */
    assert_int_equal(play(tape, &news), -EBADMSG);
}

static void a_torn_tail_is_short_and_damage_is_damage(void **state)
{
    struct tape *tape = *state;
    struct frame_header header;
    const void *payload;
    struct row row = row_at(1);
    frame_put_keyframe(&tape->bytes, 9, 1, &row);
    size_t len = tape->bytes.len;
    assert_int_equal(len % 8, 0);
    for (size_t cut = 0; cut < len; cut++) {
        char *torn = malloc(cut + 1);
        memcpy(torn, tape->bytes.data, cut);
        assert_int_equal(frame_peek(torn, cut, &header, &payload), FRAME_SHORT);
        free(torn);
    }
    assert_int_equal(frame_peek(tape->bytes.data, len, &header, &payload), FRAME_OK);
    size_t end = sizeof header + header.len;
    for (size_t i = 0; i < end; i++) {
        tape->bytes.data[i] ^= 0x10;
        int result = frame_peek(tape->bytes.data, len, &header, &payload);
        /* a changed length may also ask for more bytes than there are */
        assert_true(result == -EBADMSG || (i >= 12 && i < 16 && result == FRAME_SHORT));
        tape->bytes.data[i] ^= 0x10;
    }
}

/* Wraps any payload in a header as frame_peek would hand it on. */
static int decode_payload(struct tape *tape, uint16_t type, const void *payload, size_t len)
{
    struct frame_header header = {.magic = FRAME_MAGIC, .type = type, .len = (uint32_t)len};
    struct frame_news news;
    return frame_decode(tape->decoder, &header, payload, &news);
}

static void numbers_of_a_later_build_are_dropped(void **state)
{
    struct tape *tape = *state;
    struct buf payload = BUF_NULL;
    struct frame_news news;
    buf_put_varint(&payload, 5); /* slot */
    buf_put_varint(&payload, 1); /* wall */
    buf_put_varint(&payload, 2); /* mono */
    buf_put_varint(&payload, 4); /* words */
    buf_put_varint(&payload, 1); /* METRIC_CPU_USAGE */
    buf_put_varint(&payload, 0);
    buf_put_varint(&payload, 0);
    buf_put_varint(&payload, UINT64_C(1) << 63); /* metric 255 */
    buf_put_varint(&payload, 77);
    buf_put_varint(&payload, 88);
    struct frame_header header = {.type = FRAME_KEYFRAME, .len = (uint32_t)payload.len};
    assert_int_equal(frame_decode(tape->decoder, &header, payload.data, &news), 0);
    assert_int_equal(news.row->values[METRIC_CPU_USAGE], 77);
    assert_int_equal(news.row->have[0], 1);
    assert_int_equal(news.row->have[1], 0);
    buf_putc(&payload, 0); /* what nobody announced */
    assert_int_equal(decode_payload(tape, FRAME_KEYFRAME, payload.data, payload.len), -EBADMSG);
    assert_int_equal(decode_payload(tape, 0, "", 0), FRAME_SKIPPED);
    assert_int_equal(decode_payload(tape, FRAME_EVENT + 1, "", 0), FRAME_SKIPPED);
    buf_fini(&payload);
}

static void every_cut_payload_is_refused_and_changes_nothing(void **state)
{
    struct tape *tape = *state;
    struct row first = row_at(1), second = row_at(2);
    struct frame_news news;
    row_unset(&second, METRIC_MEMORY_USAGE);
    frame_put_keyframe(&tape->bytes, 1, 1, &first);
    assert_int_equal(play(tape, &news), 0);
    size_t start = tape->bytes.len;
    frame_put_delta(&tape->bytes, 2, 1, &first, &second);
    struct frame_header header;
    const void *payload;
    assert_int_equal(frame_peek(tape->bytes.data + start, tape->bytes.len - start, &header, &payload),
                     FRAME_OK);
    for (uint32_t len = 0; len < header.len; len++) {
        char *cut = malloc(len + 1);
        memcpy(cut, payload, len);
        assert_int_equal(decode_payload(tape, FRAME_DELTA, cut, len), -EBADMSG);
        free(cut);
    }
    assert_int_equal(play(tape, &news), 0);
    assert_rows_equal(news.row, &second);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, open_tape, close_tape)
    const struct CMUnitTest tests[] = {
        STORY(a_container_lives),
        STORY(numbers_come_and_go),
        STORY(a_quiet_container_costs_few_bytes),
        STORY(a_delta_without_its_base_is_never_guessed),
        STORY(events_are_told_whole),
        STORY(twenty_thousand_slots_are_held),
        STORY(a_torn_tail_is_short_and_damage_is_damage),
        STORY(numbers_of_a_later_build_are_dropped),
        STORY(every_cut_payload_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
