/*
 * Start and stop are one mirrored list: places, bus and wakes, loop objects, roles; and back. While it runs,
 * the parent only notes what happened (a hello, an end, a signal) and then looks at the whole household
 * (parent_poke).
 */

#include "agent/parent.h"

#include "agent/bus.h"
#include "agent/parent_member.h"
#include "agent/parent_notify.h"
#include "agent/parent_place.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/memfd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { EXIT_FAILED = 1, STOP_S = ROLE_STOP_S, GIVE_UP_S = 2 };

struct house { /* the parent and what it runs on */
    struct parent parent;
    struct place place;
    struct loop_signal child_ended, terminated, interrupted, hung_up;
    struct loop_timer stop_deadline;
    bool killed;
};

static void on_child_ended(void *owner, int number)
{
    struct house *house = owner;
    struct parent *parent = &house->parent;
    int status;
    pid_t pid;
    (void)number;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        bool known = readers_ended(parent->readers, pid, status) || execs_ended(parent->execs, pid, status);
        for (int i = 0; !known && i < ROLE_N; i++)
            known = member_ended(&parent->members[i], pid, status);
    }
    parent_poke(parent);
}

static void on_stop_signal(void *owner, int number)
{
    struct house *house = owner;
    struct parent *parent = &house->parent;
    if (parent->stopping)
        return;
    log_info("parent", "%s: stopping", strsignal(number));
    parent_notify("STOPPING=1");
    parent->stopping = true;
    readers_stop(parent->readers);
    execs_stop(parent->execs);
    for (int i = 0; i < ROLE_N; i++)
        loop_timer_disarm(&parent->members[i].timer);
    loop_timer_arm_at(&house->stop_deadline, clock_mono_ns() + STOP_S * NSEC_PER_SEC);
    parent_poke(parent);
}

static void on_stop_deadline(void *owner)
{
    struct house *house = owner;
    if (house->killed) {
        log_error("parent", "a role does not end even when killed, leaving it behind");
        loop_stop(house->parent.nursery.loop, EXIT_FAILED);
        return;
    }
    for (int i = 0; i < ROLE_N; i++) {
        const struct child *child = &house->parent.members[i].child;
        if (child->pid)
            log_warn("parent", "%s (pid %d) did not stop within %d s, killing it", roles[i].name,
                     (int)child->pid, STOP_S);
        child_kill(child, SIGKILL);
    }
    house->killed = true;
    loop_timer_arm_at(&house->stop_deadline, clock_mono_ns() + GIVE_UP_S * NSEC_PER_SEC);
}

static void on_hung_up(void *owner, int number)
{
    struct house *house = owner;
    struct child *core = &house->parent.members[ROLE_CORE].child;
    (void)number;
    log_info("parent", "SIGHUP: %s",
             core->up ? "core loads the policy anew" : "core is starting and loads the policy anyway");
    if (core->up)
        child_send(core, &(struct link_letter){.type = MESSAGE_RELOAD});
}

static int find_users(struct nursery *nursery)
{
    for (int i = 0; i < ROLE_N; i++) {
        int r = spawn_user_find(roles[i].user, &nursery->users[i]);
        if (r == 0)
            continue;
        if (r == -ENOENT)
            log_error("parent",
                      "there is no user '%s': make masu's users with packaging/users.sh, not starting",
                      roles[i].user);
        else
            log_error("parent", "cannot look up user '%s': %s, not starting", roles[i].user, strerror(-r));
        return -1;
    }
    return 0;
}

static int make_shared(struct parent *parent, const struct settings *settings)
{
    int r = bus_create(settings->bus_bytes, &parent->bus_fd, &parent->bus_read_fd);
    if (r == 0)
        r = parent->nursery.settings_fd = memfd_seal_bytes("masu-settings", settings, sizeof *settings);
    for (int i = 0; r >= 0 && i < ROLE_N; i++)
        if (roles[i].wake) {
            parent->wake_fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
            r = parent->wake_fds[i] < 0 ? -errno : 0;
        }
    if (r < 0)
        log_error("parent", "cannot make the bus: %s, not starting", strerror(-r));
    return r < 0 ? -1 : 0;
}

