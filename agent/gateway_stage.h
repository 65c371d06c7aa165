#pragma once
/* The gateway as a process of its own, with a bus made here, for its tests: they play core, the archiver's
 * reader and the clients. */

#include "agent/bus.h"
#include "agent/message.h"
#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

enum { PATIENCE_MS = 20000 };

/* What the tests hold of the running gateway. */
extern struct stage {
    struct bus_writer *bus;
    int bus_fd, bus_read_fd, wake_fd, unix_fd, tcp_fd, core_fd, archiver_fd;
    struct sockaddr_un unix_address;
    struct sockaddr_in tcp_address;
    pid_t pid;
} gate;

int stage_open(void **state);
int stage_close(void **state);

/* As a client, by the unix socket or by the port. */
int stage_client(bool local);
void stage_say(int fd, const char *text);
void stage_ask(int fd, const char *line, const char *headers);
void stage_wait(int fd);
/* All that comes until the gateway hangs up, or until @until is in it; closes @fd. Heap. */
char *stage_hear(int fd, const char *until);
char *stage_get_with(bool local, const char *line, const char *headers);
char *stage_get(const char *line);
int stage_status(const char *reply);
/* The JSON of a reply; frees it. */
json_t *stage_body(char *reply);
/* The reply is this error and says these words; frees it. */
void stage_assert_refused(char *reply, int status, const char *words);

/* As core. */
void stage_show(uint32_t slot, enum subject_kind kind, const char *path, const char *name);
void stage_show_three(void);
void stage_tick(void);

/* As core or the archiver: hears one message on a channel, answers it. */
struct channel_message *stage_hear_message(int fd);
void stage_answer(int fd, uint64_t id, enum response_status status, const struct buf *payload);
/* A plan of one write, as core answers it. */
struct buf stage_plan_bytes(void);
