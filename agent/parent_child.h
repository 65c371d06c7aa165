#pragma once
/* One process of a role as the parent sees it: from fork over hello and GO to its end. */

#include "agent/spawn.h"

/* What all children are started with. */
struct nursery {
    struct loop *loop;
    const struct spawn_files *files;
    struct spawn_user users[ROLE_N];
    int lock_fd;
    int settings_fd; /* sealed memfd */
};

struct child_handlers {
    void (*on_hello)(void *owner); /* give it what it needs, then child_go */
    void (*on_message)(void *owner, struct channel_message *message);
};

struct child {
    enum role_id role;
    pid_t pid;         /* 0: not running */
    struct link *link; /* NULL: not running, or it closed its channel */
    bool up;           /* heard GO */
    uint64_t started_mono_ns, started_wall_ns;
    struct child_handlers handlers;
    void *owner;
};

/* Starts a process for @role. 0 or -errno (nothing runs then). The child must stay where it is while it runs.
 */
MUST_USE int child_start(struct child *child, const struct nursery *nursery, enum role_id role,
                         const struct child_handlers *handlers, void *owner);
/* Sends; a full queue or a closed channel is logged, not returned: its end will be heard of. */
void child_send(struct child *child, const struct link_letter *letter);
void child_give(struct child *child, enum give_what what, enum role_id role, int fd);
void child_go(struct child *child);
void child_kill(const struct child *child, int signal); /* nothing when it does not run */
/* To be called when wait(2) returned its pid. */
void child_ended(struct child *child);
/* How a process ended, in words: "exit code 3", "signal 9 (Killed)". */
const char *child_status_text(int status, char *buf, size_t size);