static int watch_signals(struct house *house)
{
    struct loop *loop = house->parent.nursery.loop;
    int r = loop_signal_init(&house->child_ended, loop, SIGCHLD, on_child_ended, house);
    if (r == 0)
        r = loop_signal_init(&house->terminated, loop, SIGTERM, on_stop_signal, house);
    if (r == 0)
        r = loop_signal_init(&house->interrupted, loop, SIGINT, on_stop_signal, house);
    if (r == 0)
        r = loop_signal_init(&house->hung_up, loop, SIGHUP, on_hung_up, house);
    if (r == 0)
        r = loop_timer_init(&house->stop_deadline, loop, LOOP_NORMAL, on_stop_deadline, house);
    return r;
}

static int make_household(struct house *house, const struct settings *settings)
{
    struct parent *parent = &house->parent;
    parent->nursery.loop = loop_new();
    int r = parent->nursery.loop ? watch_signals(house) : -ENOMEM;
    for (int i = 0; r == 0 && i < ROLE_N; i++)
        r = member_init(&parent->members[i], parent, (enum role_id)i);
    if (r == 0) {
        parent->readers = readers_new(&parent->nursery);
        parent->execs = execs_new(parent->nursery.loop, settings->exec);
        r = parent->readers && parent->execs ? 0 : -ENOMEM;
    }
    if (r < 0)
        log_error("parent", "cannot make the loop: %s, not starting", strerror(-r));
    return r < 0 ? -1 : 0;
}

static void house_init(struct house *house, const struct spawn_files *files)
{
    *house = (struct house){.place = PLACE_NULL};
    house->parent = (struct parent){.nursery = {.files = files, .lock_fd = -1, .settings_fd = -1},
                                    .bus_fd = -1,
                                    .bus_read_fd = -1,
                                    .listen_unix_fd = -1,
                                    .listen_tcp_fd = -1,
                                    .started_wall_ns = clock_wall_ns()};
    for (int i = 0; i < ROLE_N; i++)
        house->parent.wake_fds[i] = -1;
}

static int house_open(struct house *house, const struct settings *settings)
{
    struct parent *parent = &house->parent;
    if (find_users(&parent->nursery) < 0 || place_open(settings, parent->nursery.users, &house->place) < 0)
        return -1;
    parent->nursery.lock_fd = house->place.lock_fd;
    parent->listen_unix_fd = house->place.listen_unix_fd;
    parent->listen_tcp_fd = house->place.listen_tcp_fd;
    if (make_shared(parent, settings) < 0)
        return -1;
    return make_household(house, settings);
}

static void house_close(struct house *house, const struct settings *settings)
{
    struct parent *parent = &house->parent;
    parent->execs = execs_free(parent->execs);
    parent->readers = readers_free(parent->readers);
    for (int i = 0; i < ROLE_N; i++) {
        child_ended(&parent->members[i].child);
        loop_timer_fini(&parent->members[i].timer);
        fd_close(parent->wake_fds[i]);
    }
    loop_timer_fini(&house->stop_deadline);
    loop_signal_fini(&house->hung_up);
    loop_signal_fini(&house->interrupted);
    loop_signal_fini(&house->terminated);
    loop_signal_fini(&house->child_ended);
    parent->nursery.loop = loop_free(parent->nursery.loop);
    fd_close(parent->nursery.settings_fd);
    fd_close(parent->bus_read_fd);
    fd_close(parent->bus_fd);
    place_close(settings, &house->place);
}

int parent_run(const struct settings *settings, const struct spawn_files *files)
{
    struct house *house = malloc(sizeof *house);
    if (!house)
        return EXIT_FAILED;
    (void)umask(022);
    (void)signal(SIGPIPE, SIG_IGN);
    spawn_set_oom_score(roles[ROLE_PARENT].oom_score_adj);
    parent_notify_init();
    house_init(house, files);
    int code = EXIT_FAILED;
    if (house_open(house, settings) == 0) {
        for (int i = 0; i < ROLE_N; i++)
            if (member_kept((enum role_id)i))
                member_start(&house->parent.members[i]);
        code = loop_run(house->parent.nursery.loop);
    }
    house_close(house, settings);
    free(house);
    return code;
}
