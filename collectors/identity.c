/*
 * A path is read from the root down, component by component, against a table. The outermost component that a
 * container runtime made decides: if it is the last one, the group is that container; what lies below it is
 * the container's own business (an init system's slices, runc's "container", nspawn's "payload"), never a
 * subject.
 *
 * A systemd unit decides more weakly: a service may hold containers of its own (podman in user@1000.service,
 * Kubernetes under containerd.service), which are subjects, while its plain subgroups are not.
 * user@UID.service is another systemd's root: the units below it are subjects too. Slices hold things and are
 * none: they stay plain groups, so are pods.
 *
 * Patterns are what runtimes write: lxc 2 to 6 (cgfsng.c), moby and podman (cgroupfs and systemd drivers),
 * cri-o, containerd CRI, nerdctl, systemd-nspawn and machined, libvirt (virCgroupNewMachine,
 * virSystemdMakeScopeName).
 */

#include "collectors/identity.h"

#include "base/str.h"
#include "collectors/runtime_state.h"

#include <string.h>

enum { ID_HEX_LEN = 64 };

/* What stands between prefix and suffix. */
enum pattern_part {
    PART_NAME,    /* anything, at least one character */
    PART_ANY,     /* anything, nothing included */
    PART_HEX,     /* 64 hexadecimal digits */
    PART_UNIT,    /* a name escaped by systemd: \x2d is '-' */
    PART_MACHINE, /* libvirt's NUMBER-NAME, escaped by systemd */
};

enum pattern_life { LIFE_CONTAINER, LIFE_UNIT, LIFE_HELPER };

struct pattern {
    const char *parent;          /* the component above; NULL: any */
    const char *prefix, *suffix; /* NULL: none */
    enum pattern_part part;
    enum pattern_life life;
    const char *runtime;
    runtime_name_fn *name; /* by id; NULL: the part itself is the name */
};

/* The first that fits. A prefix that begins with '*' may stand anywhere. */
#define HELPER(prefix_) .prefix = (prefix_), .part = PART_ANY, .life = LIFE_HELPER
#define CONTAINER(runtime_, part_) .runtime = (runtime_), .part = (part_), .life = LIFE_CONTAINER
#define UNIT(suffix_) .suffix = (suffix_), .runtime = "systemd", .part = PART_NAME, .life = LIFE_UNIT
static const struct pattern patterns[] = {
    {HELPER("lxc.monitor")},
    {HELPER("lxc.pivot")},
    {HELPER("libpod-conmon-")},
    {HELPER("crio-conmon-")},
    {HELPER("conmon"), .parent = "libpod_parent"},
    {CONTAINER("lxc", PART_NAME), .prefix = "lxc.payload.", .name = runtime_state_lxc_name},
    {CONTAINER("lxc", PART_NAME), .parent = "lxc.payload", .name = runtime_state_lxc_name},
    {CONTAINER("lxc", PART_NAME), .parent = "lxc", .name = runtime_state_lxc_name},
    {CONTAINER("docker", PART_HEX), .parent = "docker", .name = runtime_state_docker_name},
    {CONTAINER("docker", PART_HEX), .prefix = "docker-", .suffix = ".scope",
     .name = runtime_state_docker_name},
    {CONTAINER("podman", PART_HEX), .prefix = "libpod-", .suffix = ".scope",
     .name = runtime_state_podman_name},
    {CONTAINER("podman", PART_HEX), .prefix = "libpod-", .name = runtime_state_podman_name},
    {CONTAINER("containerd", PART_HEX), .prefix = "cri-containerd-", .suffix = ".scope",
     .name = runtime_state_containerd_name},
    {CONTAINER("containerd", PART_HEX), .prefix = "nerdctl-", .suffix = ".scope",
     .name = runtime_state_containerd_name},
    {CONTAINER("containerd", PART_HEX), .prefix = "*:cri-containerd:", .name = runtime_state_containerd_name},
    {CONTAINER("crio", PART_HEX), .prefix = "crio-", .suffix = ".scope", .name = runtime_state_crio_name},
    {CONTAINER("crio", PART_HEX), .prefix = "crio-", .name = runtime_state_crio_name},
    {CONTAINER("containerd", PART_HEX), .parent = "pod", .name = runtime_state_containerd_name},
    {CONTAINER("nspawn", PART_UNIT), .prefix = "systemd-nspawn@", .suffix = ".service"},
    {CONTAINER("libvirt-lxc", PART_MACHINE), .prefix = "machine-lxc\\x2d", .suffix = ".scope"},
    {CONTAINER("libvirt-qemu", PART_MACHINE), .prefix = "machine-qemu\\x2d", .suffix = ".scope"},
    {CONTAINER("nspawn", PART_UNIT), .prefix = "machine-", .suffix = ".scope"},
    {CONTAINER("libvirt-lxc", PART_NAME), .suffix = ".libvirt-lxc"},
    {UNIT(".service")},
    {UNIT(".scope")},
};

