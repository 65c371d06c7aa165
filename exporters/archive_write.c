/*
 * What goes to disk, and when. Files are written a few per second, each when its points have waited
 * archive.flush, so that a thousand subjects that were born together do not write together for ever after.
 */

#include "exporters/archive_state.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "exporters/archive_disk.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WRITES_LEAST = 8,
    MAKES_MOST = 4, /* making files costs a hundred times what writing a batch does */
    BURIED_MOST = 64,
};
#define LOOK_EVERY_NS (600 * NSEC_PER_SEC)
#define FIRST_LOOK_NS (60 * NSEC_PER_SEC) /* by then the living are known, whose files stay */

static const char folded_name[] = "folded";

/* --- one subject --- */

bool archive_write(struct archive *archive, struct archive_subject *subject)
{
    struct archive_place place = archive_place(archive);
    char why[RRD_WHY_MAX] = "";
    bool had_files = subject->has_files;
    int r = archive_subject_flush(subject, &place, why);

    archive->stats.updates++;
    archive->stats.files_made += !had_files && subject->has_files;
    if (r == RRD_FILE_FAILED)
        archive_complain(archive, "files of '%.100s': %s, its waiting points are lost", subject->key, why);
    return r == RRD_FILE_OK || r == RRD_FILE_FAILED;
}

/* A share of archive.flush by the key, so that those born together spread out. */
static uint64_t spread_ns(const struct archive *archive, const struct archive_subject *subject)
{
    return map_hash(subject->key, strlen(subject->key)) % (archive->options.flush_ns / 2 + 1);
}

/* Whether it lived, or lives, long enough for files of its own. */
static bool is_old_enough(const struct archive *archive, const struct archive_subject *subject)
{
    return subject->fold.last.wall_ns >= subject->born_wall_ns + archive->options.after_ns;
}

static bool is_due(const struct archive *archive, const struct archive_subject *subject, uint64_t now_mono_ns)
{
    if (subject->count == 0)
        return false;
    if (subject->has_files)
        return now_mono_ns >= subject->due_mono_ns || subject->live == 0;
    return (is_old_enough(archive, subject) && !archive->full) ||
           (subject->live == 0 && archive_subject_has_files(subject, archive->files_dir));
}

/* Dead and written, or died young: what it left is in the journal alone. */
static bool is_over(const struct archive *archive, const struct archive_subject *subject,
                    uint64_t now_mono_ns)
{
    return subject->live == 0 && subject->fold.step < 0 && !is_due(archive, subject, now_mono_ns);
}

static void bury(struct archive *archive, struct archive_subject *const *over, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        map_remove_str(&archive->subjects, over[i]->key);
        archive_subject_free(over[i]);
    }
}

static void write_due(struct archive *archive, uint64_t now_mono_ns, uint64_t now_wall_ns)
{
    struct archive_place place = archive_place(archive);
    uint64_t flush_s = archive->options.flush_ns / NSEC_PER_SEC;
    uint64_t budget = WRITES_LEAST + 2 * archive->subjects.count / (flush_s ? flush_s : 1);
    unsigned makes = MAKES_MOST;
    struct archive_subject *over[BURIED_MOST];
    const struct map_entry *entry;
    size_t cursor = 0, over_count = 0;

    while ((entry = map_next(&archive->subjects, &cursor))) {
        struct archive_subject *subject = entry->value;
        archive_subject_close_step(subject, &place, now_wall_ns);
        if (!subject->has_files && archive->full)
            archive_subject_drop_points(subject);
        if (budget > 0 && is_due(archive, subject, now_mono_ns) && (subject->has_files || makes > 0)) {
            budget--;
            makes -= !subject->has_files;
            if (archive_write(archive, subject))
                subject->due_mono_ns = now_mono_ns + archive->options.flush_ns - spread_ns(archive, subject);
        }
        if (over_count < BURIED_MOST && is_over(archive, subject, now_mono_ns))
            over[over_count++] = subject;
    }
    bury(archive, over, over_count); /* the map may not change while it is walked */
}

void archive_flush(struct archive *archive, const char *key)
{
    struct archive_subject *subject = map_get_str(&archive->subjects, key);
    struct archive_place place = archive_place(archive);

    if (!subject)
        return;
    archive_subject_close_step(subject, &place, clock_wall_ns());
    if (subject->count > 0)
        archive_write(archive, subject);
}

