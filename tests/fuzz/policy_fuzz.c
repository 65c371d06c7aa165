/* Any bytes as a policy file: a policy or diags, never both and never neither; and what is printed loads to
 * the same. */

#include "base/attrs.h"
#include "base/buf.h"
#include "policy/policy.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int file = -1;

/* Loads the bytes from a file without a name. */
static int load(const void *bytes, size_t len, struct policy *ret)
{
    char path[32];
    const char *const paths[] = {path};
    struct diags diags = DIAGS_NULL;
    if (file < 0)
        file = memfd_create("policy", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, 0) < 0 || pwrite(file, bytes, len, 0) != (ssize_t)len)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int r = policy_load(paths, 1, ret, &diags);
    if ((r == 0) != (diags.count == 0))
        abort();
    diags_fini(&diags);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct policy first = POLICY_NULL, second = POLICY_NULL;
    struct buf printed = BUF_NULL, again = BUF_NULL;
    if (load(bytes, len, &first) != 0)
        return 0;
    policy_print(&first, &printed);
    if (load(printed.data, printed.len, &second) != 0)
        abort();
    policy_print(&second, &again);
    if (printed.len != again.len || (printed.len && memcmp(printed.data, again.data, printed.len) != 0))
        abort();
    buf_fini(&printed);
    buf_fini(&again);
    policy_fini(&first);
    policy_fini(&second);
    return 0;
}
