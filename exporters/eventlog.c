#include "exporters/eventlog.h"

#include "base/clock.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT_BYTES = 1 << 20, LIFE = 1 };

struct eventlog {
    struct journal *journal;
    uint64_t newest; /* number */
};

/* --- reading --- */

void eventlog_list_fini(struct eventlog_list *list)
{
    free(list->events);
    *list = (struct eventlog_list){0};
}

/* Appends what segment @number holds of what is asked for. *ret_newer: whether it holds any event beyond
 * query->after. 0 or -errno. */
static int read_segment(const char *dir, uint64_t number, const struct eventlog_query *query, struct buf *out,
                        bool *ret_newer)
{
    struct journal_iter *iter;
    struct journal_item item;
    struct frame_news news;
    struct frame_decoder *decoder = frame_decoder_new();
    int r = decoder ? journal_iter_open(dir, number, &iter) : -ENOMEM;

    if (r < 0) {
        frame_decoder_free(decoder);
        return r;
    }
    while ((r = journal_iter_next(iter, &item)) > 0) {
        if (item.segment->number != number)
            break;
        if (r != JOURNAL_FRAME || frame_decode(decoder, &item.header, item.payload, &news) != 0 ||
            !news.event || news.event->sequence <= query->after)
            continue;
        *ret_newer = true;
        if (event_filter_fits(&query->filter, news.event))
            buf_append(out, news.event, sizeof *news.event);
    }
    journal_iter_close(iter);
    frame_decoder_free(decoder);
    return r < 0 ? r : buf_error(out);
}

/* Puts the events of segment @number before those of @list. *ret_newer as above. */
static int prepend_segment(const char *dir, uint64_t number, const struct eventlog_query *query,
                           struct eventlog_list *list, bool *ret_newer)
{
    struct buf events = BUF_NULL;
    int r = read_segment(dir, number, query, &events, ret_newer);

    if (r == 0 && list->count > 0)
        buf_append(&events, list->events, list->count * sizeof *list->events);
    if (r == 0)
        r = buf_error(&events);
    if (r < 0) {
        buf_fini(&events);
        return r;
    }
    free(list->events);
    list->count = events.len / sizeof *list->events;
    list->events = (void *)buf_take(&events);
    return 0;
}

int eventlog_read(const char *dir, const struct eventlog_query *query, struct eventlog_list *ret)
{
    struct eventlog_list list = {0};
    uint64_t *numbers = NULL;
    int count = journal_list(dir, &numbers), r = 0;
    uint32_t limit = query->limit;

    while (r == 0 && count > 0 && list.count < limit) {
        bool newer = false;
        r = prepend_segment(dir, numbers[--count], query, &list, &newer);
        if (query->after > 0 && !newer)
            break; /* older segments hold older numbers */
    }
    free(numbers);
    if (count < 0 && count != -ENOENT)
        r = count;
    if (r < 0) {
        eventlog_list_fini(&list);
        return r;
    }
    if (list.count > limit) {
        memmove(list.events, list.events + (list.count - limit), limit * sizeof *list.events);
        list.count = limit;
    }
    *ret = list;
    return 0;
}

/* --- writing --- */

int eventlog_open(const char *dir, uint64_t max_bytes, struct eventlog **ret)
{
    struct journal_options options = {
        .dir = dir, .max_bytes = max_bytes, .segment_bytes = SEGMENT_BYTES, .sync_ns = NSEC_PER_SEC};
    struct eventlog *log = calloc(1, sizeof *log);
    struct eventlog_list last = {0};

    if (!log)
        return -ENOMEM;
    int r = journal_open(&options, &log->journal);
    if (r == 0)
        r = eventlog_read(dir, &(struct eventlog_query){.limit = 1}, &last);
    if (r < 0) {
        eventlog_close(log);
        return r;
    }
    if (last.count > 0)
        log->newest = last.events[0].sequence;
    eventlog_list_fini(&last);
    journal_folded(log->journal, UINT64_MAX);
    *ret = log;
    return 0;
}

struct eventlog *eventlog_close(struct eventlog *log)
{
    if (log) {
        journal_close(log->journal);
        free(log);
    }
    return NULL;
}

int eventlog_append(struct eventlog *log, const struct event *event)
{
    struct buf frame = BUF_NULL, none = BUF_NULL;
    int r = 0;

    if (event->sequence <= log->newest)
        return 0;
    if (journal_wants_segment(log->journal, LIFE)) {
        struct journal_segment segment = {.life = LIFE, .wall_ns = event->wall_ns};
        r = journal_start_segment(log->journal, &segment, &none);
    }
    frame_put_event(&frame, journal_last_sequence(log->journal) + 1, event);
    if (r == 0)
        r = buf_error(&frame);
    if (r == 0)
        r = journal_append(log->journal, &frame);
    if (r == 0)
        log->newest = event->sequence;
    buf_fini(&frame);
    return r;
}

int eventlog_sync(struct eventlog *log, uint64_t now_mono_ns)
{
    return journal_sync(log->journal, now_mono_ns);
}
