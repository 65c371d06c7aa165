#include "agent/parent_test_roles.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct role_context *tiny;

static void tell(const char *format, ...) PRINTF_LIKE(1, 2);
static void tell(const char *format, ...)
{
    char path[SETTING_PATH_MAX + 16];
    va_list args;
    (void)str_format(path, sizeof path, "%s/story", tiny->settings->run_dir);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    va_start(args, format);
    (void)vdprintf(fd, format, args);
    va_end(args);
    fd_close(fd);
}

static void send_plain(enum role_id to, uint32_t type)
{
    int r = role_send(tiny, to, &(struct link_letter){.type = type});
    (void)r;
}

static void core_on_message(void *owner, enum role_id from, struct channel_message *message)
{
    (void)owner;
    if (message->type == MESSAGE_RELOAD)
        tell("reload\n");
    if (message->type == MESSAGE_FOUND_VALUES)
        tell("enforcer answered\n");
    if (message->type == MESSAGE_RAN) {
        struct message_ran ran;
        memcpy(&ran, message->body, sizeof ran);
        tell("%s ran %u\n", roles[ran.role].name, ran.restarts);
    }
    if (message->type == MESSAGE_REQUEST) {
        struct message_request request;
        memcpy(&request, message->body, sizeof request);
        tell("%s says %s\n", roles[from].name, request.path);
    }
}

static void core_on_peer(void *owner, enum role_id peer)
{
    (void)owner;
    if (peer == ROLE_ENFORCER && role_has_peer(tiny, peer))
        send_plain(peer, MESSAGE_FOUND);
}

static struct loop_timer finishing;

static void core_on_finished(void *owner)
{
    (void)owner;
    tell("core stops\n");
    loop_stop(tiny->loop, 0);
}

/* It has something in flight, for which it needs the enforcer. */
static void core_on_stop(void *owner)
{
    (void)owner;
    loop_timer_arm_at(&finishing, clock_mono_ns() + 300 * NSEC_PER_MSEC);
}

static int tiny_core(struct role_context *context)
{
    static const struct role_handlers handlers = {
        .on_message = core_on_message, .on_peer = core_on_peer, .on_stop = core_on_stop};
    tiny = context;
    role_handle(context, &handlers, NULL);
    if (loop_timer_init(&finishing, context->loop, LOOP_NORMAL, core_on_finished, NULL) < 0)
        return 1;
    core_on_peer(NULL, ROLE_ENFORCER);
    int code = loop_run(context->loop);
    loop_timer_fini(&finishing);
    return code;
}

static void enforcer_on_message(void *owner, enum role_id from, struct channel_message *message)
{
    (void)owner;
    if (message->type == MESSAGE_FOUND)
        send_plain(from, MESSAGE_FOUND_VALUES);
}

static void enforcer_on_stop(void *owner)
{
    (void)owner;
    tell("enforcer stops\n");
    loop_stop(tiny->loop, 0);
}

static int tiny_enforcer(struct role_context *context)
{
    static const struct role_handlers handlers = {.on_message = enforcer_on_message,
                                                  .on_stop = enforcer_on_stop};
    tiny = context;
    role_handle(context, &handlers, NULL);
    return loop_run(context->loop);
}

static void say_to_core(const char *text)
{
    struct message_request request = {.kind = REQUEST_EXPLAIN};
    (void)str_copy(request.path, sizeof request.path, text);
    int r =
        role_send(tiny, ROLE_CORE,
                  &(struct link_letter){.type = MESSAGE_REQUEST, .body = &request, .len = sizeof request});
    (void)r;
}

static const char *unsaid; /* the reader was faster than core */

static void say_answer(void)
{
    if (!unsaid || !role_has_peer(tiny, ROLE_CORE))
        return;
    say_to_core(unsaid);
    unsaid = NULL;
}

static void on_answer(void *owner, struct channel_message *message)
{
    (void)owner;
    unsaid = message->type == MESSAGE_RESPONSE ? "the reader answered" : "nonsense from the reader";
    say_answer();
}

static struct link *answer; /* of the reader to the gateway */

static void ask_archive(void)
{
    static const struct link_handlers handlers = {.on_message = on_answer};
    struct message_query query = {.kind = QUERY_EVENTS};
    int ends[2];
    answer = link_free(answer);
    (void)str_copy(query.key, sizeof query.key, "lxc:web");
    if (channel_pair(ends) < 0 || link_new(tiny->loop, ends[0], &handlers, NULL, &answer) < 0)
        return;
    int r = role_send(
        tiny, ROLE_ARCHIVER,
        &(struct link_letter){
            .type = MESSAGE_QUERY, .body = &query, .len = sizeof query, .fds = &ends[1], .fd_count = 1});
    (void)r;
    fd_close(ends[1]);
}

