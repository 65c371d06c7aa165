/*
 * Nobody outlives masud: a role stops when its control channel closes, and because a role that is busy does
 * not look at its channel, the parent's death also sends a signal whose handler starts a clock that ends the
 * process (alarm(2)).
 */

#include "agent/role_main.h"

#include "agent/build_id.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct link_owner { /* says whose link it is that a message came by */
    struct role_context *context;
    enum role_id peer;
};

struct start { /* everything of a process that is not in its context */
    struct role_context context;
    struct settings settings;
    bool has_settings;
    int peer_fds[ROLE_N]; /* given before the loop runs */
    struct link_owner owners[ROLE_N];
    struct loop_signal terminated;
    char program[64];
};

static void on_parent_death(int number)
{
    (void)number;
    (void)alarm(ROLE_STOP_S);
}

static void stop(struct role_context *context)
{
    if (context->stopping)
        return;
    context->stopping = true;
    (void)alarm(ROLE_STOP_S + 1);
    if (context->handlers.on_stop)
        context->handlers.on_stop(context->owner);
    else
        loop_stop(context->loop, 0);
}

static void on_terminated(void *owner, int number)
{
    (void)number;
    stop(owner);
}

static int take_settings(struct start *start, int fd)
{
    struct memfd_view view = MEMFD_VIEW_NULL;
    int r = memfd_map(fd, sizeof start->settings, &view);
    if (r < 0)
        return r;
    if (view.len == sizeof start->settings) {
        memcpy(&start->settings, view.bytes, sizeof start->settings);
        start->has_settings = true;
    }
    memfd_view_fini(&view);
    return start->has_settings ? 0 : -EBADMSG;
}

static void keep(int *held, int *fd)
{
    fd_close(*held);
    *held = fd_take(fd);
}

static void take_wake(struct role_context *context, enum role_id whose, int *fd)
{
    keep(whose == context->role ? &context->wake_fd : &context->wake_fds[whose], fd);
}

/* One thing given. A peer's channel is left in peer_fds. 0, or -EBADMSG. */
static int take(struct start *start, struct channel_message *message)
{
    struct message_give give;
    memcpy(&give, message->body, sizeof give);
    if (message->fd_count != 1 || give.role < 0 || give.role >= ROLE_N)
        return -EBADMSG;
    int *fd = &message->fds[0];
    switch ((enum give_what)give.what) {
    case GIVE_SETTINGS:
        return take_settings(start, *fd);
    case GIVE_BUS:
        keep(&start->context.bus_fd, fd);
        return 0;
    case GIVE_WAKE:
        take_wake(&start->context, (enum role_id)give.role, fd);
        return 0;
    case GIVE_LISTEN_UNIX:
        keep(&start->context.listen_unix_fd, fd);
        return 0;
    case GIVE_LISTEN_TCP:
        keep(&start->context.listen_tcp_fd, fd);
        return 0;
    case GIVE_PEER:
        keep(&start->peer_fds[give.role], fd);
        return 0;
    }
    return -EBADMSG;
}

static void on_peer_message(void *owner, struct channel_message *message)
{
    struct link_owner *from = owner;
    struct role_context *context = from->context;
    if (!message_fits(message, from->peer, context->role))
        log_warn("role", "message %s from %s does not fit, ignoring it", message_name(message->type),
                 roles[from->peer].name);
    else if (context->handlers.on_message)
        context->handlers.on_message(context->owner, from->peer, message);
}

static void on_peer_closed(void *owner)
{
    struct link_owner *from = owner;
    struct role_context *context = from->context;
    context->links[from->peer] = link_free(context->links[from->peer]);
    if (context->handlers.on_peer)
        context->handlers.on_peer(context->owner, from->peer);
}

/* Puts a link over what take left in peer_fds. */
static int connect_peer(struct start *start, enum role_id peer)
{
    static const struct link_handlers handlers = {.on_message = on_peer_message, .on_closed = on_peer_closed};
    struct role_context *context = &start->context;
    context->links[peer] = link_free(context->links[peer]);
    start->owners[peer] = (struct link_owner){.context = context, .peer = peer};
    int r = link_new(context->loop, start->peer_fds[peer], &handlers, &start->owners[peer],
                     &context->links[peer]);
    if (r == 0)
        start->peer_fds[peer] = -1;
    else
        fd_close(fd_take(&start->peer_fds[peer]));
    return r;
}

static void take_later(struct start *start, struct channel_message *message)
{
    struct role_context *context = &start->context;
    int r = take(start, message);
    if (r < 0)
        log_warn("role", "cannot use a descriptor from the parent: %s, ignoring it", strerror(-r));
    for (int peer = 0; peer < ROLE_N; peer++) {
        if (start->peer_fds[peer] < 0)
            continue;
        r = connect_peer(start, (enum role_id)peer);
        if (r < 0)
            log_error("role", "cannot watch the channel to %s: %s, doing without it", roles[peer].name,
                      strerror(-r));
        if (context->handlers.on_peer)
            context->handlers.on_peer(context->owner, (enum role_id)peer);
    }
}

static void on_control_message(void *owner, struct channel_message *message)
{
    struct start *start = owner;
    struct role_context *context = &start->context;
    if (!message_fits(message, ROLE_PARENT, context->role))
        log_warn("role", "message %s from the parent does not fit, ignoring it", message_name(message->type));
    else if (message->type == MESSAGE_GIVE)
        take_later(start, message);
    else if (message->type == MESSAGE_STOP)
        stop(context);
    else if (context->handlers.on_message)
        context->handlers.on_message(context->owner, ROLE_PARENT, message);
}

