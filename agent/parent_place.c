/*
 * The lock is an flock on an open file that every role inherits: it is free when the last process of an
 * instance has ended, not when its masud has. So two enforcers or two archivers never work on the same
 * directories, even when masud was killed and is started again while the roles of the first are still
 * finishing what is in flight.
 */

#include "agent/parent_place.h"

#include "agent/role_main.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    LISTEN_BACKLOG = 128,
    LOCK_PAUSE_MS = 50,
    LOCK_WAIT_S = ROLE_STOP_S + 2,
    PATH_BYTES = SETTING_PATH_MAX + 32
};

static int refuse_run(const char *path, const char *why)
{
    log_error("place", "paths.run '%s': %s, not starting", path, why);
    return -1;
}

static int make_run(const char *path)
{
    int r = fs_make_dirs(path, 0755);
    if (r < 0)
        return refuse_run(path, strerror(-r));
    struct stat st;
    if (stat(path, &st) < 0)
        return refuse_run(path, strerror(errno));
    if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return refuse_run(
            path, "belongs to another user or is writable by others; masud wants a directory of root's");
    char enforcer[PATH_BYTES];
    (void)str_format(enforcer, sizeof enforcer, "%s/enforcer", path);
    if (mkdir(enforcer, 0700) < 0 && errno != EEXIST)
        return refuse_run(enforcer, strerror(errno));
    if (lstat(enforcer, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != 0 || chmod(enforcer, 0700) < 0)
        return refuse_run(enforcer, "is not a directory of root's");
    return 0;
}

static long lock_holder(int fd)
{
    char text[32];
    return fs_pread(fd, text, sizeof text) > 0 ? strtol(text, NULL, 10) : 0;
}

/* Waits for the roles of a masud that is dead. True when the lock is ours. */
static bool lock_wait(int fd)
{
    uint64_t until_ns = clock_mono_ns() + LOCK_WAIT_S * NSEC_PER_SEC;
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * (long)NSEC_PER_MSEC};
    log_info("place", "the roles of the masud that ran here before are ending, waiting for them");
    while (clock_mono_ns() < until_ns) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        (void)nanosleep(&pause, NULL);
    }
    return false;
}

static int take_lock(const char *run, int *ret_fd)
{
    char path[PATH_BYTES];
    (void)str_format(path, sizeof path, "%s/masud.lock", run);
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return refuse_run(path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        long holder = lock_holder(fd);
        bool alive = holder > 0 && (kill((pid_t)holder, 0) == 0 || errno != ESRCH);
        if (alive || !lock_wait(fd)) {
            log_error("place",
                      "paths.run '%s' is in use by masud, pid %ld: stop it, or give this one a paths.run of "
                      "its own",
                      run, holder);
            return -1;
        }
    }
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
        return refuse_run(path, strerror(errno));
    *ret_fd = fd_take(&fd);
    return 0;
}

static bool directory_empty(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        return false;
    unsigned entries = 0;
    while (entries < 3 && readdir(directory))
        entries++;
    (void)closedir(directory);
    return entries < 3; /* . and .. */
}

/* Root can search everything: asks as the user. */
static bool can_search(const struct spawn_user *user, const char *path)
{
    bool can = setegid(user->gid) == 0 && seteuid(user->uid) == 0 &&
               faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
    if (seteuid(0) < 0 || setegid(0) < 0)
        abort();
    return can;
}

static int make_state(const char *path, const struct spawn_user users[ROLE_N])
{
    const struct spawn_user *owner = &users[ROLE_ARCHIVER], *reader = &users[ROLE_READER];
    struct stat st;
    int r = fs_make_dirs(path, 0755);
    if (r < 0 || stat(path, &st) < 0) {
        log_error("place", "paths.state '%s': %s, not starting", path, strerror(r < 0 ? -r : errno));
        return -1;
    }
    if (st.st_uid != owner->uid && !directory_empty(path)) {
        log_error("place",
                  "paths.state '%s' belongs to uid %u and is not empty: give masu a directory of its own",
                  path, (unsigned)st.st_uid);
        return -1;
    }
    if (chown(path, owner->uid, reader->gid) < 0 || chmod(path, 02750) < 0) {
        log_error("place", "paths.state '%s': %s, not starting", path, strerror(errno));
        return -1;
    }
    if (!can_search(owner, path) || !can_search(reader, path)) {
        log_error("place",
                  "paths.state '%s' cannot be reached by the users masu and masu-gw: one of the directories "
                  "above it "
                  "is closed to others (chmod o+x)",
                  path);
        return -1;
    }
    return 0;
}

