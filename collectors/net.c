/*
 * One RTM_GETLINK dump tells all: a veth whose peer was moved to another namespace carries IFLA_LINK_NETNSID,
 * the number by which this namespace knows the other (the kernel gives it out when it dumps), and RTM_GETNSID
 * tells the number of a process's namespace. So the host side of each pair is counted, with receive and
 * transmit swapped, and no container's namespace is ever entered or held open, which would keep it alive.
 *
 * For the host's total each byte counts once, where it crosses the machine's edge: links without a kind are
 * hardware (or virtio); a bond or team stands for its slaves; bridges, veths, VLANs, tunnels and taps carry
 * what crosses a hardware link too, or never leaves.
 */

#include "collectors/net.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_MAX = 16, REQUEST_SIZE = 64, RECEIVE_SIZE = 32768, DUMP_TRIES = 3, NSID_NONE = -1 };

struct link {
    char name[IFNAMSIZ];
    char kind[KIND_MAX];       /* "" for hardware */
    char slave_kind[KIND_MAX]; /* of the master it is enslaved to, "" when it has none */
    unsigned flags;            /* IFF_* */
    int32_t nsid;              /* of the peer's namespace, or NSID_NONE */
    struct rtnl_link_stats64 stats;
};

struct links {
    struct link *items; /* heap */
    unsigned count, capacity;
    int error; /* of the dump under way: 0 or -ENOMEM */
};

struct net {
    struct mnl_socket *socket;
    unsigned sequence;
    struct links links; /* of the last dump that went through */
    struct links fresh; /* of the one under way */
    char buffer[RECEIVE_SIZE];
};

/* The metrics of a link, as it counts them and as its peer would. */
static const struct {
    enum metric_id metric;
    size_t own, peer; /* offsets into struct rtnl_link_stats64 */
} fields[] = {
#define FIELD(metric_, own_, peer_)                                                                          \
    {                                                                                                        \
        .metric = (metric_), .own = offsetof(struct rtnl_link_stats64, own_),                                \
        .peer = offsetof(struct rtnl_link_stats64, peer_)                                                    \
    }
    FIELD(METRIC_NETWORK_RECEIVE_BYTES, rx_bytes, tx_bytes),
    FIELD(METRIC_NETWORK_TRANSMIT_BYTES, tx_bytes, rx_bytes),
    FIELD(METRIC_NETWORK_RECEIVE_PACKETS, rx_packets, tx_packets),
    FIELD(METRIC_NETWORK_TRANSMIT_PACKETS, tx_packets, rx_packets),
    FIELD(METRIC_NETWORK_RECEIVE_DROPS, rx_dropped, tx_dropped),
    FIELD(METRIC_NETWORK_TRANSMIT_DROPS, tx_dropped, rx_dropped),
#undef FIELD
};

