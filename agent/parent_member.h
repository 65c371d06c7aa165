#pragma once
/* The household of masud: one member per role that is kept running. Private to parent*.c. */

#include "agent/parent_child.h"
#include "agent/parent_exec.h"
#include "agent/parent_reader.h"

struct parent;

struct member {
    struct parent *parent;
    struct child child;
    struct loop_timer timer; /* not running: when to start it; running but not up: how long that may take */
    uint64_t delay_ns;       /* before the next start; 0: never ended yet */
    uint32_t restarts;
    struct message_ran ran; /* its last end */
    bool ran_untold;        /* core has not heard of it */
    bool told_stop;
};

struct parent {
    struct nursery nursery;
    struct member members[ROLE_N]; /* those of on-demand roles and of the parent are unused */
    struct readers *readers;
    struct execs *execs;
    int bus_fd, bus_read_fd;
    int wake_fds[ROLE_N];
    int listen_unix_fd, listen_tcp_fd; /* borrowed */
    uint64_t started_wall_ns;
    uint32_t roles_untold; /* ROLE_BITs of gateway and core while they have not heard of the latest pids */
    bool ready_told;
    bool stopping;
};

/* Whether the role is one that masud keeps running. */
bool member_kept(enum role_id role);
/* How long to wait before a role is started again that lived @life_ns after waiting @last_ns. */
uint64_t member_delay_ns(uint64_t last_ns, uint64_t life_ns);
MUST_USE int member_init(struct member *member, struct parent *parent, enum role_id role); /* 0 or -errno */
void member_start(struct member *member);
/* True when @pid was the member's. */
bool member_ended(struct member *member, pid_t pid, int status);
/* Looks at the whole and tells everybody what they have not heard yet: ends to core, pids to the gateway,
 * STOP in its order. */
void parent_poke(struct parent *parent);
/* A message that a role sent to the parent. */
void parent_hear(struct parent *parent, struct channel_message *message);
