#pragma once
/* The exec route of alerts: settings.exec, run as root by the parent for one event each, the event in its
 * environment. */

#include "agent/loop.h"
#include "model/event.h"

#include <sys/types.h>

enum { EXECS_MAX = 4, EXECS_WAITING_MAX = 64, EXEC_LIFE_S = 30 };

struct execs; /* opaque */
/* @path is borrowed; "" runs nothing. NULL: out of memory. */
struct execs *execs_new(struct loop *loop, const char *path);
struct execs *execs_free(struct execs *execs);
/* Runs it with MASU_EVENT, MASU_SEVERITY, MASU_LEVEL, MASU_LEVEL_BEFORE, MASU_CONTAINER, MASU_PATH,
   MASU_RUNTIME, MASU_TEXT, MASU_TIME and MASU_SEQUENCE, the levels only when the event is about pressure;
   dropped, and logged, when too many wait. */
void execs_run(struct execs *execs, const struct event *event);
/* True when @pid was one of them. */
bool execs_ended(struct execs *execs, pid_t pid, int status);
void execs_stop(struct execs *execs); /* forgets what waits, ends those that run */
