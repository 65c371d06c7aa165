/*
 * Where each runtime keeps what we read (looked at: moby daemon/container, containers/storage, containerd 1.6
 * and 1.7 runtime v2, cri-o server):
 *
 *   docker      DOCKER/containers/ID/config.v2.json: "Name": "/web"
 *
 *   podman      /var/lib/containers/storage/DRIVER-containers/containers.json: [{"id": …, "names": […]}, …]
 *
 *   containerd  /run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json: "annotations"
 *
 *   cri-o       /run/containers/storage/DRIVER-containers/ID/userdata/config.json: "annotations"
 *
 * runc and crun name a group as their caller likes: runtime_index.c.
 */

#include "collectors/runtime_state.h"

#include "base/fs.h"
#include "base/str.h"
#include "collectors/json_scan.h"
#include "collectors/runtime_index.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATE_FILE_MAX = 1 << 20 };

static const char *const storage_dirs[] = {"overlay-containers", "vfs-containers", "btrfs-containers",
                                           "zfs-containers"};

/* Reads and scans one file; false when it cannot be read. What a broken file said until then counts. */
static bool scan_file(const char *file, const char *must_contain, json_fn *fn, void *context)
{
    char *text = NULL;
    size_t len = 0;
    if (fs_slurp(file, STATE_FILE_MAX, &text, &len) != 0)
        return false;
    if (!must_contain || memmem(text, len, must_contain, strlen(must_contain)))
        (void)!json_scan(text, len, fn, context);
    free(text);
    return true;
}

