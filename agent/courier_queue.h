#pragma once
/*
 * Events on their way out, in a ring that is there from the start: alerts must leave when there is no memory
 * left to ask for. Times between tries double. Pure, on whatever clock the caller has.
 */

#include "model/event.h"
#include <stdbool.h>
#include <stdint.h>

enum { COURIER_QUEUE_MAX = 1024 };

struct courier_queue {
    struct event events[COURIER_QUEUE_MAX];
    unsigned first, count;
    unsigned failures; /* in a row */
    uint64_t dropped;  /* since the start: the oldest goes when a new one finds no room */
    uint64_t next_ns;  /* no try before this */
};

/* False when the oldest had to go for it. */
bool courier_queue_push(struct courier_queue *queue, const struct event *event);
/* The oldest, or NULL. */
const struct event *courier_queue_peek(const struct courier_queue *queue);
/* The oldest, number @sequence, was delivered or will never be; nothing when it has been dropped meanwhile.
 */
void courier_queue_done(struct courier_queue *queue, uint64_t sequence);
/* A try failed: the next one is due after 1 s, 2 s, 4 s … 60 s. Returns when. */
uint64_t courier_queue_failed(struct courier_queue *queue, uint64_t now_ns);
/* A try came through. */
void courier_queue_succeeded(struct courier_queue *queue);
