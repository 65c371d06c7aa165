#include "tests/system/harness.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "cgroup/group.h"
#include "cgroup/subtree.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { START_SECONDS = 30, OUTPUT_MAX = 1 << 20 };

static const char *binary(const char *name, char *buf, size_t size)
{
    const char *dir = getenv("MASU_BINARY_DIR");
    str_format(buf, size, "%s/%s", dir ? dir : MASU_BINARY_DIR, name);
    return buf;
}

bool wait_until(bool (*condition)(void *argument), void *argument, unsigned seconds)
{
    uint64_t end_ns = clock_mono_ns() + seconds * NSEC_PER_SEC;
    while (!condition(argument)) {
        if (clock_mono_ns() > end_ns)
            return false;
        usleep(20000);
    }
    return true;
}

/* ---- groups ---- */

static bool v2_has_controllers(const struct hierarchy *h)
{
    return h->version == 2 && h->controllers[0];
}

/* A machine of the test's own (a virtual one) has everything in its root; a host's root is left as it is
 * found. */
static void enable_controllers(struct daemon *d, unsigned hierarchy, const char *path)
{
    char list[CGROUP_CONTROLLERS_MAX];
    char *save = NULL;
    str_copy(list, sizeof list, d->host.hierarchies[hierarchy].controllers);
    for (char *c = strtok_r(list, ",", &save); c; c = strtok_r(NULL, ",", &save)) {
        int r = subtree_enable(&d->host, hierarchy, path, c);
        if (r != GROUP_OK)
            print_message("'%s' does not pass '%s' on: %d\n", path, c, r);
    }
}

static void make_root(struct daemon *d)
{
    uint64_t id;
    for (unsigned h = 0; h < d->host.count; h++) {
        int r = group_make(&d->host, h, d->root, &id);
        assert_true(r == GROUP_OK || r == GROUP_EXISTS);
        if (v2_has_controllers(&d->host.hierarchies[h]) && d->host.mode == CGROUP_UNIFIED) {
            enable_controllers(d, h, "/");
            enable_controllers(d, h, d->root);
        }
    }
}

void make_group(struct daemon *d, const char *name, char ret_path[GROUP_PATH_MAX])
{
    uint64_t id;
    str_format(ret_path, GROUP_PATH_MAX, "%s/%s", d->root, name);
    for (unsigned h = 0; h < d->host.count; h++)
        assert_int_equal(group_make(&d->host, h, ret_path, &id), GROUP_OK);
}

/* Children first. Where something goes meanwhile, so much the better. 0 or -errno. */
static int remove_tree(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir) {
        for (const struct dirent *e; (e = readdir(dir));)
            if (e->d_type == DT_DIR && e->d_name[0] != '.')
                (void)remove_tree(fd, e->d_name);
        closedir(dir);
    }
    return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

void remove_group(struct daemon *d, const char *path)
{
    for (unsigned h = 0; h < d->host.count; h++)
        for (int tries = 0; tries < 100 && remove_tree(d->host.hierarchies[h].dirfd, path + 1) == -EBUSY;
             tries++)
            usleep(20000);
}

static int hierarchy_of_file(const struct daemon *d, const char *path, const char *file)
{
    char relative[GROUP_PATH_MAX + 64];
    str_format(relative, sizeof relative, ".%s/%s", path, file);
    for (unsigned h = 0; h < d->host.count; h++)
        if (fs_exists_at(d->host.hierarchies[h].dirfd, relative))
            return (int)h;
    return -1;
}

const char *group_file(struct daemon *d, const char *path, const char *file, char *buf, size_t size)
{
    char relative[GROUP_PATH_MAX + 64];
    buf[0] = '\0';
    int h = hierarchy_of_file(d, path, file);
    if (h < 0)
        return buf;
    str_format(relative, sizeof relative, ".%s/%s", path, file);
    ssize_t n = fs_read_at(d->host.hierarchies[h].dirfd, relative, buf, size);
    if (n < 0)
        buf[0] = '\0';
    size_t len = strlen(buf);
    if (len && buf[len - 1] == '\n')
        buf[len - 1] = '\0';
    return buf;
}

void group_write(struct daemon *d, const char *path, const char *file, const char *text)
{
    char relative[GROUP_PATH_MAX + 64];
    int h = hierarchy_of_file(d, path, file);
    assert_true(h >= 0);
    str_format(relative, sizeof relative, ".%s/%s", path, file);
    assert_int_equal(fs_write_at(d->host.hierarchies[h].dirfd, relative, text, strlen(text)), 0);
}

bool has_memory(const struct daemon *d)
{
    return cgroup_host_find(&d->host, "memory") >= 0;
}

int version_of(const struct daemon *d, const char *controller)
{
    int h = cgroup_host_find(&d->host, controller);
    return h < 0 ? 0 : d->host.hierarchies[h].version;
}