/* A name as it may be shown: control characters would break lines and terminals. */
static void name_copy(char *to, const char *from)
{
    str_copy(to, GROUP_NAME_MAX, from);
    for (char *c = to; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

static bool docker_value(void *context, const struct json_value *value)
{
    if (!json_is(value, "Name"))
        return true;
    name_copy(context, value->text + (value->text[0] == '/'));
    return false;
}

enum runtime_state_result runtime_state_docker_name(const struct identity_paths *paths, const char *id,
                                                    char *ret_name)
{
    char file[PATH_MAX], name[GROUP_NAME_MAX] = "";
    if (!str_format(file, sizeof file, "%s%s/containers/%s/config.v2.json", paths->root, paths->docker, id) ||
        !scan_file(file, NULL, docker_value, name) || !name[0])
        return RUNTIME_STATE_NONE;
    str_copy(ret_name, GROUP_NAME_MAX, name);
    return RUNTIME_STATE_FOUND;
}

bool runtime_state_docker_has(const struct identity_paths *paths, const char *id)
{
    char dir[PATH_MAX];
    return str_format(dir, sizeof dir, "%s%s/containers/%s", paths->root, paths->docker, id) &&
           access(dir, F_OK) == 0;
}

struct podman_look {
    const char *id;
    unsigned item;
    bool ours; /* of the current item */
    char name[GROUP_NAME_MAX];
};

/* [{"id": ID, "names": [NAME, …], …}, …]: in either order. */
static bool podman_value(void *context, const struct json_value *value)
{
    struct podman_look *look = context;
    if (value->item != look->item) {
        if (look->ours)
            return false;
        *look = (struct podman_look){.id = look->id, .item = value->item};
    }
    if (value->depth == 2 && strcmp(value->keys[1], "id") == 0)
        look->ours = strcmp(value->text, look->id) == 0;
    if (value->depth == 3 && strcmp(value->keys[1], "names") == 0 && !look->name[0])
        name_copy(look->name, value->text);
    return !look->ours || !look->name[0];
}

enum runtime_state_result runtime_state_podman_name(const struct identity_paths *paths, const char *id,
                                                    char *ret_name)
{
    char file[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(storage_dirs); i++) {
        struct podman_look look = {.id = id};
        if (!str_format(file, sizeof file, "%s/var/lib/containers/storage/%s/containers.json", paths->root,
                        storage_dirs[i]) ||
            !scan_file(file, id, podman_value, &look) || !look.ours || !look.name[0])
            continue;
        str_copy(ret_name, GROUP_NAME_MAX, look.name);
        return RUNTIME_STATE_FOUND;
    }
    return RUNTIME_STATE_NONE;
}

/* What a CRI names a container by: containerd and cri-o spell the annotations differently. */
enum kube_part { KUBE_NAMESPACE, KUBE_POD, KUBE_CONTAINER, KUBE_N };

static const struct {
    const char *annotation;
    enum kube_part part;
} kube_annotations[] = {
    {"io.kubernetes.cri.sandbox-namespace", KUBE_NAMESPACE},
    {"io.kubernetes.cri.sandbox-name", KUBE_POD},
    {"io.kubernetes.cri.container-name", KUBE_CONTAINER},
    {"io.kubernetes.pod.namespace", KUBE_NAMESPACE},
    {"io.kubernetes.pod.name", KUBE_POD},
    {"io.kubernetes.container.name", KUBE_CONTAINER},
};

struct kube_look {
    char parts[KUBE_N][GROUP_NAME_MAX];
};

static bool kube_value(void *context, const struct json_value *value)
{
    struct kube_look *look = context;
    for (size_t i = 0; i < ARRAY_LEN(kube_annotations); i++)
        if (json_is_in(value, "annotations", kube_annotations[i].annotation))
            name_copy(look->parts[kube_annotations[i].part], value->text);
    return true;
}

/* NAMESPACE/POD/CONTAINER; a pod's sandbox has no container name: "POD", as cri-o and kubelet call it. */
static enum runtime_state_result kube_name(const char *file, char *ret_name)
{
    struct kube_look look = {{{0}}};
    if (!scan_file(file, NULL, kube_value, &look))
        return RUNTIME_STATE_NONE;
    const char *container = look.parts[KUBE_CONTAINER];
    if (!look.parts[KUBE_POD][0]) {
        if (!container[0])
            return RUNTIME_STATE_NONE;
        str_copy(ret_name, GROUP_NAME_MAX, container);
        return RUNTIME_STATE_FOUND;
    }
    str_format(ret_name, GROUP_NAME_MAX, "%s/%s/%s", look.parts[KUBE_NAMESPACE], look.parts[KUBE_POD],
               container[0] ? container : "POD");
    return RUNTIME_STATE_FOUND;
}

enum runtime_state_result runtime_state_containerd_name(const struct identity_paths *paths, const char *id,
                                                        char *ret_name)
{
    char file[PATH_MAX];
    if (!str_format(file, sizeof file,
                    "%s/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json", paths->root, id))
        return RUNTIME_STATE_NONE;
    return kube_name(file, ret_name);
}

enum runtime_state_result runtime_state_crio_name(const struct identity_paths *paths, const char *id,
                                                  char *ret_name)
{
    char file[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(storage_dirs); i++)
        if (str_format(file, sizeof file, "%s/run/containers/storage/%s/%s/userdata/config.json", paths->root,
                       storage_dirs[i], id) &&
            kube_name(file, ret_name) == RUNTIME_STATE_FOUND)
            return RUNTIME_STATE_FOUND;
    return RUNTIME_STATE_NONE;
}

static bool lxc_has(const struct identity_paths *paths, const char *name)
{
    char dir[PATH_MAX];
    return str_format(dir, sizeof dir, "%s%s/%s", paths->root, paths->lxc, name) && access(dir, F_OK) == 0;
}

enum runtime_state_result runtime_state_lxc_name(const struct identity_paths *paths, const char *id,
                                                 char *ret_name)
{
    str_copy(ret_name, GROUP_NAME_MAX, id);
    char *dash = strrchr(ret_name, '-');
    if (!dash || dash == ret_name || !dash[1] || dash[1 + strspn(dash + 1, "0123456789")] ||
        lxc_has(paths, ret_name))
        return RUNTIME_STATE_FOUND;
    *dash = '\0';
    if (!lxc_has(paths, ret_name))
        *dash = '-';
    return RUNTIME_STATE_FOUND;
}

/* containerd without CRI names the group /NAMESPACE/ID. */
static enum runtime_state_result containerd_owner(const struct identity_paths *paths, const char *path,
                                                  char *ret_id)
{
    char head[GROUP_PATH_MAX], dir[PATH_MAX];
    str_copy(head, sizeof head, path);
    char *id = strchr(head + 1, '/');
    if (!id || !id[1])
        return RUNTIME_STATE_NONE;
    id++;
    char *below = strchr(id, '/');
    if (below)
        *below = '\0';
    if (!str_format(dir, sizeof dir, "%s/run/containerd/io.containerd.runtime.v2.task%s", paths->root,
                    head) ||
        access(dir, F_OK) != 0)
        return RUNTIME_STATE_NONE;
    str_copy(ret_id, GROUP_ID_MAX, id);
    return below ? RUNTIME_STATE_ABOVE : RUNTIME_STATE_FOUND;
}

enum runtime_state_result runtime_state_owner(const struct identity_paths *paths, const char *path,
                                              const char **ret_runtime, char *ret_id)
{
    if (path[0] != '/' || !path[1] || strlen(path) >= GROUP_PATH_MAX)
        return RUNTIME_STATE_NONE;
    *ret_runtime = "containerd";
    enum runtime_state_result result = containerd_owner(paths, path, ret_id);
    if (result == RUNTIME_STATE_NONE && paths->index)
        result = runtime_index_find(paths->index, paths->root, path, ret_runtime, ret_id);
    return result;
}
