#include "agent/parent_member.h"

#include "agent/parent_notify.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DELAY_FIRST_NS (100 * NSEC_PER_MSEC)
#define DELAY_LONGEST_NS (10 * NSEC_PER_SEC)
#define LIFE_GOOD_NS (60 * NSEC_PER_SEC)
#define HELLO_NS (30 * NSEC_PER_SEC)

bool member_kept(enum role_id role)
{
    return role != ROLE_PARENT && !roles[role].on_demand;
}

/* A life of a minute, or of ten times the last wait, earns the shortest wait again: what is killed now and
   then is back at once, what cannot live is tried ever more seldom. */
uint64_t member_delay_ns(uint64_t last_ns, uint64_t life_ns)
{
    if (last_ns == 0 || life_ns >= LIFE_GOOD_NS || life_ns >= 10 * last_ns)
        return DELAY_FIRST_NS;
    return 2 * last_ns < DELAY_LONGEST_NS ? 2 * last_ns : DELAY_LONGEST_NS;
}

static void connect_peers(struct member *a, struct member *b)
{
    int ends[2];
    int r = channel_pair(ends);
    if (r < 0) {
        log_error("parent", "cannot connect %s and %s: %s, ending %s to try again", roles[a->child.role].name,
                  roles[b->child.role].name, strerror(-r), roles[a->child.role].name);
        child_kill(&a->child, SIGKILL);
        return;
    }
    child_give(&a->child, GIVE_PEER, b->child.role, ends[0]);
    child_give(&b->child, GIVE_PEER, a->child.role, ends[1]);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

static void give_own(struct parent *parent, struct child *child)
{
    const struct role *role = &roles[child->role];
    child_give(child, GIVE_SETTINGS, ROLE_PARENT, parent->nursery.settings_fd);
    if (role->bus_write || role->bus_read)
        child_give(child, GIVE_BUS, ROLE_PARENT, role->bus_write ? parent->bus_fd : parent->bus_read_fd);
    for (int whose = 0; whose < ROLE_N; whose++)
        if (parent->wake_fds[whose] >= 0 && (whose == (int)child->role || role->bus_write))
            child_give(child, GIVE_WAKE, (enum role_id)whose, parent->wake_fds[whose]);
    if (role->listen)
        child_give(child, GIVE_LISTEN_UNIX, ROLE_PARENT, parent->listen_unix_fd);
    if (role->listen && parent->listen_tcp_fd >= 0)
        child_give(child, GIVE_LISTEN_TCP, ROLE_PARENT, parent->listen_tcp_fd);
}

static void on_hello(void *owner)
{
    struct member *member = owner;
    struct parent *parent = member->parent;
    give_own(parent, &member->child);
    for (int peer = 0; peer < ROLE_N; peer++)
        if ((roles[member->child.role].peers & ROLE_BIT(peer)) && parent->members[peer].child.up)
            connect_peers(member, &parent->members[peer]);
    child_go(&member->child);
    loop_timer_disarm(&member->timer);
    parent_poke(parent);
}

static void on_message(void *owner, struct channel_message *message)
{
    struct member *member = owner;
    parent_hear(member->parent, message);
}

/* An unarmed place becomes a start, an armed one that is not up in time becomes an end. */
static void on_timer(void *owner)
{
    struct member *member = owner;
    if (!member->child.pid) {
        member_start(member);
    } else if (!member->child.up) {
        log_error("parent", "%s (pid %d) does not say hello, ending it", roles[member->child.role].name,
                  (int)member->child.pid);
        child_kill(&member->child, SIGKILL);
    }
}

int member_init(struct member *member, struct parent *parent, enum role_id role)
{
    *member = (struct member){.parent = parent, .child = {.role = role}};
    return loop_timer_init(&member->timer, parent->nursery.loop, LOOP_NORMAL, on_timer, member);
}

void member_start(struct member *member)
{
    static const struct child_handlers handlers = {.on_hello = on_hello, .on_message = on_message};
    enum role_id role = member->child.role;
    if (member->parent->stopping)
        return;
    int r = child_start(&member->child, &member->parent->nursery, role, &handlers, member);
    if (r < 0) {
        member->delay_ns = member_delay_ns(member->delay_ns, 0);
        log_error("parent", "cannot start %s: %s, trying again in %.1f s", roles[role].name, strerror(-r),
                  (double)member->delay_ns / 1e9);
    }
    loop_timer_arm_at(&member->timer, clock_mono_ns() + (r < 0 ? member->delay_ns : HELLO_NS));
    member->parent->roles_untold = ROLE_BIT(ROLE_GATEWAY) | ROLE_BIT(ROLE_CORE);
}

bool member_ended(struct member *member, pid_t pid, int status)
{
    struct child *child = &member->child;
    if (child->pid != pid)
        return false;
    uint64_t now_ns = clock_mono_ns();
    bool stopping = member->parent->stopping;
    char text[64];
    child_ended(child);
    loop_timer_disarm(&member->timer);
    member->parent->roles_untold = ROLE_BIT(ROLE_GATEWAY) | ROLE_BIT(ROLE_CORE);
    if (stopping)
        return true;
    member->restarts++;
    member->ran = (struct message_ran){
        .role = (int32_t)child->role, .pid = (int32_t)pid, .status = status, .restarts = member->restarts};
    member->ran_untold = true;
    member->delay_ns = member_delay_ns(member->delay_ns, now_ns - child->started_mono_ns);
    log_warn("parent", "%s (pid %d) ended with %s, starting it again in %.1f s", roles[child->role].name,
             (int)pid, child_status_text(status, text, sizeof text), (double)member->delay_ns / 1e9);
    loop_timer_arm_at(&member->timer, now_ns + member->delay_ns);
    return true;
}

static void tell_core(struct parent *parent)
{
    struct child *core = &parent->members[ROLE_CORE].child;
    for (int i = 0; core->up && i < ROLE_N; i++) {
        struct member *member = &parent->members[i];
        if (!member->ran_untold || !member->child.up)
            continue;
        child_send(core, &(struct link_letter){
                             .type = MESSAGE_RAN, .body = &member->ran, .len = sizeof member->ran});
        member->ran_untold = false;
    }
}

/* The gateway shows them; core must know the enforcer's writes from everybody else's. */
static void tell_roles(struct parent *parent, enum role_id listener)
{
    struct child *child = &parent->members[listener].child;
    if (!child->up || !(parent->roles_untold & ROLE_BIT(listener)))
        return;
    struct message_roles all = {0};
    for (int i = 0; i < ROLE_N; i++) {
        const struct member *member = &parent->members[i];
        all.roles[i].pid = (int32_t)member->child.pid;
        all.roles[i].uid = (uint32_t)parent->nursery.users[i].uid;
        all.roles[i].restarts = member->restarts;
        all.roles[i].started_wall_ns = member->child.pid ? member->child.started_wall_ns : 0;
    }
    all.roles[ROLE_PARENT].pid = (int32_t)getpid();
    all.roles[ROLE_PARENT].started_wall_ns = parent->started_wall_ns;
    child_send(child, &(struct link_letter){.type = MESSAGE_ROLES, .body = &all, .len = sizeof all});
    parent->roles_untold &= ~ROLE_BIT(listener);
}

static void tell_manager(struct parent *parent)
{
    for (int i = 0; i < ROLE_N; i++)
        if (member_kept((enum role_id)i) && !parent->members[i].child.up)
            return;
    if (!parent->ready_told)
        log_info("parent", "ready: all roles run");
    parent->ready_told = true;
    parent_notify("READY=1");
}

static bool any_runs(const struct parent *parent, uint32_t roles_wanted)
{
    for (int i = 0; i < ROLE_N; i++)
        if ((roles_wanted & ROLE_BIT(i)) && parent->members[i].child.pid)
            return true;
    return false;
}

static void tell_stop(struct parent *parent)
{
    for (int i = 0; i < ROLE_N; i++) {
        struct member *member = &parent->members[i];
        if (member->told_stop || any_runs(parent, roles[i].stops_after))
            continue;
        child_send(&member->child, &(struct link_letter){.type = MESSAGE_STOP});
        member->told_stop = true;
    }
    if (!any_runs(parent, ~0U) && readers_idle(parent->readers))
        loop_stop(parent->nursery.loop, 0);
}

void parent_poke(struct parent *parent)
{
    if (parent->stopping) {
        tell_stop(parent);
        return;
    }
    tell_core(parent);
    tell_roles(parent, ROLE_GATEWAY);
    tell_roles(parent, ROLE_CORE);
    if (!parent->ready_told)
        tell_manager(parent);
}

void parent_hear(struct parent *parent, struct channel_message *message)
{
    if (message->type == MESSAGE_RUN_EXEC) {
        struct message_exec exec;
        memcpy(&exec, message->body, sizeof exec);
        execs_run(parent->execs, &exec.event);
    } else if (message->type == MESSAGE_START_READER && message->fd_count == 1) {
        struct message_query query;
        memcpy(&query, message->body, sizeof query);
        query.key[sizeof query.key - 1] = query.title[sizeof query.title - 1] = '\0';
        readers_ask(parent->readers, &query, fd_take(&message->fds[0]));
    } else {
        log_warn("parent", "unexpected message %s, ignoring it", message_name(message->type));
    }
}
