#include "agent/parent_notify.h"

#include "base/fs.h"
#include "base/str.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un manager = {.sun_family = AF_UNIX};

void parent_notify_init(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path && !str_copy(manager.sun_path, sizeof manager.sun_path, path))
        manager.sun_path[0] = '\0';
    (void)unsetenv("NOTIFY_SOCKET");
}

void parent_notify(const char *state)
{
    size_t len = strlen(manager.sun_path);
    if (len == 0)
        return;
    struct sockaddr_un to = manager;
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0'; /* abstract */
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}
