#pragma once
/*
 * Network counters by rtnetlink (libmnl): one dump per tick gives host interfaces and, through
 * IFLA_LINK_NETNSID and RTM_GETNSID, the host side of each container's veth. No descriptor in a container's
 * namespace is ever held.
 */

#include "base/attrs.h"
#include "model/row.h"
#include <sys/types.h>

struct net;                              /* opaque */
MUST_USE int net_open(struct net **ret); /* 0 or -errno */
struct net *net_close(struct net *net);

/* One dump of all links with their statistics. 0 or -errno. */
MUST_USE int net_refresh(struct net *net);
/* The namespace number of @pid as the kernel names it here: 0 with *ret_nsid >= 0; -ENOENT when it is the
   host's own or none of the host's links leads there; -ESRCH when the process is gone. */
MUST_USE int net_nsid_of(struct net *net, pid_t pid, int32_t *ret_nsid);
/* Sets the network metrics of a container: the sum over the host's links whose peer lives in @nsid,
   directions swapped (what the host side sent the container received). False when there is none. */
bool net_fill_container(const struct net *net, int32_t nsid, struct row *row);
/* Host interfaces, lo and container-side pairs left out: index from 0 until it returns NULL; sets the network
 * metrics of @row. */
const char *net_interface(const struct net *net, unsigned index, struct row *row);
/* The host's total, each byte once: hardware links, and bonds and teams in place of their slaves; bridges,
   veths, VLANs and tunnels are left out. Unset when there is none. */
void net_fill_host(const struct net *net, struct row *row);
