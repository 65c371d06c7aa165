#include "collectors/identity.h"
#include "collectors/runtime_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct identity_paths paths = {
    .root = MASU_SOURCE_DIR "/tests/fixtures/runtimes", .lxc = "/var/lib/lxc", .docker = "/var/lib/docker"};

/* As in the fixtures. */
#define TIMES_8(text) text text text text text text text text
#define WEB TIMES_8("3f4e8a1c")     /* docker */
#define DB TIMES_8("9b7d02e5")      /* podman */
#define API TIMES_8("c0ffee12")     /* containerd CRI */
#define SANDBOX TIMES_8("fedc4321") /* its pod's */
#define DNS TIMES_8("5ad1e771")     /* cri-o */
#define NEW TIMES_8("77aa33bb")     /* no runtime has written its state yet */

static const struct {
    const char *path;
    enum identity_result result;
    const char *runtime, *name, *id;
} rows[] = {
    /* lxc */
    {"/lxc.payload.web", IDENTITY_KNOWN, "lxc", "web", "web"},
    {"/lxc/web", IDENTITY_KNOWN, "lxc", "web", "web"},
    {"/lxc.payload/web", IDENTITY_KNOWN, "lxc", "web", "web"},
    {"/lxc.payload.db-1", IDENTITY_KNOWN, "lxc", "db", "db-1"},
    {"/lxc.payload.web-2", IDENTITY_KNOWN, "lxc", "web-2", "web-2"},
    {"/lxc.payload.gone-3", IDENTITY_KNOWN, "lxc", "gone-3", "gone-3"},
    {"/lxc.payload.web/.lxc", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/lxc.payload.web/system.slice/cron.service", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/lxc/web/lxc.payload.nested", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/lxc.monitor.web", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/lxc.monitor/web", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/lxc.pivot", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/lxc", IDENTITY_GROUP, "cgroup", "/lxc", ""},
    /* docker */
    {"/docker/" WEB, IDENTITY_KNOWN, "docker", "shop-web-1", WEB},
    {"/system.slice/docker-" WEB ".scope", IDENTITY_KNOWN, "docker", "shop-web-1", WEB},
    {"/docker/" NEW, IDENTITY_PENDING, "docker", NEW, NEW},
    {"/docker/" WEB "/init.scope", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/docker", IDENTITY_GROUP, "cgroup", "/docker", ""},
    {"/docker/buildkit", IDENTITY_GROUP, "cgroup", "/docker/buildkit", ""},
    {"/kubepods/besteffort/pod12/" WEB, IDENTITY_KNOWN, "docker", "shop-web-1", WEB},
    /* podman */
    {"/libpod_parent/libpod-" DB, IDENTITY_KNOWN, "podman", "shop-db", DB},
    {"/machine.slice/libpod-" DB ".scope", IDENTITY_KNOWN, "podman", "shop-db", DB},
    {"/machine.slice/libpod-" DB ".scope/container", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/machine.slice/libpod-conmon-" DB ".scope", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/libpod_parent/conmon", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" NEW ".scope", IDENTITY_PENDING,
     "podman", NEW, NEW},
    {"/libpod_parent", IDENTITY_GROUP, "cgroup", "/libpod_parent", ""},
    /* Kubernetes */
    {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" API ".scope",
     IDENTITY_KNOWN, "containerd", "shop/api-6d5f8-x2x9k/api", API},
    {"/kubepods/burstable/pod1/" API, IDENTITY_KNOWN, "containerd", "shop/api-6d5f8-x2x9k/api", API},
    {"/kubepods/burstable/pod1/" SANDBOX, IDENTITY_KNOWN, "containerd", "shop/api-6d5f8-x2x9k/POD", SANDBOX},
    {"/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:" API, IDENTITY_KNOWN,
     "containerd", "shop/api-6d5f8-x2x9k/api", API},
    {"/kubepods.slice/kubepods-pod2.slice/crio-" DNS ".scope", IDENTITY_KNOWN, "crio",
     "kube-system/coredns-7c6/dns", DNS},
    {"/kubepods.slice/kubepods-pod2.slice/crio-" DNS ".scope/container", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/kubepods.slice/kubepods-pod2.slice/crio-conmon-" DNS ".scope", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/kubepods/burstable/pod1", IDENTITY_GROUP, "cgroup", "/kubepods/burstable/pod1", ""},
    {"/kubepods.slice/kubepods-pod2.slice", IDENTITY_GROUP, "cgroup", "/kubepods.slice/kubepods-pod2.slice",
     ""},
    /* groups that only the runtime's files tell of */
    {"/default/redis", IDENTITY_KNOWN, "containerd", "redis", "redis"},
    {"/default/redis/workers", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/tools/box", IDENTITY_KNOWN, "runc", "box-by-hand", "box-by-hand"},
    {"/tools/box/inner", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/tools/box-2", IDENTITY_GROUP, "cgroup", "/tools/box-2", ""},
    {"/tools", IDENTITY_GROUP, "cgroup", "/tools", ""},
    {"/box", IDENTITY_GROUP, "cgroup", "/box", ""},
    {"/on-v2", IDENTITY_KNOWN, "runc", "on-v2", "on-v2"},
    {"/on-v2-too", IDENTITY_GROUP, "cgroup", "/on-v2-too", ""},
    {"/jobs/batch-7-group", IDENTITY_KNOWN, "crun", "batch-7", "batch-7"},
    {"/system.slice/crun-in-scope.scope", IDENTITY_KNOWN, "crun", "in-scope", "in-scope"},
    /* machines */
    {"/machine.slice/systemd-nspawn@build\\x2dbox.service", IDENTITY_KNOWN, "nspawn", "build-box",
     "build-box"},
    {"/machine.slice/systemd-nspawn@build.service/payload", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/machine.slice/systemd-nspawn@build.service/supervisor", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/machine.slice/machine-build\\x2dbox.scope", IDENTITY_KNOWN, "nspawn", "build-box", "build-box"},
    {"/machine.slice/machine-lxc\\x2d1234\\x2dold\\x2dmail.scope", IDENTITY_KNOWN, "libvirt-lxc", "old-mail",
     "old-mail"},
    {"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", IDENTITY_KNOWN, "libvirt-qemu", "vm", "vm"},
    {"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/machine/mail.libvirt-lxc", IDENTITY_KNOWN, "libvirt-lxc", "mail", "mail"},
    /* systemd */
    {"/system.slice/nginx.service", IDENTITY_KNOWN, "systemd", "nginx.service", "nginx.service"},
    {"/system.slice/system-getty.slice/getty@tty1.service", IDENTITY_KNOWN, "systemd", "getty@tty1.service",
     "getty@tty1.service"},
    {"/system.slice/nginx.service/worker", IDENTITY_INNER, "cgroup", NULL, ""},
    {"/user.slice/user-0.slice/session-3.scope", IDENTITY_KNOWN, "systemd", "session-3.scope",
     "session-3.scope"},
    {"/user.slice/user-1000.slice/user@1000.service", IDENTITY_KNOWN, "systemd", "user@1000.service",
     "user@1000.service"},
    {"/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service", IDENTITY_KNOWN, "systemd",
     "sync.service", "sync.service"},
    {"/system.slice", IDENTITY_GROUP, "cgroup", "/system.slice", ""},
    /* none */
    {"/batch", IDENTITY_GROUP, "cgroup", "/batch", ""},
    {"/batch/a b", IDENTITY_GROUP, "cgroup", "/batch/a b", ""},
    {"/", IDENTITY_GROUP, "cgroup", "/", ""},
};

static void each_path_has_its_runtime_name_and_id(void **state)
{
    (void)state;
    paths.index = runtime_index_new();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct group_identity found;
        enum identity_result result = identity_find(&paths, rows[i].path, &found);
        const char *name = rows[i].name ? rows[i].name : rows[i].path;
        if (result != rows[i].result || strcmp(found.runtime, rows[i].runtime) != 0 ||
            strcmp(found.name, name) != 0 || strcmp(found.id, rows[i].id) != 0)
            fail_msg("%s: result %d, %s '%s' id '%s'; expected %d, %s '%s' id '%s'", rows[i].path,
                     (int)result, found.runtime, found.name, found.id, (int)rows[i].result, rows[i].runtime,
                     name, rows[i].id);
        assert_string_equal(found.path, rows[i].path);
        assert_int_equal(found.kind, SUBJECT_GROUP);
    }
    paths.index = runtime_index_free(paths.index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_has_its_runtime_name_and_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
