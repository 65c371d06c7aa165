#include "agent/parent_child.h"

#include "agent/build_id.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static bool hello_holds(const struct child *child, const struct channel_message *message)
{
    struct message_hello hello;
    memcpy(&hello, message->body, sizeof hello);
    if (hello.role != (int32_t)child->role || hello.pid != (int32_t)child->pid)
        return false;
    if (memcmp(hello.build_id, build_id, sizeof build_id) != 0) {
        log_error("parent",
                  "%s beside masud is of another build: install all of masu's programs together, ending it",
                  role_file_name(roles[child->role].file));
        return false;
    }
    return true;
}

static void on_message(void *owner, struct channel_message *message)
{
    struct child *child = owner;
    bool fits = message_fits(message, child->role, ROLE_PARENT);
    if (!fits || (message->type == MESSAGE_HELLO) == child->up) {
        log_warn("parent", "message %s from %s does not fit, ignoring it", message_name(message->type),
                 roles[child->role].name);
        return;
    }
    if (message->type != MESSAGE_HELLO) {
        child->handlers.on_message(child->owner, message);
        return;
    }
    if (hello_holds(child, message))
        child->handlers.on_hello(child->owner);
    else
        child_kill(child, SIGKILL);
}

static void on_closed(void *owner)
{
    struct child *child = owner;
    child->link = link_free(child->link);
    child->up = false;
}

int child_start(struct child *child, const struct nursery *nursery, enum role_id role,
                const struct child_handlers *handlers, void *owner)
{
    static const struct link_handlers control = {.on_message = on_message, .on_closed = on_closed};
    int ends[2];
    int r = channel_pair(ends);
    if (r < 0)
        return r;
    CLEANUP_FD int theirs = ends[1];
    *child = (struct child){.role = role, .handlers = *handlers, .owner = owner};
    r = link_new(nursery->loop, ends[0], &control, child, &child->link);
    if (r < 0) {
        fd_close(ends[0]);
        return r;
    }
    const struct spawn spawn = {.role = &roles[role],
                                .user = nursery->users[role],
                                .file_fd = nursery->files->fds[roles[role].file],
                                .control_fd = theirs,
                                .lock_fd = nursery->lock_fd};
    child->started_mono_ns = clock_mono_ns();
    child->started_wall_ns = clock_wall_ns();
    r = spawn_role(&spawn, &child->pid);
    if (r < 0)
        child_ended(child);
    return r;
}

void child_send(struct child *child, const struct link_letter *letter)
{
    if (!child->link)
        return;
    int r = link_send(child->link, letter);
    if (r < 0)
        log_warn("parent", "message %s to %s: %s, dropping it", message_name(letter->type),
                 roles[child->role].name, strerror(-r));
    else if (r == LINK_FULL)
        log_warn("parent", "%s does not read its messages, dropping %s", roles[child->role].name,
                 message_name(letter->type));
}

void child_give(struct child *child, enum give_what what, enum role_id role, int fd)
{
    const struct message_give give = {.what = (int32_t)what, .role = (int32_t)role};
    child_send(child,
               &(struct link_letter){
                   .type = MESSAGE_GIVE, .body = &give, .len = sizeof give, .fds = &fd, .fd_count = 1});
}

void child_go(struct child *child)
{
    child_send(child, &(struct link_letter){.type = MESSAGE_GO});
    child->up = true;
}

void child_kill(const struct child *child, int signal)
{
    if (child->pid > 0)
        (void)kill(child->pid, signal);
}

void child_ended(struct child *child)
{
    child->link = link_free(child->link);
    child->pid = 0;
    child->up = false;
}

const char *child_status_text(int status, char *buf, size_t size)
{
    if (WIFSIGNALED(status))
        (void)str_format(buf, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        (void)str_format(buf, size, "exit code %d", WEXITSTATUS(status));
    return buf;
}
