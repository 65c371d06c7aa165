#pragma once
/* Readers: short-lived processes that answer one query each from the archive. A few at once, the rest waits
 * its turn. */

#include "agent/parent_child.h"

enum { READERS_MAX = 4, READERS_WAITING_MAX = 64, READER_LIFE_S = 30 };

struct readers; /* opaque */
/* @nursery is borrowed. NULL: out of memory. */
struct readers *readers_new(const struct nursery *nursery);
struct readers *readers_free(struct readers *readers);
/* Takes @answer_fd, where the answer goes; it is closed when there is no room, which the asker sees. */
void readers_ask(struct readers *readers, const struct message_query *query, int answer_fd);
/* True when @pid was a reader's: its place is free again. */
bool readers_ended(struct readers *readers, pid_t pid, int status);
/* Starts no more, forgets what waits, ends those that run. */
void readers_stop(struct readers *readers);
bool readers_idle(const struct readers *readers);
