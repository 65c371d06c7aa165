/* masu-archiver: the roles that keep and read the archive; the only program that maps librrd. */

#include "agent/role_main.h"

int main(int argc, char **argv)
{
    static role_entry *const entries[ROLE_N] = {
        [ROLE_ARCHIVER] = archiver_main,
        [ROLE_READER] = reader_main,
    };
    return role_main(argc, argv, entries);
}
