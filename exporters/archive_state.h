#pragma once
/* The archive's inside; shared by archive.c (what comes in) and archive_write.c (what goes to disk). */

#include "base/map.h"
#include "exporters/archive.h"
#include "exporters/archive_subject.h"
#include "exporters/eventlog.h"
#include "exporters/journal.h"

/* A slot of the bus: who is in it now. */
struct archive_slot {
    struct frame_born born;
    struct row row;
    bool has_row;
    struct archive_subject *subject; /* NULL: out of memory when it was born */
};

struct archive {
    struct archive_options options;
    char files_dir[ARCHIVE_PATH_MAX], journal_dir[ARCHIVE_PATH_MAX], events_dir[ARCHIVE_PATH_MAX];
    struct fold_config fold;
    struct journal *journal;
    struct eventlog *events;
    struct frame_decoder *decoder;
    char boot_id[37];
    uint64_t life;    /* of the frames at hand */
    uint64_t segment; /* that holds them */
    /* who is known */
    struct archive_slot **slots;
    uint32_t slot_count;
    struct map subjects; /* key to struct archive_subject */
    /* writing */
    uint64_t folded;       /* as it stands on disk */
    uint64_t look_mono_ns; /* when the disk is looked at next; 0: not known yet */
    bool full;             /* no new files: live subjects alone fill archive.max */
    uint64_t forced_drops; /* of the journal, told so far */
    char trouble[ARCHIVE_TEXT_MAX];
    struct archive_stats stats;
};

void archive_complain(struct archive *archive, const char *format, ...) PRINTF_LIKE(2, 3);
struct archive_place archive_place(const struct archive *archive);
/* Writes a subject's points and says what went wrong. False when they still wait. */
bool archive_write(struct archive *archive, struct archive_subject *subject);
/* The segment that the replay begins with, from STATE/folded; 1 when nothing is known. */
uint64_t archive_read_folded(const struct archive *archive);
