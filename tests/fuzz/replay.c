#include "base/fs.h"
#include "base/str.h"
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Runs a fuzzer without libFuzzer, so that every build and every sanitizer does: the seeds of a folder, then
 * a fixed number of mutants of each. The mutants are the same on every run; finding new ones is libFuzzer's
 * work.
 */

enum { MUTANTS = 2000, INPUT_MAX = 65536, EDITS_MAX = 8 };

static uint64_t random_state = 1;

static uint32_t next_random(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33);
}

static void edit(uint8_t *bytes, size_t *size)
{
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, '/', '*', '[', '\\', '.'};
    size_t at = *size ? next_random() % *size : 0;
    switch (next_random() % 4) {
    case 0:
        if (*size)
            bytes[at] ^= (uint8_t)(1u << (next_random() % 8));
        break;
    case 1:
        if (*size)
            bytes[at] = telling[next_random() % sizeof telling];
        break;
    case 2:
        *size = at;
        break;
    case 3:
        if (*size && *size < INPUT_MAX) {
            memmove(bytes + at + 1, bytes + at, *size - at);
            (*size)++;
        }
        break;
    }
}

/* Each input stands in memory of its exact size, so that a sanitizer sees a read beyond it. */
static void try(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static bool replay(const char *path)
{
    static uint8_t mutant[INPUT_MAX + 1];
    char *seed;
    size_t len;
    if (fs_slurp(path, INPUT_MAX, &seed, &len))
        return false;
    try((const uint8_t *)seed, len);
    for (unsigned i = 0; i < MUTANTS; i++) {
        size_t size = len;
        memcpy(mutant, seed, len);
        for (unsigned edits = 1 + next_random() % EDITS_MAX; edits; edits--)
            edit(mutant, &size);
        try(mutant, size);
    }
    free(seed);
    return true;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER-OF-SEEDS\n", argv[0]);
        return 2;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[4096];
        str_format(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        count += *entry->d_name != '.' && replay(path);
    }
    closedir(folder);
    printf("%u seeds, %u mutants each\n", count, (unsigned)MUTANTS);
    return count ? 0 : 1;
}
