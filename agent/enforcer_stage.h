#pragma once
/* What the enforcer's tests share: groups of their own on the running kernel, rows about them, processes that
 * hold memory. */

#include "agent/enforcer.h"
#include "cgroup/group.h"
#include "cgroup/knob.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/types.h>

#include <cmocka.h>

#define MIB UINT64_C(1048576)
#define UNLIMITED KNOB_UNLIMITED

extern struct cgroup_host stage_host;
extern char stage_dir[64]; /* the enforcer's memory */

/* For the whole program: the host and the directory. Fails without root. */
int stage_setup(void **state);
int stage_teardown(void **state);
void stage_forget(void); /* empties the directory */

unsigned stage_place(enum knob_id knob); /* the hierarchy of a knob */
void stage_make(const char *path);       /* in the hierarchies of cpu, memory and pids; its parent is there */
void stage_unmake(const char *path);
uint64_t stage_held(const char *path, enum knob_id knob);
uint64_t stage_memory_used(const char *path);
/* Adds a write of an existing group, from what the kernel holds to @value. */
void stage_row(struct plan *plan, const char *path, enum knob_id knob, uint64_t value, unsigned flags);

/* Each opens an enforcer of its own, as a new process would. */
struct enforcer *stage_open(const struct enforcer_options *options);
struct plan_outcomes stage_execute(const struct plan *plan, const struct enforcer_options *options);
unsigned stage_found_count(void);

/* A process in @path that holds @bytes: pages of its own, or of @file when that is not negative. */
pid_t stage_hold(const char *path, uint64_t bytes, int file);
void stage_end_holder(pid_t pid); /* it must still live */
