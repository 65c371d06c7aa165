#include "agent/parent_exec.h"

#include "agent/parent_child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct exec {
    pid_t pid; /* 0: a free place */
    struct execs *all;
    struct loop_timer deadline;
};

struct execs {
    struct loop *loop;
    const char *path;
    struct exec running[EXECS_MAX];
    struct event waiting[EXECS_WAITING_MAX]; /* a ring */
    unsigned first, count;
    bool stopping;
};

static void on_deadline(void *owner)
{
    const struct exec *exec = owner;
    log_warn("exec", "'%s' took longer than %d s, ending it", exec->all->path, EXEC_LIFE_S);
    (void)kill(-exec->pid, SIGKILL);
}

/* Only a change of pressure has levels; of another event none would be wrong, so the variable is unset. */
static const char *level_of(const struct event *event, unsigned level)
{
    if (event->type != EVENT_PRESSURE)
        return NULL;
    return level < LEVEL_N ? level_name((enum level)level) : "?";
}

static void set_environment(const struct event *event)
{
    char seconds[32], sequence[32];
    (void)snprintf(seconds, sizeof seconds, "%llu.%06llu",
                   (unsigned long long)(event->wall_ns / NSEC_PER_SEC),
                   (unsigned long long)(event->wall_ns % NSEC_PER_SEC / NSEC_PER_USEC));
    (void)snprintf(sequence, sizeof sequence, "%llu", (unsigned long long)event->sequence);
    const struct {
        const char *name, *value;
    } variables[] = {
        {"MASU_EVENT", event_kinds[event->type].name},
        {"MASU_SEVERITY", event_severity_name(event_severity(event))},
        {"MASU_LEVEL", level_of(event, event->level)},
        {"MASU_LEVEL_BEFORE", level_of(event, event->level_before)},
        {"MASU_CONTAINER", event->name},
        {"MASU_PATH", event->path},
        {"MASU_RUNTIME", event->runtime},
        {"MASU_TEXT", event->text},
        {"MASU_TIME", seconds},
        {"MASU_SEQUENCE", sequence},
    };
    for (unsigned i = 0; i < ARRAY_LEN(variables); i++)
        if (variables[i].value)
            (void)setenv(variables[i].name, variables[i].value, 1);
        else
            (void)unsetenv(variables[i].name);
}

static _Noreturn void become(const char *path, const struct event *event)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO); /* the log */
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);
    spawn_set_oom_score(0);
    set_environment(event);
    (void)execl(path, path, (char *)NULL);
    log_error("exec", "cannot run '%s': %s", path, strerror(errno));
    _exit(127);
}

static void exec_start(struct exec *exec)
{
    struct execs *all = exec->all;
    const struct event *event = &all->waiting[all->first];
    pid_t pid = fork();
    if (pid == 0)
        become(all->path, event);
    if (pid < 0) {
        log_error("exec", "cannot run '%s': %s, dropping an event", all->path, strerror(errno));
    } else {
        (void)setpgid(pid, pid); /* so that the deadline finds the group, whoever comes first */
        exec->pid = pid;
        loop_timer_arm_at(&exec->deadline, clock_mono_ns() + EXEC_LIFE_S * NSEC_PER_SEC);
    }
    all->first = (all->first + 1) % EXECS_WAITING_MAX;
    all->count--;
}

static void execs_poke(struct execs *execs)
{
    for (unsigned i = 0; i < EXECS_MAX && execs->count; i++)
        if (!execs->running[i].pid)
            exec_start(&execs->running[i]);
}

struct execs *execs_new(struct loop *loop, const char *path)
{
    struct execs *execs = calloc(1, sizeof *execs);
    if (!execs)
        return NULL;
    execs->loop = loop;
    execs->path = path;
    for (unsigned i = 0; i < EXECS_MAX; i++) {
        execs->running[i].all = execs;
        if (loop_timer_init(&execs->running[i].deadline, loop, LOOP_NORMAL, on_deadline, &execs->running[i]) <
            0)
            return execs_free(execs);
    }
    return execs;
}

struct execs *execs_free(struct execs *execs)
{
    for (unsigned i = 0; execs && i < EXECS_MAX; i++)
        loop_timer_fini(&execs->running[i].deadline);
    free(execs);
    return NULL;
}

void execs_run(struct execs *execs, const struct event *event)
{
    if (!*execs->path || execs->stopping || event->type >= EVENT_N)
        return;
    if (execs->count == EXECS_WAITING_MAX) {
        log_warn("exec", "%u events wait for '%s', dropping one more", execs->count, execs->path);
        return;
    }
    struct event *place = &execs->waiting[(execs->first + execs->count++) % EXECS_WAITING_MAX];
    *place = *event;
    place->path[sizeof place->path - 1] = place->name[sizeof place->name - 1] = '\0';
    place->runtime[sizeof place->runtime - 1] = place->text[sizeof place->text - 1] = '\0';
    execs_poke(execs);
}

bool execs_ended(struct execs *execs, pid_t pid, int status)
{
    for (unsigned i = 0; i < EXECS_MAX; i++) {
        struct exec *exec = &execs->running[i];
        if (exec->pid != pid)
            continue;
        char text[64];
        if (status != 0)
            log_warn("exec", "'%s' ended with %s", execs->path, child_status_text(status, text, sizeof text));
        exec->pid = 0;
        loop_timer_disarm(&exec->deadline);
        execs_poke(execs);
        return true;
    }
    return false;
}

void execs_stop(struct execs *execs)
{
    execs->stopping = true;
    execs->count = 0;
    for (unsigned i = 0; i < EXECS_MAX; i++)
        if (execs->running[i].pid)
            (void)kill(-execs->running[i].pid, SIGKILL);
}
