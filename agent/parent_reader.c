#include "agent/parent_reader.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct question {
    struct message_query query;
    int answer_fd;
};

struct reader {
    struct readers *all;
    struct child child;
    struct question question;
    struct loop_timer deadline;
};

struct readers {
    const struct nursery *nursery;
    struct reader running[READERS_MAX];
    struct question waiting[READERS_WAITING_MAX]; /* a ring */
    unsigned first, count;
    bool stopping;
};

static void on_hello(void *owner)
{
    struct reader *reader = owner;
    struct child *child = &reader->child;
    child_give(child, GIVE_SETTINGS, ROLE_PARENT, reader->all->nursery->settings_fd);
    child_give(child, GIVE_PEER, ROLE_GATEWAY, reader->question.answer_fd);
    fd_close(fd_take(&reader->question.answer_fd));
    child_go(child);
    child_send(child, &(struct link_letter){.type = MESSAGE_QUERY,
                                            .body = &reader->question.query,
                                            .len = sizeof reader->question.query});
}

static void on_message(void *owner, struct channel_message *message)
{
    (void)owner;
    log_warn("reader", "unexpected message %s, ignoring it", message_name(message->type));
}

static void on_deadline(void *owner)
{
    const struct reader *reader = owner;
    log_warn("reader", "a query of '%s' took longer than %d s, ending it", reader->question.query.key,
             READER_LIFE_S);
    child_kill(&reader->child, SIGKILL);
}

static void reader_start(struct reader *reader)
{
    static const struct child_handlers handlers = {.on_hello = on_hello, .on_message = on_message};
    struct readers *all = reader->all;
    reader->question = all->waiting[all->first];
    all->first = (all->first + 1) % READERS_WAITING_MAX;
    all->count--;
    int r = child_start(&reader->child, all->nursery, ROLE_READER, &handlers, reader);
    if (r < 0) {
        log_error("reader", "cannot start: %s, the query gets no answer", strerror(-r));
        fd_close(fd_take(&reader->question.answer_fd));
        return;
    }
    loop_timer_arm_at(&reader->deadline, clock_mono_ns() + READER_LIFE_S * NSEC_PER_SEC);
}

/* Who asked has gone away meanwhile, or waits no more. */
static bool asker_gone(const struct question *question)
{
    struct pollfd end = {.fd = question->answer_fd};
    return poll(&end, 1, 0) == 1 && (end.revents & (POLLHUP | POLLERR));
}

static void forget_gone(struct readers *readers)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < readers->count; i++) {
        struct question *question = &readers->waiting[(readers->first + i) % READERS_WAITING_MAX];
        if (asker_gone(question))
            fd_close(question->answer_fd);
        else
            readers->waiting[(readers->first + kept++) % READERS_WAITING_MAX] = *question;
    }
    readers->count = kept;
}

static void readers_poke(struct readers *readers)
{
    forget_gone(readers);
    for (unsigned i = 0; i < READERS_MAX && readers->count; i++)
        if (!readers->running[i].child.pid)
            reader_start(&readers->running[i]);
}

struct readers *readers_new(const struct nursery *nursery)
{
    struct readers *readers = calloc(1, sizeof *readers);
    if (!readers)
        return NULL;
    readers->nursery = nursery;
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct reader *reader = &readers->running[i];
        reader->all = readers;
        reader->question.answer_fd = -1;
        if (loop_timer_init(&reader->deadline, nursery->loop, LOOP_NORMAL, on_deadline, reader) < 0)
            return readers_free(readers);
    }
    return readers;
}

static void forget_waiting(struct readers *readers)
{
    for (; readers->count; readers->count--) {
        fd_close(readers->waiting[readers->first].answer_fd);
        readers->first = (readers->first + 1) % READERS_WAITING_MAX;
    }
}

struct readers *readers_free(struct readers *readers)
{
    if (!readers)
        return NULL;
    forget_waiting(readers);
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct reader *reader = &readers->running[i];
        child_ended(&reader->child);
        loop_timer_fini(&reader->deadline);
        if (reader->all)
            fd_close(fd_take(&reader->question.answer_fd));
    }
    free(readers);
    return NULL;
}

void readers_ask(struct readers *readers, const struct message_query *query, int answer_fd)
{
    if (readers->count == READERS_WAITING_MAX)
        forget_gone(readers);
    if (readers->stopping || readers->count == READERS_WAITING_MAX) {
        if (!readers->stopping)
            log_warn("reader", "%u queries are waiting, refusing one more", readers->count);
        fd_close(answer_fd);
        return;
    }
    readers->waiting[(readers->first + readers->count++) % READERS_WAITING_MAX] =
        (struct question){.query = *query, .answer_fd = answer_fd};
    readers_poke(readers);
}

bool readers_ended(struct readers *readers, pid_t pid, int status)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct reader *reader = &readers->running[i];
        if (reader->child.pid != pid)
            continue;
        char text[64];
        if (status != 0 && !readers->stopping)
            log_warn("reader", "a query of '%s' ended with %s", reader->question.query.key,
                     child_status_text(status, text, sizeof text));
        child_ended(&reader->child);
        loop_timer_disarm(&reader->deadline);
        fd_close(fd_take(&reader->question.answer_fd));
        readers_poke(readers);
        return true;
    }
    return false;
}

void readers_stop(struct readers *readers)
{
    readers->stopping = true;
    forget_waiting(readers);
    for (unsigned i = 0; i < READERS_MAX; i++)
        child_kill(&readers->running[i].child, SIGKILL);
}

bool readers_idle(const struct readers *readers)
{
    for (unsigned i = 0; i < READERS_MAX; i++)
        if (readers->running[i].child.pid)
            return false;
    return true;
}
