#include "base/channel.h"
#include "base/fs.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct wire_header {
    uint32_t type;
    uint32_t len;
    uint64_t id;
};

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
};

int channel_pair(int ret_fds[2])
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    memcpy(ret_fds, fds, sizeof fds);
    return 0;
}

static int result_of_errno(void)
{
    switch (errno) {
    case EAGAIN:
        return CHANNEL_AGAIN;
    case EPIPE:
    case ECONNRESET:
        return CHANNEL_CLOSED;
    }
    return -errno;
}

int channel_send(int fd, uint32_t type, uint64_t id, const void *body, size_t len, const int *fds,
                 unsigned fd_count)
{
    if (len > CHANNEL_BODY_MAX || fd_count > CHANNEL_FDS_MAX)
        return -EMSGSIZE;
    struct wire_header header = {.type = type, .len = (uint32_t)len, .id = id};
    struct iovec parts[2] = {{&header, sizeof header}, {(void *)(uintptr_t)body, len}};
    union control control = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (fd_count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? result_of_errno() : CHANNEL_OK;
}

/* Takes the descriptors that came with a message; those beyond CHANNEL_FDS_MAX were never installed
 * (MSG_CTRUNC). */
static void take_fds(struct msghdr *message, struct channel_message *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            if (ret->fd_count < CHANNEL_FDS_MAX)
                ret->fds[ret->fd_count++] = fd;
            else
                fd_close(fd);
        }
    }
}

int channel_receive(int fd, struct channel_message *ret)
{
    struct wire_header header;
    struct iovec parts[2] = {{&header, sizeof header}, {ret->body, sizeof ret->body}};
    union control control;
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ret->fd_count = 0;
    for (unsigned i = 0; i < CHANNEL_FDS_MAX; i++)
        ret->fds[i] = -1;

    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return result_of_errno();
    take_fds(&message, ret);
    if (got == 0 && ret->fd_count == 0)
        return CHANNEL_CLOSED;
    if ((size_t)got < sizeof header || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        header.len != (size_t)got - sizeof header) {
        channel_message_fini(ret);
        return -EBADMSG;
    }
    ret->type = header.type;
    ret->len = header.len;
    ret->id = header.id;
    return CHANNEL_OK;
}

void channel_message_fini(struct channel_message *message)
{
    for (unsigned i = 0; i < message->fd_count; i++)
        fd_close(fd_take(&message->fds[i]));
    message->fd_count = 0;
}
