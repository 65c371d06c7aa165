#pragma once
/* masud itself: makes what the roles share, starts them, starts them anew, and ends them. It decides nothing
 * else. */

#include "agent/spawn.h"

/* Runs until SIGTERM or SIGINT and returns the exit code. Both are borrowed. */
int parent_run(const struct settings *settings, const struct spawn_files *files);
