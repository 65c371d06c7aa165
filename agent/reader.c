/*
 * A reader: lives for one query. It reads the archive's files and answers on the gateway's own channel, so
 * neither a slow picture nor a damaged file ever keeps the archiver.
 */

#include "agent/role.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/str.h"
#include "exporters/archive.h"
#include "exporters/eventlog.h"
#include "exporters/graph.h"
#include "exporters/json.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_MAX = 320, EVENTS_MOST = 10000, REACH_S = 401 * 86400 };

struct answer {
    struct buf bytes;
    char why[WHY_MAX];
};

static int answer_events(const struct settings *settings, const struct message_query *query,
                         struct answer *answer)
{
    struct eventlog_list list = {0};
    char dir[ARCHIVE_PATH_MAX];
    struct eventlog_query wanted = {.after = query->after,
                                    .limit = query->limit < EVENTS_MOST ? query->limit : EVENTS_MOST,
                                    .filter = query->filter};
    int r = eventlog_read(archive_events_dir(settings->state_dir, dir), &wanted, &list);
    json_t *events = json_array(), *object = json_object();

    for (size_t i = 0; r == 0 && i < list.count; i++)
        if (json_array_append_new(events, json_event(&list.events[i])) < 0)
            r = -ENOMEM;
    if (r == 0 && json_object_set(object, "events", events) < 0)
        r = -ENOMEM;
    char *text = r == 0 ? json_dumps(object, JSON_DUMP_FLAGS) : NULL;
    if (r == 0 && !text)
        r = -ENOMEM;
    if (text)
        buf_puts(&answer->bytes, text);
    free(text);
    json_decref(events);
    json_decref(object);
    eventlog_list_fini(&list);
    return r;
}

/* librrd makes room for every step that is asked for, also where the archive has none: before its oldest
 * point, and after now. */
static void clip(struct message_query *query)
{
    int64_t now_s = (int64_t)(clock_wall_ns() / NSEC_PER_SEC);

    if (query->to_s > now_s)
        query->to_s = query->from_s < now_s ? now_s : query->from_s + 1;
    if (query->to_s - query->from_s > REACH_S)
        query->from_s = query->to_s - REACH_S;
}

static int answer_query(const struct settings *settings, const struct message_query *query,
                        struct answer *answer)
{
    char dir[ARCHIVE_PATH_MAX];
    struct graph_query graph = {
        .history = {.files_dir = archive_files_dir(settings->state_dir, dir),
                    .key = query->key,
                    .metric = (enum metric_id)query->metric,
                    .from_s = query->from_s,
                    .to_s = query->to_s,
                    .step_s = (uint32_t)(settings->archive_step_ns / NSEC_PER_SEC)},
        .title = query->title,
        .width = query->width,
        .height = query->height,
        .svg = query->svg,
    };

    if (query->kind == QUERY_EVENTS)
        return answer_events(settings, query, answer);
    if (query->metric < 0 || query->metric >= METRIC_N || !metrics[query->metric].rrd ||
        query->from_s >= query->to_s)
        return -EINVAL;
    if (query->kind == QUERY_HISTORY)
        return history_json(&graph.history, &answer->bytes, answer->why, sizeof answer->why);
    if (query->kind == QUERY_GRAPH)
        return graph_draw(&graph, &answer->bytes, answer->why, sizeof answer->why);
    return -EINVAL;
}

static int send_answer(struct role_context *context, uint64_t id, int result, struct answer *answer)
{
    struct message_response response = {.status = RESPONSE_OK};

    if (result < 0) {
        response.status = result == -ENOENT ? RESPONSE_MISSING : RESPONSE_FAILED;
        buf_clear(&answer->bytes);
        buf_puts(&answer->bytes, *answer->why ? answer->why : strerror(-result));
    }
    CLEANUP_FD int fd = memfd_seal_bytes("masu-answer", answer->bytes.data, answer->bytes.len);
    if (fd < 0)
        return fd;
    struct link_letter letter = {.type = MESSAGE_RESPONSE,
                                 .id = id,
                                 .body = &response,
                                 .len = sizeof response,
                                 .fds = &fd,
                                 .fd_count = 1};
    return role_send(context, ROLE_GATEWAY, &letter);
}

static void on_message(void *owner, enum role_id from, struct channel_message *message)
{
    struct role_context *context = owner;
    struct message_query query;
    struct answer answer = {.bytes = BUF_NULL};

    if (from != ROLE_PARENT || message->type != MESSAGE_QUERY || message->len != sizeof query)
        return;
    memcpy(&query, message->body, sizeof query);
    query.key[sizeof query.key - 1] = query.title[sizeof query.title - 1] = '\0';
    query.filter.path[sizeof query.filter.path - 1] = '\0';
    clip(&query);
    int result = answer_query(context->settings, &query, &answer);
    if (result < 0 && result != -ENOENT)
        log_warn("reader", "'%s': %s", query.key, *answer.why ? answer.why : strerror(-result));
    int r = send_answer(context, message->id, result, &answer);
    if (r != ROLE_SENT)
        log_warn("reader", "the answer about '%s' cannot be sent (%d)", query.key, r);
    buf_fini(&answer.bytes);
    loop_stop(context->loop, r == ROLE_SENT ? 0 : 1);
}

int reader_main(struct role_context *context)
{
    static const struct role_handlers handlers = {.on_message = on_message};

    role_handle(context, &handlers, context);
    return loop_run(context->loop);
}
