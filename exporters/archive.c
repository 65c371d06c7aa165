/*
 * What comes in. A frame goes to the journal, then through the decoder: births and deaths say which subject a
 * slot is, rows go to that subject's fold, events to the event log. A replay does the same without the
 * journal.
 */

#include "exporters/archive_state.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS_MAX = 360, EVENTS_MAX_BYTES = 16 << 20, SLOTS_FIRST = 64 };

const char *archive_files_dir(const char *state_dir, char path[static ARCHIVE_PATH_MAX])
{
    str_format(path, ARCHIVE_PATH_MAX, "%s/archive", state_dir);
    return path;
}

const char *archive_events_dir(const char *state_dir, char path[static ARCHIVE_PATH_MAX])
{
    str_format(path, ARCHIVE_PATH_MAX, "%s/events", state_dir);
    return path;
}

void archive_complain(struct archive *archive, const char *format, ...)
{
    va_list args;

    if (*archive->trouble)
        return;
    va_start(args, format);
    vsnprintf(archive->trouble, sizeof archive->trouble, format, args);
    va_end(args);
}

bool archive_trouble(struct archive *archive, char text[static ARCHIVE_TEXT_MAX])
{
    str_copy(text, ARCHIVE_TEXT_MAX, archive->trouble);
    archive->trouble[0] = '\0';
    return *text;
}

struct archive_place archive_place(const struct archive *archive)
{
    return (struct archive_place){archive->files_dir, &archive->fold, archive->segment};
}

struct archive_stats archive_stats(const struct archive *archive)
{
    struct archive_stats stats = archive->stats;

    stats.subjects = (uint32_t)archive->subjects.count;
    stats.journal_bytes = journal_bytes(archive->journal);
    return stats;
}

/* --- slots and subjects --- */

static struct archive_slot *slot_of(const struct archive *archive, uint32_t number)
{
    return number < archive->slot_count ? archive->slots[number] : NULL;
}

static void free_slot(struct archive *archive, uint32_t number)
{
    struct archive_slot *slot = slot_of(archive, number);

    if (!slot)
        return;
    if (slot->subject)
        slot->subject->live--;
    free(slot);
    archive->slots[number] = NULL;
}

static void forget_slots(struct archive *archive)
{
    for (uint32_t i = 0; i < archive->slot_count; i++)
        free_slot(archive, i);
}

static struct archive_slot *make_slot(struct archive *archive, uint32_t number)
{
    if (number >= archive->slot_count) {
        uint32_t count = archive->slot_count ? archive->slot_count : SLOTS_FIRST;
        while (count <= number)
            count *= 2;
        struct archive_slot **slots = reallocarray(archive->slots, count, sizeof(struct archive_slot *));
        if (!slots)
            return NULL;
        memset(slots + archive->slot_count, 0, (count - archive->slot_count) * sizeof(struct archive_slot *));
        archive->slots = slots;
        archive->slot_count = count;
    }
    free_slot(archive, number);
    archive->slots[number] = calloc(1, sizeof(struct archive_slot));
    return archive->slots[number];
}

static struct archive_subject *subject_for_key(struct archive *archive, const char *key)
{
    struct archive_subject *subject = map_get_str(&archive->subjects, key);

    if (subject)
        return subject;
    subject = archive_subject_new(key);
    if (subject && map_set_str(&archive->subjects, key, subject) < 0)
        return archive_subject_free(subject);
    return subject;
}

/* Its history goes on under its key; if a subject of the same key is alive, under the key and its path. */
static struct archive_subject *subject_for(struct archive *archive, const struct group_identity *identity)
{
    char key[GROUP_PATH_MAX], both[2 * GROUP_PATH_MAX];

    group_archive_key(identity, key);
    struct archive_subject *subject = map_get_str(&archive->subjects, key);
    if (!subject || subject->live == 0 || strcmp(key, identity->path) == 0)
        return subject_for_key(archive, key);
    snprintf(both, sizeof both, "%s %s", key, identity->path);
    both[GROUP_PATH_MAX - 1] = '\0';
    return subject_for_key(archive, both);
}

static bool same_subject(const struct archive_slot *slot, const struct frame_news *news)
{
    return slot && strcmp(slot->born.identity.path, news->identity->path) == 0 &&
           strcmp(slot->born.identity.name, news->identity->name) == 0 &&
           memcmp(slot->born.cgroup_ids, news->cgroup_ids, sizeof slot->born.cgroup_ids) == 0;
}

