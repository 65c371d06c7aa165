#include "agent/courier_queue.h"
#include "base/clock.h"
#include <stddef.h>

enum { BACKOFF_MAX_S = 60, DOUBLINGS_MAX = 6 };

bool courier_queue_push(struct courier_queue *queue, const struct event *event)
{
    bool full = queue->count == COURIER_QUEUE_MAX;

    if (full) {
        queue->first = (queue->first + 1) % COURIER_QUEUE_MAX;
        queue->count--;
        queue->dropped++;
    }
    queue->events[(queue->first + queue->count++) % COURIER_QUEUE_MAX] = *event;
    return !full;
}

const struct event *courier_queue_peek(const struct courier_queue *queue)
{
    return queue->count ? &queue->events[queue->first] : NULL;
}

void courier_queue_done(struct courier_queue *queue, uint64_t sequence)
{
    if (!queue->count || queue->events[queue->first].sequence != sequence)
        return;
    queue->first = (queue->first + 1) % COURIER_QUEUE_MAX;
    queue->count--;
}

uint64_t courier_queue_failed(struct courier_queue *queue, uint64_t now_ns)
{
    unsigned doublings = queue->failures < DOUBLINGS_MAX ? queue->failures : DOUBLINGS_MAX;
    uint64_t wait_s = UINT64_C(1) << doublings;

    queue->failures++;
    queue->next_ns = now_ns + (wait_s < BACKOFF_MAX_S ? wait_s : BACKOFF_MAX_S) * NSEC_PER_SEC;
    return queue->next_ns;
}

void courier_queue_succeeded(struct courier_queue *queue)
{
    queue->failures = 0;
    queue->next_ns = 0;
}
