#pragma once
/*
 * What the kernel does when asked, as one list: the state before, a request, the errno and what is read then.
 * The list is run against the fake (conformance_fake_test.c) and against the running kernel
 * (conformance_kernel_test.c).
 */

#include <stdint.h>

struct conformance_write {
    const char *group; /* "a" or "a/b": the two groups that each case begins with */
    const char *file;
    const char *text; /* "DEV" in it is a whole disk, "NODEV" a device that does not exist */
};

enum { CONFORMANCE_BEFORE_MAX = 6 };

struct conformance_case {
    const char *name;
    int version; /* of the hierarchy that holds the request's file */
    struct conformance_write before[CONFORMANCE_BEFORE_MAX];
    uint64_t held_bytes; /* anonymous memory that a process in the request's group holds */
    struct conformance_write request;
    int error;         /* 0 or the errno */
    const char *reads; /* the request's file afterwards; NULL: not looked at */
};

extern const struct conformance_case conformance_cases[];
extern const unsigned conformance_count;

/* @text with its words for devices replaced; @device is "MAJ:MIN". Returns buf. */
const char *conformance_text(const char *text, const char *device, char *buf, unsigned long size);