static void gateway_on_message(void *owner, enum role_id from, struct channel_message *message)
{
    (void)owner, (void)from;
    if (message->type != MESSAGE_ROLES)
        return;
    struct message_roles all;
    memcpy(&all, message->body, sizeof all);
    char text[64];
    (void)str_format(text, sizeof text, "archiver's restarts are %u", all.roles[ROLE_ARCHIVER].restarts);
    if (all.roles[ROLE_PARENT].pid == getppid() && all.roles[ROLE_GATEWAY].pid == getpid())
        say_to_core(text);
}

static void gateway_on_peer(void *owner, enum role_id peer)
{
    (void)owner;
    if (!role_has_peer(tiny, peer))
        return;
    if (peer == ROLE_CORE) {
        say_to_core(tiny->listen_unix_fd >= 0 && tiny->bus_fd >= 0 && tiny->wake_fd >= 0 ? "hello" : "what?");
        say_answer();
    }
    if (peer == ROLE_ARCHIVER)
        ask_archive();
}

static int tiny_gateway(struct role_context *context)
{
    static const struct role_handlers handlers = {.on_message = gateway_on_message,
                                                  .on_peer = gateway_on_peer};
    tiny = context;
    role_handle(context, &handlers, NULL);
    gateway_on_peer(NULL, ROLE_CORE);
    gateway_on_peer(NULL, ROLE_ARCHIVER);
    int code = loop_run(context->loop);
    answer = link_free(answer);
    return code;
}

static void archiver_on_message(void *owner, enum role_id from, struct channel_message *message)
{
    (void)owner, (void)from;
    if (message->type != MESSAGE_QUERY)
        return;
    int r = role_send(tiny, ROLE_PARENT,
                      &(struct link_letter){.type = MESSAGE_START_READER,
                                            .body = message->body,
                                            .len = message->len,
                                            .fds = message->fds,
                                            .fd_count = message->fd_count});
    (void)r;
}

static int tiny_archiver(struct role_context *context)
{
    static const struct role_handlers handlers = {.on_message = archiver_on_message};
    tiny = context;
    role_handle(context, &handlers, NULL);
    return loop_run(context->loop);
}

static void reader_on_message(void *owner, enum role_id from, struct channel_message *message)
{
    (void)owner;
    struct message_query query;
    memcpy(&query, message->body, sizeof query);
    const struct message_response response = {
        .status = from == ROLE_PARENT && strcmp(query.key, "lxc:web") == 0 ? RESPONSE_OK : RESPONSE_FAILED};
    if (response.status == RESPONSE_OK) {
        int r = role_send(
            tiny, ROLE_GATEWAY,
            &(struct link_letter){.type = MESSAGE_RESPONSE, .body = &response, .len = sizeof response});
        (void)r;
    }
    loop_stop(tiny->loop, 0);
}

static int tiny_reader(struct role_context *context)
{
    static const struct role_handlers handlers = {.on_message = reader_on_message};
    tiny = context;
    role_handle(context, &handlers, NULL);
    return loop_run(context->loop);
}

static int tiny_courier(struct role_context *context)
{
    struct message_exec exec = {
        .event = {.type = EVENT_PRESSURE, .level = LEVEL_CRITICAL, .wall_ns = UINT64_C(1700000000012345678)}};
    tiny = context;
    (void)str_copy(exec.event.path, sizeof exec.event.path, "/lxc/web");
    (void)str_copy(exec.event.name, sizeof exec.event.name, "web");
    (void)str_copy(exec.event.text, sizeof exec.event.text, "some 40 %; $(touch /tmp/never)");
    int r = role_send(context, ROLE_PARENT,
                      &(struct link_letter){.type = MESSAGE_RUN_EXEC, .body = &exec, .len = sizeof exec});
    exec.event.type = EVENT_OOM_KILL;
    r |= role_send(context, ROLE_PARENT,
                   &(struct link_letter){.type = MESSAGE_RUN_EXEC, .body = &exec, .len = sizeof exec});
    (void)r;
    return loop_run(context->loop);
}

role_entry *const tiny_roles[ROLE_N] = {
    [ROLE_CORE] = tiny_core,       [ROLE_ENFORCER] = tiny_enforcer, [ROLE_ARCHIVER] = tiny_archiver,
    [ROLE_GATEWAY] = tiny_gateway, [ROLE_COURIER] = tiny_courier,   [ROLE_READER] = tiny_reader,
};
