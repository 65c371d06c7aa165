#pragma once
/* Starting processes: a role with exactly the user, capabilities and descriptors of its row. */

#include "agent/role.h"

#include <sys/types.h>

/* Our executables, opened O_PATH beside the running one, so that a role's user need not be able to reach
 * them. */
struct spawn_files {
    int fds[ROLE_FILES];
};
#define SPAWN_FILES_NULL ((struct spawn_files){.fds = {-1, -1, -1}})
/* 0 or -errno; then *ret_missing is the file's name. */
MUST_USE int spawn_files_open(struct spawn_files *ret, const char **ret_missing);
void spawn_files_fini(struct spawn_files *files);

struct spawn_user {
    uid_t uid;
    gid_t gid;
};
/* The user of a role; NULL is root. 0, -ENOENT when there is none of that name, or -errno. */
MUST_USE int spawn_user_find(const char *name, struct spawn_user *ret);

/* Of the calling process. Raising it is always allowed, lowering only with SYS_RESOURCE: without, the old one
 * stays. */
void spawn_set_oom_score(int score);

struct spawn {
    const struct role *role;
    struct spawn_user user;
    int file_fd;    /* the executable */
    int control_fd; /* becomes ROLE_CONTROL_FD */
    int lock_fd;    /* becomes ROLE_LOCK_FD; -1: none */
};
/* Runs "FILE --role NAME": no other descriptor but standard output and error, no supplementary group,
   no_new_privs, no capability (bounding set included) beyond the row's that we hold ourselves. All
   descriptors are borrowed. The process may still fail on its way to the executable: then it logs why and
   exits with 127. 0 or -errno of fork. */
MUST_USE int spawn_role(const struct spawn *spawn, pid_t *ret_pid);
