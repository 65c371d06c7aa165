#pragma once
/* Live subjects by path, found through a cache of slots that is checked at each use. */

#include "agent/bus.h"
#include "base/map.h"
#include "model/view.h"
#include <stdbool.h>

struct gateway_views {
    struct map slots;         /* path → slot + 1 */
    struct map devices;       /* device number → char *name */
    struct bus_status status; /* as gateway_json_host saw it last */
};

void gateway_views_fini(struct gateway_views *views);
/* The group (or "/": the host) at @path. False when there is none now. */
bool gateway_views_find(struct gateway_views *views, const struct bus_reader *bus, const char *path,
                        struct view *ret);
/* The host's view. False before core has made it. */
bool gateway_views_host(struct gateway_views *views, const struct bus_reader *bus, struct view *ret);
/* Where a hierarchy is mounted. NULL: unknown. @context is the gateway_views. */
const char *gateway_views_mount(void *context, uint32_t hierarchy);
/* The name of a block device from sysfs, cached: "/dev/vda". False: unknown. @context is the gateway_views.
 */
bool gateway_views_device(void *context, uint32_t device, char *name, size_t size);
