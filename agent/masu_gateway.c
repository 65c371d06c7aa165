/* masu-gateway: the roles that face the network. */

#include "agent/role_main.h"

int main(int argc, char **argv)
{
    static role_entry *const entries[ROLE_N] = {
        [ROLE_GATEWAY] = gateway_main,
        [ROLE_COURIER] = courier_main,
    };
    return role_main(argc, argv, entries);
}