static void on_born(struct archive *archive, const struct frame_news *news)
{
    if (same_subject(slot_of(archive, news->slot), news))
        return; /* a snapshot */
    struct archive_slot *slot = make_slot(archive, news->slot);
    if (!slot)
        return;
    slot->born = (struct frame_born){
        .slot = news->slot, .wall_ns = news->wall_ns, .mono_ns = news->mono_ns, .identity = *news->identity};
    memcpy(slot->born.cgroup_ids, news->cgroup_ids, sizeof slot->born.cgroup_ids);
    struct archive_subject *subject = subject_for(archive, news->identity);
    slot->subject = subject;
    if (!subject)
        return;
    subject->live++;
    if (subject->born_wall_ns == 0)
        subject->born_wall_ns = news->wall_ns;
    if (memcmp(subject->cgroup_ids, news->cgroup_ids, sizeof subject->cgroup_ids) != 0)
        fold_break(&subject->fold);
    memcpy(subject->cgroup_ids, news->cgroup_ids, sizeof subject->cgroup_ids);
}

static void on_row(struct archive *archive, const struct frame_news *news)
{
    struct archive_slot *slot = slot_of(archive, news->slot);
    struct archive_place place = archive_place(archive);

    if (!slot)
        return;
    slot->row = *news->row;
    slot->has_row = true;
    if (!slot->subject)
        return;
    archive->stats.rows++;
    unsigned before = slot->subject->count;
    archive_subject_add(slot->subject, &place, news->row);
    archive->stats.points += slot->subject->count - before;
    if (slot->subject->count >= POINTS_MAX && !archive->full)
        archive_write(archive, slot->subject);
}

static void on_news(struct archive *archive, const struct frame_news *news)
{
    switch ((enum frame_type)news->type) {
    case FRAME_EPOCH:
        forget_slots(archive);
        str_copy(archive->boot_id, sizeof archive->boot_id, news->epoch->boot_id);
        break;
    case FRAME_BORN:
        on_born(archive, news);
        break;
    case FRAME_GONE:
        free_slot(archive, news->slot);
        break;
    case FRAME_KEYFRAME:
    case FRAME_DELTA:
        on_row(archive, news);
        break;
    case FRAME_EVENT: {
        int r = eventlog_append(archive->events, news->event);
        if (r < 0)
            archive_complain(archive, "event log: %s, event %" PRIu64 " is in the journal only", strerror(-r),
                             news->event->sequence);
        break;
    }
    }
}

static void digest(struct archive *archive, const struct frame_header *header, const void *payload)
{
    struct frame_news news;
    int r = frame_decode(archive->decoder, header, payload, &news);

    if (r == 0)
        on_news(archive, &news);
    else if (r < 0)
        archive_complain(archive, "frame %" PRIu64 ": %s, leaving it out", header->sequence, strerror(-r));
}

static void digest_all(struct archive *archive, const struct buf *frames)
{
    struct frame_header header;
    const void *payload;

    for (size_t at = 0; at < frames->len; at += frame_size(header.len)) {
        if (frame_peek(frames->data + at, frames->len - at, &header, &payload) != FRAME_OK) {
            archive_complain(archive, "frames of the bus: bad checksum, leaving %zu bytes out",
                             frames->len - at);
            return;
        }
        digest(archive, &header, payload);
    }
}

/* What is known of the slots no longer holds. */
static void start_anew(struct archive *archive, uint64_t life)
{
    forget_slots(archive);
    frame_decoder_free(archive->decoder);
    archive->decoder = frame_decoder_new();
    archive->life = life;
}

/* --- taking --- */

static int start_segment(struct archive *archive, uint64_t life)
{
    struct journal_segment segment = {.life = life, .wall_ns = clock_wall_ns()};
    struct buf snapshot = BUF_NULL;

    for (uint32_t i = 0; i < archive->slot_count; i++)
        if (archive->slots[i]) {
            frame_put_born(&snapshot, 0, &archive->slots[i]->born);
            if (archive->slots[i]->has_row)
                frame_put_keyframe(&snapshot, 0, i, &archive->slots[i]->row);
        }
    str_copy(segment.boot_id, sizeof segment.boot_id, archive->boot_id);
    int r = buf_error(&snapshot);
    if (r == 0)
        r = journal_start_segment(archive->journal, &segment, &snapshot);
    buf_fini(&snapshot);
    if (r == 0)
        archive->segment = journal_segment_number(archive->journal);
    return r;
}

