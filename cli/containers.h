#pragma once
/* What tree and top read of each container, and how a name on the command line finds its container. */

#include "cli/show.h"
#include <stdbool.h>

/* The members of a container that the tables of top and tree show, as fields= takes them. */
extern const char containers_fields[];

/* Whether a person would call it a container: a runtime knows it, or a quota holds there. */
bool container_stands_out(const json_t *container);
/* The memory that is charged to it and is no page cache, in bytes; negative: not known. Page cache fills
 * every limit sooner or later and is dropped when memory is wanted, so a full limit is alarming only without
 * it. What the host uses is without it already. */
double container_firm_memory(const json_t *container);
/* Finds the path of @given, a path, a name or the last part of a path, and writes it to @ret_path. False
   after the reason was printed: unknown (with the nearest name), or carried by several (listed). */
bool container_resolve(const char *given, char *ret_path, size_t size);

/* The cells that top and tree share: CPU, its limit, time throttled, memory, its limit, share used, reads,
 * writes, tasks, pressure, quota. */
enum { CONTAINER_CELLS = 11 };
extern const struct table_column container_columns[CONTAINER_CELLS];
void container_put_cells(struct table *table, const json_t *container);