/* ---- workloads ---- */

static pid_t child_in(struct daemon *d, const char *path)
{
    int gate[2];
    char go;
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(gate[1]);
        if (read(gate[0], &go, 1) != 1)
            _exit(1);
        return 0;
    }
    close(gate[0]);
    assert_int_equal(group_attach(&d->host, path, pid), GROUP_OK);
    assert_int_equal(write(gate[1], "g", 1), 1);
    close(gate[1]);
    return pid;
}

pid_t run_burner(struct daemon *d, const char *path)
{
    pid_t pid = child_in(d, path);
    if (pid)
        return pid;
    for (volatile unsigned long n = 0;; n++)
        continue;
}

pid_t run_grower(struct daemon *d, const char *path, size_t bytes_per_step, unsigned step_ms)
{
    pid_t pid = child_in(d, path);
    if (pid)
        return pid;
    for (;;) {
        char *memory = mmap(NULL, bytes_per_step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            _exit(2);
        for (size_t i = 0; i < bytes_per_step; i += 4096)
            memory[i] = (char)i;
        usleep(step_ms * 1000);
    }
}

pid_t run_sleeper(struct daemon *d, const char *path)
{
    pid_t pid = child_in(d, path);
    if (pid)
        return pid;
    for (;;)
        pause();
}

void end_child(pid_t pid)
{
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

/* ---- the daemon ---- */

static void write_file(const char *path, const char *text)
{
    assert_int_equal(fs_replace_at(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

void daemon_set_policy(struct daemon *d, const char *policy)
{
    struct buf text = BUF_NULL;
    for (const char *p = policy; *p; p++)
        if (p[0] == '%' && p[1] == 's') {
            buf_puts(&text, d->root);
            p++;
        } else {
            buf_putc(&text, *p);
        }
    write_file(d->policy, text.data ? text.data : "");
    buf_fini(&text);
}

void daemon_init(struct daemon *d, const char *name, const char *policy, const char *extra_settings)
{
    char text[4096], scope[128];
    *d = (struct daemon){0};
    assert_int_equal(cgroup_host_open("", &d->host), 0);
    str_format(d->dir, sizeof d->dir, "/tmp/masu-test-%s-%d", name, (int)getpid());
    str_format(d->root, sizeof d->root, "/masu-test-%s-%d", name, (int)getpid());
    str_format(d->config, sizeof d->config, "%s/masu.yaml", d->dir);
    str_format(d->policy, sizeof d->policy, "%s/policy.yaml", d->dir);
    str_format(d->socket, sizeof d->socket, "%s/run/masu.sock", d->dir);
    d->port = 20000 + (int)getpid() % 20000;
    assert_int_equal(fs_make_dirs(d->dir, 0755), 0);
    str_format(scope, sizeof scope, "scope: [ \"%s/**\" ]\n", d->root);
    if (extra_settings && str_starts(extra_settings, "scope:"))
        scope[0] = '\0';
    bool archive = !extra_settings || !strstr(extra_settings, "archive:");
    str_format(text, sizeof text,
               "interval: 1s\n"
               "paths: { state: %s/state, run: %s/run }\n"
               "http: { listen: 127.0.0.1:%d }\n"
               "%s"
               "policy: [ %s ]\n"
               "%s"
               "%s",
               d->dir, d->dir, d->port, scope, d->policy,
               archive ? "archive: { after: 2s, flush: 2s }\n" : "", extra_settings ? extra_settings : "");
    write_file(d->config, text);
    daemon_set_policy(d, policy);
    make_root(d);
}

static bool ready(void *argument)
{
    json_t *status = api(argument, "/api/v1/status");
    bool is = json_integer_value(json_object_get(json_object_get(status, "sampling"), "ticks")) >= 1;
    json_decref(status);
    return is;
}

void daemon_start(struct daemon *d)
{
    char path[512];
    d->pid = fork();
    assert_true(d->pid >= 0);
    if (d->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execl(binary("masud", path, sizeof path), "masud", "--config", d->config, (char *)NULL);
        _exit(127);
    }
    assert_true(wait_until(ready, d, START_SECONDS));
}

void daemon_stop(struct daemon *d)
{
    if (d->pid <= 0)
        return;
    kill(d->pid, SIGTERM);
    waitpid(d->pid, NULL, 0);
    d->pid = 0;
}

static bool lock_is_free(void *argument)
{
    struct daemon *d = argument;
    char path[200];
    str_format(path, sizeof path, "%s/run/masud.lock", d->dir);
    return access(path, F_OK) < 0 || kill(d->pid, 0) < 0;
}

void daemon_kill(struct daemon *d)
{
    kill(d->pid, SIGKILL);
    waitpid(d->pid, NULL, 0);
    assert_true(wait_until(lock_is_free, d, 10));
    d->pid = 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void daemon_fini(struct daemon *d)
{
    daemon_stop(d);
    remove_group(d, d->root);
    nftw(d->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    cgroup_host_close(&d->host);
}

/* ---- talking to it ---- */

static int run_masu(struct daemon *d, bool json, char **ret_output, va_list args)
{
    char path[512];
    char *argv[32];
    char socket_flag[] = "--socket", json_flag[] = "--json", name[] = "masu";
    unsigned n = 0;
    int out[2], status;
    argv[n++] = name;
    argv[n++] = socket_flag;
    argv[n++] = d->socket;
    for (const char *a; (a = va_arg(args, const char *)) && n < 30;)
        argv[n++] = strdup(a);
    unsigned own = n;
    if (json)
        argv[n++] = json_flag;
    argv[n] = NULL;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        dup2(out[1], 2);
        execv(binary("masu", path, sizeof path), argv);
        _exit(127);
    }
    close(out[1]);
    struct buf text = BUF_NULL;
    char chunk[4096];
    for (ssize_t r; (r = read(out[0], chunk, sizeof chunk)) > 0 && text.len < OUTPUT_MAX;)
        buf_append(&text, chunk, (size_t)r);
    close(out[0]);
    waitpid(pid, &status, 0);
    for (unsigned i = 3; i < own; i++)
        free(argv[i]);
    char *output = buf_take(&text);
    *ret_output = output ? output : strdup("");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int masu(struct daemon *d, char **ret_output, ...)
{
    va_list args;
    va_start(args, ret_output);
    int code = run_masu(d, false, ret_output, args);
    va_end(args);
    return code;
}

json_t *masu_json(struct daemon *d, int *ret_code, ...)
{
    char *output;
    va_list args;
    va_start(args, ret_code);
    int code = run_masu(d, true, &output, args);
    va_end(args);
    if (ret_code)
        *ret_code = code;
    json_t *answer = json_loads(output, 0, NULL);
    free(output);
    return answer;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct buf *body = owner;
    buf_append(body, bytes, size * count);
    return size * count;
}

char *http_get_url(const char *socket, const char *url, long *ret_status, size_t *ret_len)
{
    struct buf body = BUF_NULL;
    *ret_status = 0;
    CURL *curl = curl_easy_init();
    assert_non_null(curl);
    if (socket)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_cleanup(curl);
    if (ret_len)
        *ret_len = body.len;
    char *text = buf_take(&body);
    return text ? text : strdup("");
}

char *http_get(struct daemon *d, const char *path, long *ret_status, size_t *ret_len)
{
    char url[4096];
    str_format(url, sizeof url, "http://localhost%s", path);
    return http_get_url(d->socket, url, ret_status, ret_len);
}

json_t *api(struct daemon *d, const char *path)
{
    long status;
    char *body = http_get(d, path, &status, NULL);
    json_t *answer = status == 200 ? json_loads(body, 0, NULL) : NULL;
    free(body);
    return answer;
}

pid_t role_pid(struct daemon *d, const char *role)
{
    json_t *status = api(d, "/api/v1/status"), *process;
    size_t i;
    pid_t pid = 0;
    json_array_foreach(json_object_get(status, "processes"), i,
                       process) if (strcmp(json_string_value(json_object_get(process, "role")), role) == 0)
        pid = (pid_t)json_integer_value(json_object_get(process, "pid"));
    json_decref(status);
    return pid;
}

unsigned count_events(struct daemon *d, const char *path, const char *type, const char *level)
{
    char query[GROUP_PATH_MAX + 64];
    str_format(query, sizeof query, "/api/v1/events?limit=500&path=%s&type=%s", path, type);
    json_t *answer = api(d, query);
    size_t i;
    json_t *event;
    unsigned count = 0;
    json_array_foreach(json_object_get(answer, "events"), i, event)
    {
        const char *l = json_string_value(json_object_get(event, "level"));
        assert_string_equal(json_string_value(json_object_get(event, "path")), path);
        assert_string_equal(json_string_value(json_object_get(event, "type")), type);
        count += !level || (l && strcmp(l, level) == 0);
    }
    json_decref(answer);
    return count;
}

double host_sample(struct daemon *d)
{
    json_t *c = container(d, "/");
    double time = json_number_value(json_object_get(json_object_get(c, "sample"), "time"));
    json_decref(c);
    return time;
}

json_t *container(struct daemon *d, const char *path)
{
    char url[GROUP_PATH_MAX * 3 + 64] = "/api/v1/containers/";
    size_t n = strlen(url);
    for (const char *p = path; *p && n < sizeof url - 4; p++)
        if (*p == '/') {
            memcpy(url + n, "%2F", 4);
            n += 3;
        } else {
            url[n++] = *p;
        }
    url[n] = '\0';
    return api(d, url);
}
