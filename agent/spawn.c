#include "agent/spawn.h"

#include "agent/role_main.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    FILE_FD = ROLE_LOCK_FD + 1, /* closes at exec */
    FIRST_FREE_FD = 16,         /* above every number that is given a meaning */
    EXIT_NOT_STARTED = 127,
};

int spawn_files_open(struct spawn_files *ret, const char **ret_missing)
{
    struct spawn_files files = SPAWN_FILES_NULL;
    char path[4096];
    *ret_missing = "/proc/self/exe";
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len < 0)
        return -errno;
    path[len] = '\0';
    *strrchr(path, '/') = '\0';
    CLEANUP_FD int directory = fs_open_dir(AT_FDCWD, *path ? path : "/");
    if (directory < 0)
        return directory;
    for (int i = 0; i < ROLE_FILES; i++) {
        *ret_missing = role_file_name((enum role_file)i);
        /* the running one by its magic link: it may have been replaced on disk since */
        files.fds[i] = i == ROLE_FILE_MASUD ? open("/proc/self/exe", O_PATH | O_CLOEXEC)
                                            : openat(directory, *ret_missing, O_PATH | O_CLOEXEC);
        if (files.fds[i] < 0) {
            int error = -errno;
            spawn_files_fini(&files);
            return error;
        }
    }
    *ret = files;
    return 0;
}

void spawn_files_fini(struct spawn_files *files)
{
    for (int i = 0; i < ROLE_FILES; i++)
        fd_close(fd_take(&files->fds[i]));
}

int spawn_user_find(const char *name, struct spawn_user *ret)
{
    if (!name) {
        *ret = (struct spawn_user){0};
        return 0;
    }
    errno = 0;
    const struct passwd *user = getpwnam(name);
    if (!user)
        return errno && errno != ESRCH ? -errno : -ENOENT;
    *ret = (struct spawn_user){.uid = user->pw_uid, .gid = user->pw_gid};
    return 0;
}

void spawn_set_oom_score(int score)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", score);
    int r = fs_write_at(AT_FDCWD, "/proc/self/oom_score_adj", text, strlen(text));
    (void)r;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Each step of the child's way to exec: 0 or -errno. */

static int place_descriptors(const struct spawn *spawn)
{
    int control = fcntl(spawn->control_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    int lock = spawn->lock_fd < 0 ? -1 : fcntl(spawn->lock_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    int file = fcntl(spawn->file_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (control < 0 || file < 0 || null < 0 || (spawn->lock_fd >= 0 && lock < 0))
        return -errno;
    if (dup2(null, STDIN_FILENO) < 0 || dup2(control, ROLE_CONTROL_FD) < 0 ||
        dup3(file, FILE_FD, O_CLOEXEC) < 0)
        return -errno;
    (void)close(ROLE_LOCK_FD);
    if (lock >= 0 && dup2(lock, ROLE_LOCK_FD) < 0)
        return -errno;
    return close_range(FILE_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

static int drop_to_user(const struct spawn *spawn)
{
    if (capng_get_caps_process() < 0)
        return -EPERM;
    capng_clear(CAPNG_SELECT_ALL);
    int r = capng_change_id((int)spawn->user.uid, (int)spawn->user.gid,
                            CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
    return r < 0 ? -EPERM : 0;
}

/* exec by root grants the bounding set: so that is what is cut. */
static int drop_as_root(const struct spawn *spawn)
{
    if (setgroups(0, NULL) < 0)
        return -errno;
    if (capng_get_caps_process() < 0)
        return -EPERM;
    uint64_t kept = 0;
    for (unsigned cap = 0; cap < 64; cap++)
        if ((spawn->role->capabilities >> cap & 1) && capng_have_capability(CAPNG_PERMITTED, cap) &&
            capng_have_capability(CAPNG_BOUNDING_SET, cap))
            kept |= UINT64_C(1) << cap;
    capng_clear(CAPNG_SELECT_ALL);
    for (unsigned cap = 0; cap < 64; cap++)
        if ((kept >> cap & 1) &&
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, cap) < 0)
            return -EINVAL;
    return capng_apply(CAPNG_SELECT_ALL) < 0 ? -EPERM : 0;
}

static int drop_privileges(const struct spawn *spawn)
{
    int r = spawn->user.uid ? drop_to_user(spawn) : drop_as_root(spawn);
    if (r < 0)
        return r;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int execute(const struct spawn *spawn)
{
    char file[32], name[32], option[] = "--role";
    (void)str_copy(file, sizeof file, role_file_name(spawn->role->file));
    (void)str_copy(name, sizeof name, spawn->role->name);
    char *const argv[] = {file, option, name, NULL};
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execveat(FILE_FD, "", argv, environ, AT_EMPTY_PATH);
    return -errno;
}

static _Noreturn void become(const struct spawn *spawn)
{
    static const struct {
        int (*run)(const struct spawn *spawn);
        const char *what;
    } steps[] = {
        {place_descriptors, "place its descriptors"},
        {drop_privileges, "drop privileges"},
        {execute, "execute its file"},
    };
    spawn_set_oom_score(spawn->role->oom_score_adj);
    /* on top of what the operator gave masud; without the right it stays so */
    (void)!nice(spawn->role->nice);
    raise_file_limit();
    for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
        int r = steps[i].run(spawn);
        if (r < 0) {
            log_error("spawn", "%s cannot %s: %s, giving up this start", spawn->role->name, steps[i].what,
                      strerror(-r));
            break;
        }
    }
    _exit(EXIT_NOT_STARTED);
}

int spawn_role(const struct spawn *spawn, pid_t *ret_pid)
{
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become(spawn);
    *ret_pid = pid;
    return 0;
}
