#pragma once
/*
 * What the system tests share: the real daemon with paths of its own, groups under a root of their own, and
 * workloads in them. The same programs run on a host and as the only thing in a virtual machine, so they need
 * nothing but masu's own binaries, libc, cmocka and jansson. Every wait is for a condition, with a deadline
 * far beyond what is expected.
 */

#include "cgroup/host.h"
#include "model/group.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct daemon {
    char dir[128]; /* holds masu.yaml, policy.yaml, run/, state/ */
    char config[160], policy[160], socket[160];
    char root[64]; /* "/masu-test-…": the only groups it may touch */
    int port;
    pid_t pid;
    struct cgroup_host host;
};

/* Makes directories, the root group in every hierarchy (on v2 with all controllers enabled below it) and a
   policy file that holds @policy ("%s" in it is replaced by the root). Extra lines for masu.yaml may be NULL;
   when they begin with "scope:" they replace the scope, which is the root; "archive:" among them replaces
   what makes the archive quick. Does not start. */
void daemon_init(struct daemon *d, const char *name, const char *policy, const char *extra_settings);
void daemon_start(struct daemon *d); /* and waits until the API answers and the first scan is over */
void daemon_stop(struct daemon *d);  /* SIGTERM, waits */
void daemon_kill(struct daemon *d);  /* SIGKILL, waits until all roles are gone */
void daemon_fini(struct daemon *d);  /* stops, removes groups and directories */
void daemon_set_policy(struct daemon *d, const char *policy);

/* Runs build/masu with @... (NULL-terminated) against the daemon. The exit code; *ret_output (heap) holds
 * stdout and stderr. */
int masu(struct daemon *d, char **ret_output, ...);
/* The same with --json: the parsed answer (NULL when it is none); *ret_code may be NULL. */
json_t *masu_json(struct daemon *d, int *ret_code, ...);
/* The container of @path from "masu status --json"'s API, or NULL. */
json_t *container(struct daemon *d, const char *path);
/* GET of an API path over the unix socket; *ret_status; body to the heap. */
char *http_get(struct daemon *d, const char *path, long *ret_status, size_t *ret_len);
/* GET of a whole address, through @socket when it is not NULL. */
char *http_get_url(const char *socket, const char *url, long *ret_status, size_t *ret_len);
json_t *api(struct daemon *d, const char *path);
/* The process of a role, as status tells it; 0 while it is down. */
pid_t role_pid(struct daemon *d, const char *role);
/* How many events of @type the group has, of @level when it is not NULL. */
unsigned count_events(struct daemon *d, const char *path, const char *type, const char *level);
/* The time of the host's newest sample. */
double host_sample(struct daemon *d);

/* A group below the root, in every hierarchy. @name "web" makes ROOT/web; the path is written to @ret_path.
 */
void make_group(struct daemon *d, const char *name, char ret_path[GROUP_PATH_MAX]);
void remove_group(struct daemon *d, const char *path);
/* The text of a kernel file of the group, without the final newline; "" when there is none. Picks the
 * hierarchy by the file's prefix. */
const char *group_file(struct daemon *d, const char *path, const char *file, char *buf, size_t size);
void group_write(struct daemon *d, const char *path, const char *file,
                 const char *text); /* asserts success */

/* Workloads: a child in the group. */
pid_t run_burner(struct daemon *d, const char *path); /* one core */
pid_t run_grower(struct daemon *d, const char *path, size_t bytes_per_step,
                 unsigned step_ms); /* touches memory until killed */
pid_t run_sleeper(struct daemon *d, const char *path);
void end_child(pid_t pid); /* SIGKILL and reap */

/* Waits until @condition(argument) holds; false after @seconds. */
bool wait_until(bool (*condition)(void *argument), void *argument, unsigned seconds);
bool has_memory(const struct daemon *d);
int version_of(const struct daemon *d, const char *controller); /* 1, 2, or 0 */
