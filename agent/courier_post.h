#pragma once
/* One POST at a time to one address, on the loop. */

#include "base/attrs.h"
#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct post; /* opaque */

enum post_result {
    POST_DELIVERED,
    POST_REFUSED, /* the receiver will not take this one, however often it is tried */
    POST_FAILED,  /* not reached, or in trouble: try again */
};
/* @why: one phrase, "503 Service Unavailable". */
typedef void post_fn(void *owner, enum post_result result, const char *why);

/* Reads @url. 0, -EPROTONOSUPPORT (https without TLS in this build, or another scheme), -EINVAL, or -ENOMEM.
 */
MUST_USE int post_new(struct event_base *base, const char *url, post_fn *fn, void *owner, struct post **ret);
struct post *post_free(struct post *post); /* a POST under way is given up without a word */
bool post_busy(const struct post *post);
/* Starts sending @body as JSON; the result arrives later, never from within. 0 or -ENOMEM. */
MUST_USE int post_send(struct post *post, const char *body, size_t len);
