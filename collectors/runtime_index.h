#pragma once
/*
 * Which container lives in which group, by the state files of the runtimes that let their caller choose the
 * group. Each file is read once; while a runtime's directory does not change, a question is one look at it.
 */

#include "collectors/runtime_state.h"

struct runtime_index;                          /* opaque */
struct runtime_index *runtime_index_new(void); /* NULL: out of memory */
struct runtime_index *runtime_index_free(struct runtime_index *index);
uint64_t runtime_index_reads(const struct runtime_index *index); /* state files read so far */

/* The container whose group is @path, as runtime_state_owner says it; the directories are below @root. */
MUST_USE enum runtime_state_result runtime_index_find(struct runtime_index *index, const char *root,
                                                      const char *path, const char **ret_runtime,
                                                      char *ret_id);
