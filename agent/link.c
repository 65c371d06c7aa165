#include "agent/link.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES_PER_TURN = 16 };

struct waiting { /* a letter that did not fit the socket */
    struct waiting *next;
    uint32_t type;
    uint64_t id;
    size_t len;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count;
    uint8_t body[];
};

struct link {
    struct loop *loop;
    int fd;
    struct loop_watch readable, writable;
    struct link_handlers handlers;
    void *owner;
    struct waiting *first, **last;
    unsigned queued;
    bool closed;
    bool *ret_freed; /* set while a handler runs: it may free the link */
};

static void on_readable(void *owner, int fd, unsigned what);
static void on_writable(void *owner, int fd, unsigned what);

static void waiting_free(struct waiting *letter)
{
    for (unsigned i = 0; i < letter->fd_count; i++)
        fd_close(letter->fds[i]);
    free(letter);
}

static void queue_pop(struct link *link)
{
    struct waiting *letter = link->first;
    link->first = letter->next;
    if (!link->first)
        link->last = &link->first;
    link->queued--;
    waiting_free(letter);
}

static void queue_clear(struct link *link)
{
    while (link->first)
        queue_pop(link);
}

int link_new(struct loop *loop, int fd, const struct link_handlers *handlers, void *owner, struct link **ret)
{
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return -ENOMEM;
    *link = (struct link){.loop = loop, .fd = fd, .handlers = *handlers, .owner = owner};
    link->last = &link->first;
    int r = loop_watch_init(&link->readable, loop, fd, LOOP_READ, LOOP_NORMAL, on_readable, link);
    if (r < 0) {
        free(link);
        return r;
    }
    *ret = link;
    return 0;
}

struct link *link_free(struct link *link)
{
    if (!link)
        return NULL;
    if (link->ret_freed)
        *link->ret_freed = true;
    loop_watch_fini(&link->readable);
    loop_watch_fini(&link->writable);
    queue_clear(link);
    fd_close(link->fd);
    free(link);
    return NULL;
}

static void link_break(struct link *link)
{
    link->closed = true;
    loop_watch_fini(&link->readable);
    loop_watch_fini(&link->writable);
    queue_clear(link);
    if (link->handlers.on_closed)
        link->handlers.on_closed(link->owner);
}

static void on_readable(void *owner, int fd, unsigned what)
{
    struct link *link = owner;
    bool freed = false;
    (void)what;
    for (unsigned i = 0; i < MESSAGES_PER_TURN && !freed; i++) {
        struct channel_message message;
        int r = channel_receive(fd, &message);
        if (r == CHANNEL_AGAIN)
            return;
        if (r != CHANNEL_OK) {
            link_break(link);
            return;
        }
        link->ret_freed = &freed;
        if (link->handlers.on_message)
            link->handlers.on_message(link->owner, &message);
        channel_message_fini(&message);
        if (!freed)
            link->ret_freed = NULL;
    }
}

static void on_writable(void *owner, int fd, unsigned what)
{
    struct link *link = owner;
    (void)what;
    while (link->first) {
        const struct waiting *letter = link->first;
        int r = channel_send(fd, letter->type, letter->id, letter->body, letter->len, letter->fds,
                             letter->fd_count);
        if (r == CHANNEL_AGAIN)
            return;
        queue_pop(link); /* sent, or never sendable: a broken channel shows itself to on_readable */
    }
    loop_watch_fini(&link->writable);
}

static int waiting_new(const struct link_letter *letter, struct waiting **ret)
{
    struct waiting *copy = malloc(sizeof *copy + letter->len);
    if (!copy)
        return -ENOMEM;
    *copy = (struct waiting){.type = letter->type, .id = letter->id, .len = letter->len};
    if (letter->len)
        memcpy(copy->body, letter->body, letter->len);
    for (; copy->fd_count < letter->fd_count; copy->fd_count++) {
        int fd = fcntl(letter->fds[copy->fd_count], F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            int error = -errno;
            waiting_free(copy);
            return error;
        }
        copy->fds[copy->fd_count] = fd;
    }
    *ret = copy;
    return 0;
}

static int link_queue(struct link *link, const struct link_letter *letter)
{
    if (link->queued == LINK_QUEUE_MAX)
        return LINK_FULL;
    struct waiting *copy = NULL;
    int r = waiting_new(letter, &copy);
    if (r < 0)
        return r;
    if (!link->first) {
        r = loop_watch_init(&link->writable, link->loop, link->fd, LOOP_WRITE, LOOP_NORMAL, on_writable,
                            link);
        if (r < 0) {
            waiting_free(copy);
            return r;
        }
    }
    *link->last = copy;
    link->last = &copy->next;
    link->queued++;
    return LINK_SENT;
}

int link_send(struct link *link, const struct link_letter *letter)
{
    if (link->closed)
        return LINK_CLOSED;
    if (letter->len > CHANNEL_BODY_MAX || letter->fd_count > CHANNEL_FDS_MAX)
        return -EMSGSIZE;
    if (link->first)
        return link_queue(link, letter);
    int r = channel_send(link->fd, letter->type, letter->id, letter->body, letter->len, letter->fds,
                         letter->fd_count);
    if (r == CHANNEL_AGAIN)
        return link_queue(link, letter);
    return r == CHANNEL_OK ? LINK_SENT : r == CHANNEL_CLOSED ? LINK_CLOSED : r;
}

unsigned link_queued(const struct link *link)
{
    return link->queued;
}
