#pragma once
/* The API, over masud's unix socket. What goes wrong is said on standard error here, once, in words. */

#include "base/attrs.h"
#include "base/buf.h"
#include <jansson.h>
#include <stdbool.h>

/* NULL: $MASU_SOCKET, else the default. Borrowed. */
void client_use_socket(const char *path);

/* GET, or POST with no body. The answer, or NULL after the reason was printed. */
json_t *client_get(const char *path);
json_t *client_post(const char *path);
/* Like client_get, for what may fail without a word: *ret_why gets the reason. */
json_t *client_try(const char *path, char *ret_why, size_t why_size);
/* The bytes of an answer that is no JSON. False after the reason was printed. */
bool client_get_bytes(const char *path, struct buf *ret);
/* Reads server-sent events and hands out the data of each. True when @on_event returned false; false with the
   reason in @why when the stream ended by itself. */
typedef bool client_event_fn(void *owner, const char *type, const char *data);
bool client_stream(const char *path, client_event_fn *on_event, void *owner, char *why, size_t why_size);

/* Percent-encodes one part of a path into @out. */
void client_put_part(struct buf *out, const char *part);

/* All pages of /api/v1/containers as one array; @fields may be NULL. NULL after the reason was printed (or
 * put in @why, if given). */
json_t *client_containers(const char *fields, char *why, size_t why_size);