void archive_flush_all(struct archive *archive, uint64_t until_mono_ns)
{
    const struct map_entry *entry;
    size_t cursor = 0;

    while (clock_mono_ns() < until_mono_ns && (entry = map_next(&archive->subjects, &cursor))) {
        struct archive_subject *subject = entry->value;
        if (subject->count > 0 && archive_subject_has_files(subject, archive->files_dir))
            archive_write(archive, subject);
    }
}

const char *archive_key_of_path(const struct archive *archive, const char *path)
{
    for (uint32_t i = 0; i < archive->slot_count; i++) {
        const struct archive_slot *slot = archive->slots[i];
        if (slot && slot->subject && strcmp(slot->born.identity.path, path) == 0)
            return slot->subject->key;
    }
    return NULL;
}

/* --- the bounds --- */

static bool is_live(void *owner, const char *key)
{
    const struct archive *archive = owner;
    const struct archive_subject *subject = map_get_str(&archive->subjects, key);

    return subject && subject->live > 0;
}

static void look_at_disk(struct archive *archive, uint64_t now_mono_ns)
{
    char size[UNITS_TEXT_MAX];
    struct archive_disk disk;

    if (archive->look_mono_ns == 0)
        archive->look_mono_ns = now_mono_ns + FIRST_LOOK_NS;
    if (now_mono_ns < archive->look_mono_ns)
        return;
    archive->look_mono_ns = now_mono_ns + LOOK_EVERY_NS;
    int r = archive_disk_trim(archive->files_dir, archive->options.max_bytes, is_live, archive, &disk);
    if (r < 0) {
        archive_complain(archive, "archive folder: %s, its size is not known", strerror(-r));
        return;
    }
    bool is_full = disk.bytes > archive->options.max_bytes;
    if (is_full && !archive->full)
        archive_complain(archive,
                         "the archive takes %s of live containers alone, more than archive.max: no new files",
                         units_format_bytes(disk.bytes, size));
    archive->full = is_full;
}

static void look_at_journal(struct archive *archive)
{
    uint64_t forced = journal_forced_drops(archive->journal);

    if (forced > archive->forced_drops)
        archive_complain(
            archive, "journal.max forced %" PRIu64 " segments out that the archive may need after a crash",
            forced - archive->forced_drops);
    archive->forced_drops = forced;
}

/* --- what a replay begins with --- */

uint64_t archive_read_folded(const struct archive *archive)
{
    CLEANUP_FD int dirfd = open(archive->options.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char text[32];
    uint64_t number;

    if (dirfd < 0 || fs_read_at(dirfd, folded_name, text, sizeof text) < 0)
        return 1;
    text[strcspn(text, "\n")] = '\0';
    return str_to_u64(text, &number) == 0 ? number : 1;
}

static uint64_t oldest_needed(const struct archive *archive)
{
    uint64_t oldest = archive->segment;
    const struct map_entry *entry;
    size_t cursor = 0;

    while ((entry = map_next(&archive->subjects, &cursor))) {
        uint64_t segment = archive_subject_segment(entry->value);
        if (segment < oldest)
            oldest = segment;
    }
    return oldest;
}

/* Says on disk which segments are folded, once the files that have their points are on disk themselves. */
static void write_folded(struct archive *archive)
{
    uint64_t needed = oldest_needed(archive);
    char text[32];

    if (needed == archive->folded || needed == 0)
        return;
    CLEANUP_FD int dirfd = open(archive->options.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int length = snprintf(text, sizeof text, "%" PRIu64 "\n", needed);
    int r = dirfd < 0 || syncfs(dirfd) < 0 ? -errno
                                           : fs_replace_at(dirfd, folded_name, text, (size_t)length, 0640);
    if (r < 0) {
        archive_complain(archive, "%s/%s: %s, the next start replays more", archive->options.state_dir,
                         folded_name, strerror(-r));
        return;
    }
    archive->folded = needed;
    journal_folded(archive->journal, needed);
}

void archive_tick(struct archive *archive, uint64_t now_mono_ns, uint64_t now_wall_ns)
{
    int r = journal_sync(archive->journal, now_mono_ns);
    int r_events = eventlog_sync(archive->events, now_mono_ns);

    if (r < 0 || r_events < 0)
        archive_complain(archive, "journal: %s, its newest second may be lost in a crash of the machine",
                         strerror(r < 0 ? -r : -r_events));
    write_due(archive, now_mono_ns, now_wall_ns);
    look_at_disk(archive, now_mono_ns);
    look_at_journal(archive);
    write_folded(archive);
}
