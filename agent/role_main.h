#pragma once
/* The life of a role's process, from exec to exit: what stands around a role's entry. */

#include "agent/role.h"

enum {
    ROLE_CONTROL_FD = 3, /* the channel to the parent */
    ROLE_LOCK_FD = 4,    /* the lock of the run directory: held until the last role has ended */
    ROLE_EXIT_FAILURE = 1,
    ROLE_EXIT_USAGE = 64,
};

/* The main of an executable that holds the given roles (NULL: not in this file): for the arguments "--role
   NAME" says hello, takes what it is given, and runs the entry. The exit code. */
int role_main(int argc, char **argv, role_entry *const entries[ROLE_N]);