/* One component of the path that a pattern fits. */
struct match {
    const struct pattern *pattern;
    const char *part; /* borrowed from the component */
    size_t part_len;
    bool last;
};

static bool is_hex(const char *text, size_t len)
{
    return len == ID_HEX_LEN && strspn(text, "0123456789abcdef") >= len;
}

/* Cuts prefix and suffix off @text. False when they are not there. */
static bool cut(const struct pattern *pattern, const char *text, const char **ret_part, size_t *ret_len)
{
    const char *prefix = pattern->prefix ? pattern->prefix : "",
               *suffix = pattern->suffix ? pattern->suffix : "";
    if (prefix[0] == '*') {
        const char *at = strstr(text, prefix + 1);
        *ret_part = at ? at + strlen(prefix + 1) : text;
        *ret_len = strlen(*ret_part);
        return at != NULL;
    }
    size_t around = strlen(prefix) + strlen(suffix), len = strlen(text);
    if (len < around || !str_starts(text, prefix) || !str_ends(text, suffix))
        return false;
    *ret_part = text + strlen(prefix);
    *ret_len = len - around;
    return true;
}

/* "12\x2dweb": the number is libvirt's, the name follows. */
static bool cut_machine_number(const char **part, size_t *len)
{
    size_t digits = strspn(*part, "0123456789");
    static const char dash[] = "\\x2d";
    if (!digits || digits + sizeof dash - 1 >= *len || strncmp(*part + digits, dash, sizeof dash - 1) != 0)
        return false;
    *part += digits + sizeof dash - 1;
    *len -= digits + sizeof dash - 1;
    return true;
}

static bool part_fits(enum pattern_part kind, const char **part, size_t *len)
{
    switch (kind) {
    case PART_ANY:
        return true;
    case PART_NAME:
    case PART_UNIT:
        return *len > 0;
    case PART_HEX:
        return is_hex(*part, *len);
    case PART_MACHINE:
        return cut_machine_number(part, len);
    }
    return false;
}

/* "lxc" above means that very name; "pod" above a bare id means pod<uid>, or the slice of a pod. */
static bool parent_fits(const struct pattern *pattern, const char *parent)
{
    if (!pattern->parent)
        return true;
    if (strcmp(pattern->parent, "pod") == 0)
        return str_starts(parent, "pod") || (str_starts(parent, "kubepods") && strstr(parent, "-pod"));
    return strcmp(parent, pattern->parent) == 0;
}

static bool component_match(const char *parent, const char *component, struct match *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        *ret = (struct match){.pattern = &patterns[i]};
        if (parent_fits(&patterns[i], parent) && cut(&patterns[i], component, &ret->part, &ret->part_len) &&
            part_fits(patterns[i].part, &ret->part, &ret->part_len))
            return true;
    }
    return false;
}

/* Another systemd's root, or the parent of LXC's containers: what is below is judged by itself. */
static bool is_transparent(const struct match *match, const char *component)
{
    return match->pattern->life == LIFE_UNIT && str_starts(component, "user@");
}

/* The component that decides: the outermost container or helper, else the outermost unit. False when there is
 * none. */
