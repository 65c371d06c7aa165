#pragma once
/*
 * Who a subject is. A subject is what has rows: a group of the cgroup tree, the host, a network
 * interface. The identity is plain data of fixed size, so that it travels in frames and on the bus.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
    GROUP_PATH_MAX = 768, /* with the terminating NUL; a longer group is counted, not followed */
    GROUP_NAME_MAX = 128,
    GROUP_RUNTIME_MAX = 16,
    GROUP_ID_MAX = 80,
};

enum subject_kind {
    SUBJECT_GROUP = 0,
    SUBJECT_HOST = 1,      /* path "/", name is the host's name */
    SUBJECT_INTERFACE = 2, /* path and name are the interface's name */
    SUBJECT_N,
};

struct group_identity {
    uint8_t kind;                    /* enum subject_kind */
    char path[GROUP_PATH_MAX];       /* logical path, "/lxc/web", the same in every hierarchy */
    char name[GROUP_NAME_MAX];       /* the container's name, else the path */
    char runtime[GROUP_RUNTIME_MAX]; /* "lxc", "docker", "podman", "containerd", "crio", "runc", "crun",
                                        "systemd", "nspawn", "libvirt-lxc", "cgroup" when none is known;
                                        "host", "interface" */
    char id[GROUP_ID_MAX];           /* the runtime's own id; "" when it has none */
};

/* The key of the archive: "runtime:name", else the path. Writes at most GROUP_PATH_MAX bytes to buf; returns
 * buf. */
const char *group_archive_key(const struct group_identity *identity, char *buf);
