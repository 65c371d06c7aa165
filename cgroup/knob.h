#pragma once
/*
 * Reading and writing knobs of one group in the kernel. One rule per write, plain integers only: the kernel
 * misreads suffixes ("1M" in io.max is 1 byte per second) and takes only the first of several lines.
 */

#include "cgroup/group.h"
#include "cgroup/host.h"
#include "model/knob.h"

/* What this host can do with a knob. */
struct knob_support {
    int hierarchy;       /* index into the host's table, or -1: refused */
    const char *refusal; /* why, static; NULL when supported */
};
/* Asks the controllers, and the files of the probe group @probe_path (any non-root group; NULL, or where it
   is not: the first child of each hierarchy's root, if there is one). A file is missed only where its
   controller is enabled: on v2 a controller that no subtree_control passes down yet is supported. */
void knob_support_probe(const struct cgroup_host *host, const char *probe_path,
                        struct knob_support ret[KNOB_N]);

/*
 * Reads every supported knob of @path into *ret, in canonical units (model/knob.h): memory.swap on v1 as
 * memsw - limit, weights on v2's scale kept as cpu.shares on v1, per-device knobs one setting per device that
 * has a rule. What a file says is unlimited (-1, max, >= 2^62, a rule absent) is KNOB_UNLIMITED; absent rules
 * are left out. 0, GROUP_GONE, or -errno. A missing optional file leaves its knob out.
 */
MUST_USE int knob_read_all(const struct cgroup_host *host, const struct knob_support support[KNOB_N],
                           const char *path, struct knob_set *ret);
/* The same for the knobs whose bits (1 << id) are in @wanted; memory.swap on v1 needs memory.limit beside it.
 */
MUST_USE int knob_read_some(const struct cgroup_host *host, const struct knob_support support[KNOB_N],
                            uint32_t wanted, const char *path, struct knob_set *ret);
/* One knob. *ret_pair: the period (cpu.bandwidth on v2), the quota (cpu.period on v2), the memory limit
   (memory.swap on v1), else 0. 0, GROUP_GONE, -ENOENT (no such file or rule: for a per-device knob that is
   unlimited), or -errno. */
MUST_USE int knob_read(const struct cgroup_host *host, unsigned hierarchy, const char *path,
                       enum knob_id knob, uint32_t device, uint64_t *ret_value, uint64_t *ret_pair);
/* The text of a write: what goes into the file for @value and @pair; cpu.period on v2 needs the quota as its
   pair, cpu.bandwidth with pair 0 leaves the period alone, memory.swap on v1 needs the memory limit. Length,
   or -EINVAL for a value that the table forbids or that the kernel would round to a limit of 0. Pure. */
MUST_USE int knob_encode(enum knob_id knob, int version, uint32_t device, uint64_t value, uint64_t pair,
                         char *buf, size_t size);
/* The value of one file's text; memory.swap on v1 decodes to memsw itself (knob_read takes the limit off). 0,
   -ENOENT (no rule for @device), -EBADMSG. Pure; fixtures test it. */
MUST_USE int knob_decode(enum knob_id knob, int version, uint32_t device, const char *text,
                         uint64_t *ret_value, uint64_t *ret_pair);
/* One write(2), not repeated on EINTR (a signal may cut a long reclaim short). 0, GROUP_GONE, -EINVAL as
   knob_encode, or the kernel's -errno; -ENOENT and -ENODEV therefore mean the file and the device. */
MUST_USE int knob_write(const struct cgroup_host *host, unsigned hierarchy, const char *path,
                        enum knob_id knob, uint32_t device, uint64_t value, uint64_t pair);
/* @value of a policy as this kernel would store it: bytes rounded down to the page, a weight on v1 as the
   shares it becomes, clamped to the table's maximum. Pure. */
uint64_t knob_normalise(enum knob_id knob, int version, uint64_t value);