uint64_t archive_next_sequence(const struct archive *archive, uint64_t life)
{
    return journal_life(archive->journal) == life ? journal_last_sequence(archive->journal) + 1 : 0;
}

void archive_take(struct archive *archive, uint64_t life, const struct buf *frames)
{
    int r = 0;

    if (life != archive->life || !archive->decoder)
        start_anew(archive, life);
    if (journal_wants_segment(archive->journal, life))
        r = start_segment(archive, life);
    if (r == 0)
        r = journal_append(archive->journal, frames);
    if (r < 0)
        archive_complain(archive, "journal: %s, keeping samples in memory only", strerror(-r));
    if (archive->decoder)
        digest_all(archive, frames);
}

void archive_lost(struct archive *archive, uint64_t life, uint64_t count, const struct buf *born)
{
    archive_complain(archive, "the bus ran ahead: %" PRIu64 " frames lost, going on with the oldest it holds",
                     count);
    archive->stats.lost_frames += count;
    start_anew(archive, life);
    archive_take(archive, life, born);
}

/* --- opening --- */

static int replay(struct archive *archive)
{
    struct journal_iter *iter;
    struct journal_item item;
    int r = journal_iter_open(archive->journal_dir, archive_read_folded(archive), &iter);

    if (r < 0)
        return r;
    while ((r = journal_iter_next(iter, &item)) > 0) {
        if (item.segment->life != archive->life)
            start_anew(archive, item.segment->life);
        archive->segment = item.segment->number;
        if (!archive->decoder)
            break;
        if (r == JOURNAL_FRAME) {
            archive->stats.frames_replayed++;
            digest(archive, &item.header, item.payload);
        }
    }
    if (journal_iter_skipped_bytes(iter) > 0)
        archive_complain(archive, "journal: %" PRIu64 " damaged bytes left out",
                         journal_iter_skipped_bytes(iter));
    journal_iter_close(iter);
    return archive->decoder ? r : -ENOMEM;
}

static int open_parts(struct archive *archive)
{
    struct journal_options journal = {.dir = archive->journal_dir,
                                      .max_bytes = archive->options.journal_max_bytes,
                                      .sync_ns = NSEC_PER_SEC};
    int r;

    start_anew(archive, 0);
    if (!archive->decoder)
        return -ENOMEM;
    if ((r = fs_make_dirs(archive->files_dir, 0750)) < 0)
        return r;
    if ((r = journal_open(&journal, &archive->journal)) < 0)
        return r;
    archive->stats.cut_bytes = journal_cut_bytes(archive->journal);
    return eventlog_open(archive->events_dir, EVENTS_MAX_BYTES, &archive->events);
}

int archive_open(const struct archive_options *options, struct archive **ret)
{
    struct archive *archive = calloc(1, sizeof *archive);
    uint64_t longest_ns = options->interval_ns > options->step_ns ? options->interval_ns : options->step_ns;

    if (!archive)
        return -ENOMEM;
    archive->options = *options;
    archive->fold = (struct fold_config){.step_ns = options->step_ns, .gap_ns = 4 * longest_ns};
    archive_files_dir(options->state_dir, archive->files_dir);
    archive_events_dir(options->state_dir, archive->events_dir);
    str_format(archive->journal_dir, sizeof archive->journal_dir, "%s/journal", options->state_dir);
    int r = open_parts(archive);
    if (r == 0)
        r = replay(archive);
    if (r < 0) {
        archive_close(archive);
        return r;
    }
    *ret = archive;
    return 0;
}

struct archive *archive_close(struct archive *archive)
{
    const struct map_entry *entry;
    size_t cursor = 0;

    if (!archive)
        return NULL;
    forget_slots(archive);
    free(archive->slots);
    while ((entry = map_next(&archive->subjects, &cursor)))
        archive_subject_free(entry->value);
    map_fini(&archive->subjects);
    frame_decoder_free(archive->decoder);
    eventlog_close(archive->events);
    journal_close(archive->journal);
    free(archive);
    return NULL;
}