static bool path_match(char *path, struct match *ret)
{
    struct match unit = {.pattern = NULL}, found;
    const char *parent = "";
    char *save = NULL;
    for (char *component = strtok_r(path, "/", &save); component; component = strtok_r(NULL, "/", &save)) {
        bool last = !*save;
        bool fits = component_match(parent, component, &found);
        found.last = last;
        if (fits && found.pattern->life != LIFE_UNIT) {
            *ret = found;
            return true;
        }
        if (fits && !unit.pattern && (last || !is_transparent(&found, component)))
            unit = found;
        parent = component;
    }
    *ret = unit;
    return unit.pattern != NULL;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Undoes systemd's escape: "\x2d" is '-'. */
static void unit_unescape(const char *from, size_t len, char *to, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < size; i++) {
        bool escape = len - i >= 4 && from[i] == '\\' && from[i + 1] == 'x' && hex_digit(from[i + 2]) >= 0 &&
                      hex_digit(from[i + 3]) >= 0;
        to[n++] = escape ? (char)(hex_digit(from[i + 2]) * 16 + hex_digit(from[i + 3])) : from[i];
        i += escape ? 3 : 0;
    }
    to[n] = '\0';
}

static void set_group(struct group_identity *ret)
{
    str_copy(ret->name, sizeof ret->name, ret->path);
    str_copy(ret->runtime, sizeof ret->runtime, "cgroup");
    ret->id[0] = '\0';
}

static void set_id(struct group_identity *ret, const char *runtime, const char *id)
{
    str_copy(ret->runtime, sizeof ret->runtime, runtime);
    str_copy(ret->id, sizeof ret->id, id);
    str_copy(ret->name, sizeof ret->name, id);
}

static enum identity_result set_container(const struct identity_paths *paths, const struct match *match,
                                          struct group_identity *ret)
{
    char id[GROUP_NAME_MAX];
    enum pattern_part part = match->pattern->part;
    if (part == PART_UNIT || part == PART_MACHINE)
        unit_unescape(match->part, match->part_len, id, sizeof id);
    else
        str_format(id, sizeof id, "%.*s", (int)match->part_len, match->part);
    set_id(ret, match->pattern->runtime, id);
    runtime_name_fn *name = match->pattern->name;
    /* Kubernetes with docker's cgroupfs driver names its groups as with containerd's. */
    if (name == runtime_state_containerd_name && runtime_state_docker_has(paths, id)) {
        str_copy(ret->runtime, sizeof ret->runtime, "docker");
        name = runtime_state_docker_name;
    }
    if (name && name(paths, id, ret->name) != RUNTIME_STATE_FOUND)
        return IDENTITY_PENDING;
    return IDENTITY_KNOWN;
}

/* A group that no pattern knows, or a scope that may be runc's or crun's: do their files? */
static enum identity_result set_owner(const struct identity_paths *paths, enum identity_result otherwise,
                                      struct group_identity *ret)
{
    const char *runtime;
    char id[GROUP_ID_MAX];
    switch (runtime_state_owner(paths, ret->path, &runtime, id)) {
    case RUNTIME_STATE_FOUND:
        set_id(ret, runtime, id);
        return IDENTITY_KNOWN;
    case RUNTIME_STATE_ABOVE:
        set_group(ret);
        return IDENTITY_INNER;
    case RUNTIME_STATE_NONE:
        break;
    }
    return otherwise;
}

/* The last component names the unit. */
static void set_unit(struct group_identity *ret)
{
    set_id(ret, "systemd", strrchr(ret->path, '/') + 1);
}

enum identity_result identity_find(const struct identity_paths *paths, const char *path,
                                   struct group_identity *ret)
{
    char components[GROUP_PATH_MAX];
    struct match match;
    *ret = (struct group_identity){.kind = SUBJECT_GROUP};
    str_copy(ret->path, sizeof ret->path, path);
    set_group(ret);
    str_copy(components, sizeof components, path);
    if (!path_match(components, &match))
        return str_ends(path, ".slice") ? IDENTITY_GROUP : set_owner(paths, IDENTITY_GROUP, ret);
    if (match.pattern->life == LIFE_HELPER)
        return IDENTITY_INNER;
    if (match.pattern->life == LIFE_CONTAINER)
        return match.last ? set_container(paths, &match, ret) : IDENTITY_INNER;
    if (match.last)
        set_unit(ret);
    return set_owner(paths, match.last ? IDENTITY_KNOWN : IDENTITY_INNER, ret);
}