/* Two archivers with run directories of their own would write into each other's journal. */
static int lock_state(const char *path, int *ret_fd)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        bool in_use = fd >= 0 && errno == EWOULDBLOCK;
        log_error("place", "paths.state '%s': %s, not starting", path,
                  in_use ? "is in use by another masud, give this one a paths.state of its own"
                         : strerror(errno));
        return -1;
    }
    *ret_fd = fd_take(&fd);
    return 0;
}

static int listen_unix(const char *run, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!str_format(address.sun_path, sizeof address.sun_path, "%s/masu.sock", run))
        return refuse_run(run, "is too long for the path of a unix socket");
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)unlink(address.sun_path); /* we hold the lock: nobody listens there */
    /* Everybody may read; what changes anything asks for root by the peer's credentials. */
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(address.sun_path, 0666) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return refuse_run(address.sun_path, strerror(errno));
    *ret_fd = fd_take(&fd);
    return 0;
}

static int refuse_listen(const char *listen, const char *why)
{
    log_error("place", "http.listen '%s': %s, not starting", listen, why);
    return -1;
}

/* "127.0.0.1:9780", "[::1]:9780" into its parts, in place. */
static bool split_address(char *text, char **ret_host, char **ret_port)
{
    char *colon = strrchr(text, ':');
    if (!colon)
        return false;
    *colon = '\0';
    *ret_port = colon + 1;
    *ret_host = text;
    size_t len = strlen(text);
    if (text[0] == '[' && text[len - 1] == ']') {
        text[len - 1] = '\0';
        *ret_host = text + 1;
    }
    return true;
}

static int listen_at(const struct addrinfo *address)
{
    CLEANUP_FD int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int yes = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return -errno;
    return fd_take(&fd);
}

static int listen_tcp(const char *where, int *ret_fd)
{
    char text[SETTING_PATH_MAX], *host, *port;
    if (!*where)
        return 0;
    (void)str_copy(text, sizeof text, where);
    if (!split_address(text, &host, &port))
        return refuse_listen(where, "expected ADDRESS:PORT");
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses;
    int r = getaddrinfo(*host ? host : NULL, port, &hints, &addresses);
    if (r != 0)
        return refuse_listen(where, gai_strerror(r));
    int fd = listen_at(addresses);
    freeaddrinfo(addresses);
    if (fd < 0)
        return refuse_listen(where, strerror(-fd));
    *ret_fd = fd;
    return 0;
}

int place_open(const struct settings *settings, const struct spawn_user users[ROLE_N], struct place *ret)
{
    struct place place = PLACE_NULL;
    if (make_run(settings->run_dir) == 0 && take_lock(settings->run_dir, &place.lock_fd) == 0 &&
        make_state(settings->state_dir, users) == 0 &&
        lock_state(settings->state_dir, &place.state_fd) == 0 &&
        listen_unix(settings->run_dir, &place.listen_unix_fd) == 0 &&
        listen_tcp(settings->http_listen, &place.listen_tcp_fd) == 0) {
        *ret = place;
        return 0;
    }
    place_close(settings, &place);
    return -1;
}

void place_close(const struct settings *settings, struct place *place)
{
    if (place->listen_unix_fd >= 0) {
        char path[PATH_BYTES];
        (void)str_format(path, sizeof path, "%s/masu.sock", settings->run_dir);
        (void)unlink(path);
    }
    fd_close(place->listen_unix_fd);
    fd_close(place->listen_tcp_fd);
    fd_close(place->state_fd);
    fd_close(place->lock_fd);
    *place = PLACE_NULL;
}
