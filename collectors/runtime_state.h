#pragma once
/*
 * What container runtimes keep on disk about their containers: names, and the groups of those whose path does
 * not tell. Files of at most 1 MiB, regular ones only; nothing is run, asked or waited for.
 */

#include "base/attrs.h"
#include "collectors/identity.h"
#include <stdbool.h>

enum runtime_state_result {
    RUNTIME_STATE_FOUND = 0,
    RUNTIME_STATE_NONE = 1,  /* no file, or it does not say */
    RUNTIME_STATE_ABOVE = 2, /* runtime_state_owner: the path lies inside a container's group */
};

/* The name of container @id: writes at most GROUP_NAME_MAX bytes. */
typedef enum runtime_state_result runtime_name_fn(const struct identity_paths *paths, const char *id,
                                                  char *ret_name);
MUST_USE runtime_name_fn runtime_state_docker_name;     /* config.v2.json: "Name" */
MUST_USE runtime_name_fn runtime_state_podman_name;     /* containers.json of the storage: "names" */
MUST_USE runtime_name_fn runtime_state_containerd_name; /* config.json of the task: NAMESPACE/POD/CONTAINER */
MUST_USE runtime_name_fn runtime_state_crio_name;       /* config.json of the container, likewise */
/* LXC names need no file, but a second start of a container may live in "NAME-1": @id is what the path says.
 */
MUST_USE runtime_name_fn runtime_state_lxc_name;

bool runtime_state_docker_has(const struct identity_paths *paths, const char *id);

/*
 * The runc, crun or containerd container whose group is @path: *ret_runtime (static) and *ret_id
 * (GROUP_ID_MAX bytes). ABOVE when @path lies below such a group.
 */
MUST_USE enum runtime_state_result runtime_state_owner(const struct identity_paths *paths, const char *path,
                                                       const char **ret_runtime, char *ret_id);