static bool is_one_of(const char *const *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

/* Kinds that come in pairs, one end in the container. */
static bool is_pair(const struct link *link)
{
    static const char *const kinds[] = {"veth", "netkit"};
    return is_one_of(kinds, ARRAY_LEN(kinds), link->kind);
}

static bool is_aggregate(const char *kind)
{
    static const char *const kinds[] = {"bond", "team"};
    return is_one_of(kinds, ARRAY_LEN(kinds), kind);
}

static bool is_host_interface(const struct link *link)
{
    return !(link->flags & IFF_LOOPBACK) && !(is_pair(link) && link->nsid != NSID_NONE);
}

static bool counts_for_host(const struct link *link)
{
    return is_host_interface(link) && !is_aggregate(link->slave_kind) &&
           (!link->kind[0] || is_aggregate(link->kind));
}

int net_open(struct net **ret)
{
    struct net *net = calloc(1, sizeof *net);
    if (!net)
        return -ENOMEM;
    net->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!net->socket || mnl_socket_bind(net->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        int error = -errno;
        net_close(net);
        return error;
    }
    *ret = net;
    return 0;
}

struct net *net_close(struct net *net)
{
    if (!net)
        return NULL;
    if (net->socket)
        mnl_socket_close(net->socket);
    free(net->links.items);
    free(net->fresh.items);
    free(net);
    return NULL;
}

static int send_request(struct net *net, struct nlmsghdr *request)
{
    request->nlmsg_seq = ++net->sequence;
    return mnl_socket_sendto(net->socket, request, request->nlmsg_len) < 0 ? -errno : 0;
}

/* Takes the mark "links changed during the dump" off the messages: libmnl would stop at the first one, and
   the rest of the dump would be taken for the answer to the next request. */
static bool take_interrupted(void *bytes, ssize_t len)
{
    bool interrupted = false;
    int left = (int)len;
    for (struct nlmsghdr *message = bytes; mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
        interrupted |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        message->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
    }
    return interrupted;
}

/* Reads the answer to the last request to its end, message by message. 0, -EINTR when a dump is inconsistent,
 * or the kernel's -errno. */
static int receive(struct net *net, mnl_cb_t on_message, void *data)
{
    bool interrupted = false;
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(net->socket, net->buffer, sizeof net->buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        interrupted |= take_interrupted(net->buffer, n);
        int more = mnl_cb_run(net->buffer, (size_t)n, net->sequence, mnl_socket_get_portid(net->socket),
                              on_message, data);
        if (more < 0)
            return -errno;
        if (more == MNL_CB_STOP)
            return interrupted ? -EINTR : 0;
    }
}

static void copy_text(char *to, size_t size, const struct nlattr *attribute)
{
    size_t len = strnlen(mnl_attr_get_str(attribute), mnl_attr_get_payload_len(attribute));
    len = len < size ? len : size - 1;
    memcpy(to, mnl_attr_get_payload(attribute), len);
    to[len] = '\0';
}

static int on_info_attribute(const struct nlattr *attribute, void *data)
{
    struct link *link = data;
    uint16_t type = mnl_attr_get_type(attribute);
    if (type == IFLA_INFO_KIND)
        copy_text(link->kind, sizeof link->kind, attribute);
    else if (type == IFLA_INFO_SLAVE_KIND)
        copy_text(link->slave_kind, sizeof link->slave_kind, attribute);
    return MNL_CB_OK;
}

static int on_link_attribute(const struct nlattr *attribute, void *data)
{
    struct link *link = data;
    size_t len = mnl_attr_get_payload_len(attribute);
    uint16_t type = mnl_attr_get_type(attribute);
    if (type == IFLA_IFNAME) {
        copy_text(link->name, sizeof link->name, attribute);
    } else if (type == IFLA_LINK_NETNSID && len >= sizeof link->nsid) {
        memcpy(&link->nsid, mnl_attr_get_payload(attribute), sizeof link->nsid);
    } else if (type == IFLA_LINKINFO) {
        return mnl_attr_parse_nested(attribute, on_info_attribute, link);
    } else if (type == IFLA_STATS64) {
        /* newer kernels append counters, older ones have fewer; the payload is aligned to 4 bytes only */
        memcpy(&link->stats, mnl_attr_get_payload(attribute),
               len < sizeof link->stats ? len : sizeof link->stats);
    }
    return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *message, void *data)
{
    struct links *links = data;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
    if (message->nlmsg_type != RTM_NEWLINK)
        return MNL_CB_OK;
    if (links->count == links->capacity) {
        unsigned capacity = links->capacity ? links->capacity * 2 : 64;
        struct link *items = realloc(links->items, capacity * sizeof *items);
        if (!items) {
            links->error =
                -ENOMEM; /* the dump is read to its end all the same: the next answer must not mix with it */
            return MNL_CB_OK;
        }
        links->items = items;
        links->capacity = capacity;
    }
    struct link *link = &links->items[links->count++];
    *link = (struct link){.flags = info->ifi_flags, .nsid = NSID_NONE};
    (void)mnl_attr_parse(message, sizeof *info, on_link_attribute, link);
    return MNL_CB_OK;
}

int net_refresh(struct net *net)
{
    int error = -EINTR;
    for (int tries = 0; error == -EINTR && tries < DUMP_TRIES; tries++) {
        char request[REQUEST_SIZE] __attribute__((aligned(8)));
        struct nlmsghdr *header = mnl_nlmsg_put_header(request);
        header->nlmsg_type = RTM_GETLINK;
        header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        struct ifinfomsg *info = mnl_nlmsg_put_extra_header(header, sizeof *info);
        info->ifi_family = AF_UNSPEC;
        net->fresh.count = 0;
        net->fresh.error = 0;
        error = send_request(net, header);
        if (!error)
            error = receive(net, on_link, &net->fresh);
    }
    if (error || net->fresh.error)
        return error ? error : net->fresh.error;
    struct links last = net->links;
    net->links = net->fresh;
    net->fresh = last;
    return 0;
}

static int on_nsid_attribute(const struct nlattr *attribute, void *data)
{
    int32_t *nsid = data;
    if (mnl_attr_get_type(attribute) == NETNSA_NSID && mnl_attr_get_payload_len(attribute) >= sizeof *nsid)
        memcpy(nsid, mnl_attr_get_payload(attribute), sizeof *nsid);
    return MNL_CB_OK;
}

static int on_nsid(const struct nlmsghdr *message, void *data)
{
    if (message->nlmsg_type == RTM_NEWNSID)
        (void)mnl_attr_parse(message, sizeof(struct rtgenmsg), on_nsid_attribute, data);
    return MNL_CB_STOP;
}

static bool leads_to(const struct link *link, int32_t nsid)
{
    return is_pair(link) && link->nsid == nsid;
}

int net_nsid_of(struct net *net, pid_t pid, int32_t *ret_nsid)
{
    char request[REQUEST_SIZE] __attribute__((aligned(8)));
    struct nlmsghdr *header = mnl_nlmsg_put_header(request);
    header->nlmsg_type = RTM_GETNSID;
    header->nlmsg_flags = NLM_F_REQUEST;
    struct rtgenmsg *family = mnl_nlmsg_put_extra_header(header, sizeof *family);
    family->rtgen_family = AF_UNSPEC;
    mnl_attr_put_u32(header, NETNSA_PID, (uint32_t)pid);
    int32_t nsid = NSID_NONE;
    int error = send_request(net, header);
    if (!error)
        error = receive(net, on_nsid, &nsid);
    if (error)
        return error;
    for (unsigned i = 0; i < net->links.count && nsid != NSID_NONE; i++) {
        if (leads_to(&net->links.items[i], nsid)) {
            *ret_nsid = nsid;
            return 0;
        }
    }
    return -ENOENT;
}

static uint64_t field_of(const struct link *link, size_t offset)
{
    uint64_t value;
    memcpy(&value, (const char *)&link->stats + offset, sizeof value);
    return value;
}

/* Adds a link's numbers to the row's; a metric that is not set yet starts at 0. */
static void row_add(struct row *row, const struct link *link, bool as_peer)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        enum metric_id id = fields[i].metric;
        uint64_t before = row_has(row, id) ? row->values[id] : 0;
        row_set(row, id, before + field_of(link, as_peer ? fields[i].peer : fields[i].own));
    }
}

static void row_forget(struct row *row)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        row_unset(row, fields[i].metric);
}

bool net_fill_container(const struct net *net, int32_t nsid, struct row *row)
{
    bool any = false;
    row_forget(row);
    for (unsigned i = 0; i < net->links.count && nsid != NSID_NONE; i++) {
        if (!leads_to(&net->links.items[i], nsid))
            continue;
        row_add(row, &net->links.items[i], true);
        any = true;
    }
    return any;
}

const char *net_interface(const struct net *net, unsigned index, struct row *row)
{
    for (unsigned i = 0; i < net->links.count; i++) {
        const struct link *link = &net->links.items[i];
        if (!is_host_interface(link) || index-- > 0)
            continue;
        row_forget(row);
        row_add(row, link, false);
        return link->name;
    }
    return NULL;
}

void net_fill_host(const struct net *net, struct row *row)
{
    row_forget(row);
    for (unsigned i = 0; i < net->links.count; i++)
        if (counts_for_host(&net->links.items[i]))
            row_add(row, &net->links.items[i], false);
}