static void on_control_closed(void *owner)
{
    struct start *start = owner;
    start->context.links[ROLE_PARENT] = link_free(start->context.links[ROLE_PARENT]);
    stop(&start->context);
}

static int say_hello(const struct role_context *context)
{
    struct message_hello hello = {.pid = getpid(), .role = (int32_t)context->role};
    (void)str_copy(hello.build_id, sizeof hello.build_id, build_id);
    return channel_send(ROLE_CONTROL_FD, MESSAGE_HELLO, 0, &hello, sizeof hello, NULL, 0);
}

/* 1: GO; 0: go on; -errno. */
static int hear_one(struct start *start)
{
    struct channel_message message;
    int r = channel_receive(ROLE_CONTROL_FD, &message);
    if (r == CHANNEL_AGAIN) {
        struct pollfd wait = {.fd = ROLE_CONTROL_FD, .events = POLLIN};
        return poll(&wait, 1, -1) < 0 && errno != EINTR ? -errno : 0;
    }
    if (r != CHANNEL_OK)
        return r < 0 ? r : -ECONNRESET;
    if (!message_fits(&message, ROLE_PARENT, start->context.role))
        r = -EBADMSG;
    else if (message.type == MESSAGE_GO)
        r = 1;
    else if (message.type == MESSAGE_GIVE)
        r = take(start, &message);
    else if (message.type == MESSAGE_STOP)
        r = -ECANCELED;
    channel_message_fini(&message);
    return r;
}

/* Hello, gives, GO: before there is a loop. 0 or -errno. */
static int hear_go(struct start *start)
{
    int r = say_hello(&start->context);
    if (r != CHANNEL_OK)
        return r < 0 ? r : -ECONNRESET;
    do
        r = hear_one(start);
    while (r == 0);
    return r < 0 ? r : start->has_settings ? 0 : -EBADMSG;
}

static void process_init(struct start *start)
{
    enum role_id role = start->context.role;
    (void)snprintf(start->program, sizeof start->program, "%s %s", role_file_name(roles[role].file),
                   roles[role].name);
    log_init(start->program, LOG_INFO);
    char comm[16];
    (void)snprintf(comm, sizeof comm, "masu-%s", roles[role].name);
    (void)prctl(PR_SET_NAME, comm);
    (void)umask(027);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* a terminal sends it to everybody; the parent says STOP */
    (void)signal(SIGHUP, SIG_IGN);
    struct sigaction death = {.sa_handler = on_parent_death, .sa_flags = SA_RESTART};
    (void)sigaction(SIGUSR1, &death, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGUSR1);
    (void)fcntl(ROLE_CONTROL_FD, F_SETFD, FD_CLOEXEC);
    (void)fcntl(ROLE_LOCK_FD, F_SETFD, FD_CLOEXEC);
}

static void start_init(struct start *start, enum role_id role)
{
    *start = (struct start){.context = {.role = role,
                                        .settings = &start->settings,
                                        .bus_fd = -1,
                                        .wake_fd = -1,
                                        .listen_unix_fd = -1,
                                        .listen_tcp_fd = -1}};
    for (int i = 0; i < ROLE_N; i++)
        start->peer_fds[i] = start->context.wake_fds[i] = -1;
}

static void start_fini(struct start *start)
{
    struct role_context *context = &start->context;
    loop_signal_fini(&start->terminated);
    for (int i = 0; i < ROLE_N; i++) {
        context->links[i] = link_free(context->links[i]);
        fd_close(start->peer_fds[i]);
        fd_close(context->wake_fds[i]);
    }
    fd_close(context->bus_fd);
    fd_close(context->wake_fd);
    fd_close(context->listen_unix_fd);
    fd_close(context->listen_tcp_fd);
    context->loop = loop_free(context->loop);
}

/* Makes the loop and what is on it for every role. 0 or -errno. */
static int loop_begin(struct start *start)
{
    static const struct link_handlers control = {.on_message = on_control_message,
                                                 .on_closed = on_control_closed};
    struct role_context *context = &start->context;
    context->loop = loop_new();
    if (!context->loop)
        return -ENOMEM;
    int r = link_new(context->loop, ROLE_CONTROL_FD, &control, start, &context->links[ROLE_PARENT]);
    if (r == 0)
        r = loop_signal_init(&start->terminated, context->loop, SIGTERM, on_terminated, context);
    for (int peer = 0; r == 0 && peer < ROLE_N; peer++)
        if (start->peer_fds[peer] >= 0)
            r = connect_peer(start, (enum role_id)peer);
    return r;
}

static int run(struct start *start, role_entry *entry)
{
    process_init(start);
    int r = hear_go(start);
    if (r == 0)
        r = loop_begin(start);
    if (r == -ECANCELED || r == -ECONNRESET)
        return 0; /* masud is ending */
    if (r < 0) {
        log_error("role", "cannot start: %s, exiting", strerror(-r));
        return ROLE_EXIT_FAILURE;
    }
    return entry(&start->context);
}

static bool started_by_parent(void)
{
    struct stat control;
    return fstat(ROLE_CONTROL_FD, &control) == 0 && S_ISSOCK(control.st_mode);
}

int role_main(int argc, char **argv, role_entry *const entries[ROLE_N])
{
    static struct start start;
    int role = argc == 3 && strcmp(argv[1], "--role") == 0 ? role_find(argv[2]) : -1;
    if (role < 0 || !entries[role] || !started_by_parent()) {
        (void)fprintf(stderr, "%s: started by masud, not by hand; see masud(8)\n", argc ? argv[0] : "masu");
        return ROLE_EXIT_USAGE;
    }
    start_init(&start, (enum role_id)role);
    int code = run(&start, entries[role]);
    start_fini(&start);
    return code;
}
