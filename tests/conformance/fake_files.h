#pragma once
/* The files of the fake, one row each. Private to fake_*.c. */

#include "tests/conformance/fake_cgroupfs.h"

struct fake_file {
    int version;
    enum fake_controller controller;
    const char *name;
    int (*write)(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                 const char *text);
    void (*read)(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size);
    unsigned rate; /* of throttles: the index into rates */
};

extern const struct fake_file fake_files[];
extern const unsigned fake_file_count;
