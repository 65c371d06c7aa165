#include "model/group.h"
#include "base/str.h"
#include <string.h>

const char *group_archive_key(const struct group_identity *identity, char *buf)
{
    bool is_named = *identity->name && strcmp(identity->name, identity->path) != 0;
    bool has_runtime = *identity->runtime && strcmp(identity->runtime, "cgroup") != 0;
    if (is_named && has_runtime)
        str_format(buf, GROUP_PATH_MAX, "%s:%s", identity->runtime, identity->name);
    else
        str_copy(buf, GROUP_PATH_MAX, identity->path);
    return buf;
}
