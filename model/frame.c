#include "model/frame.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/*
 * Payloads, in varints but for the bytes of texts ("text" is a length and that many bytes without NUL):
 *
 *   epoch     wall mono text(boot id)
 *   born      slot wall mono kind text(path) text(name) text(runtime) text(id) n id × n
 *   gone      slot wall mono
 *   keyframe  slot wall mono words have × words value × (bits of have)
 *   delta     slot ±wall ±mono (words × 2 + 1 if have follows) [have × words] changed × words ±value × (bits
 * of changed) event     sequence wall mono type level-before level text(path) text(name) text(runtime)
 * text(text)
 *
 * "±" is the zigzag of the difference to what the slot holds, modulo 2^64, a value that is absent counting as
 * zero. The number of bitmap words is written, and bits of metrics this build does not know are read and
 * dropped: a journal outlives the build that wrote it. Nothing of a frame takes effect before all of it was
 * read.
 */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the header is written as it is in memory");

enum {
    SLOTS_MAX = 65536, /* beyond every table masu keeps: a larger number is damage */
    SLOTS_FIRST = 64,
    WORDS_MAX = 16,
    CRC_FROM = 8,
};

struct slot {
    bool has_identity, has_row;
    struct group_identity identity;
    uint64_t cgroup_ids[FRAME_HIERARCHIES_MAX];
    struct row row;
};

struct frame_decoder {
    struct slot **slots;
    uint32_t slot_count;
    struct slot *departed; /* the last one that was gone, kept while its news may be read */
    struct event event;
    struct frame_epoch epoch;
};

static uint64_t zigzag(uint64_t difference)
{
    return (difference << 1) ^ (0 - (difference >> 63));
}

static uint64_t unzigzag(uint64_t coded)
{
    return (coded >> 1) ^ (0 - (coded & 1));
}

static bool bit(const uint64_t *words, unsigned i)
{
    return (words[i / 64] >> (i % 64)) & 1;
}

static uint32_t checksum(const struct frame_header *header, const void *payload)
{
    uLong crc = crc32(0, (const Bytef *)header + CRC_FROM, sizeof *header - CRC_FROM);
    return (uint32_t)crc32(crc, payload, header->len);
}

/* ---- encoding ---- */

static size_t begin_frame(struct buf *out)
{
    size_t start = out->len;
    void *header = buf_reserve(out, sizeof(struct frame_header));
    if (header)
        out->len += sizeof(struct frame_header);
    return start;
}

static void end_frame(struct buf *out, size_t start, enum frame_type type, uint64_t sequence)
{
    if (buf_error(out))
        return;
    size_t len = out->len - start - sizeof(struct frame_header);
    struct frame_header header = {
        .magic = FRAME_MAGIC, .type = (uint16_t)type, .len = (uint32_t)len, .sequence = sequence};
    header.crc = checksum(&header, out->data + start + sizeof header);
    memcpy(out->data + start, &header, sizeof header);
    size_t padding = frame_size(header.len) - (out->len - start);
    if (buf_reserve(out, padding))
        out->len += padding;
}

static void put_text(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    buf_put_varint(out, len);
    buf_append(out, text, len);
}

static void put_words(struct buf *out, const uint64_t words[METRIC_HAVE_WORDS])
{
    for (unsigned i = 0; i < METRIC_HAVE_WORDS; i++)
        buf_put_varint(out, words[i]);
}

void frame_put_epoch(struct buf *out, uint64_t sequence, const struct frame_epoch *epoch)
{
    size_t start = begin_frame(out);
    buf_put_varint(out, epoch->wall_ns);
    buf_put_varint(out, epoch->mono_ns);
    put_text(out, epoch->boot_id);
    end_frame(out, start, FRAME_EPOCH, sequence);
}

void frame_put_born(struct buf *out, uint64_t sequence, const struct frame_born *born)
{
    const struct group_identity *identity = &born->identity;
    size_t start = begin_frame(out);
    buf_put_varint(out, born->slot);
    buf_put_varint(out, born->wall_ns);
    buf_put_varint(out, born->mono_ns);
    buf_put_varint(out, identity->kind);
    put_text(out, identity->path);
    put_text(out, identity->name);
    put_text(out, identity->runtime);
    put_text(out, identity->id);
    buf_put_varint(out, FRAME_HIERARCHIES_MAX);
    for (unsigned i = 0; i < FRAME_HIERARCHIES_MAX; i++)
        buf_put_varint(out, born->cgroup_ids[i]);
    end_frame(out, start, FRAME_BORN, sequence);
}

void frame_put_gone(struct buf *out, uint64_t sequence, const struct frame_gone *gone)
{
    size_t start = begin_frame(out);
    buf_put_varint(out, gone->slot);
    buf_put_varint(out, gone->wall_ns);
    buf_put_varint(out, gone->mono_ns);
    end_frame(out, start, FRAME_GONE, sequence);
}

void frame_put_keyframe(struct buf *out, uint64_t sequence, uint32_t slot, const struct row *row)
{
    size_t start = begin_frame(out);
    buf_put_varint(out, slot);
    buf_put_varint(out, row->wall_ns);
    buf_put_varint(out, row->mono_ns);
    buf_put_varint(out, METRIC_HAVE_WORDS);
    put_words(out, row->have);
    for (unsigned i = 0; i < METRIC_N; i++)
        if (bit(row->have, i))
            buf_put_varint(out, row->values[i]);
    end_frame(out, start, FRAME_KEYFRAME, sequence);
}

void frame_put_delta(struct buf *out, uint64_t sequence, uint32_t slot, const struct row *before,
                     const struct row *now)
{
    uint64_t changed[METRIC_HAVE_WORDS] = {0}, growth[METRIC_N];
    for (unsigned i = 0; i < METRIC_N; i++) {
        uint64_t old = bit(before->have, i) ? before->values[i] : 0;
        growth[i] = (bit(now->have, i) ? now->values[i] : 0) - old;
        if (growth[i] && bit(now->have, i))
            changed[i / 64] |= UINT64_C(1) << (i % 64);
    }
    bool have_changed = memcmp(before->have, now->have, sizeof now->have) != 0;

    size_t start = begin_frame(out);
    buf_put_varint(out, slot);
    buf_put_varint(out, zigzag(now->wall_ns - before->wall_ns));
    buf_put_varint(out, zigzag(now->mono_ns - before->mono_ns));
    buf_put_varint(out, METRIC_HAVE_WORDS * 2 + have_changed);
    if (have_changed)
        put_words(out, now->have);
    put_words(out, changed);
    for (unsigned i = 0; i < METRIC_N; i++)
        if (bit(changed, i))
            buf_put_varint(out, zigzag(growth[i]));
    end_frame(out, start, FRAME_DELTA, sequence);
}

void frame_put_event(struct buf *out, uint64_t sequence, const struct event *event)
{
    size_t start = begin_frame(out);
    buf_put_varint(out, event->sequence);
    buf_put_varint(out, event->wall_ns);
    buf_put_varint(out, event->mono_ns);
    buf_put_varint(out, event->type);
    buf_put_varint(out, event->level_before);
    buf_put_varint(out, event->level);
    put_text(out, event->path);
    put_text(out, event->name);
    put_text(out, event->runtime);
    put_text(out, event->text);
    end_frame(out, start, FRAME_EVENT, sequence);
}

/* ---- decoding ---- */

int frame_peek(const void *bytes, size_t len, struct frame_header *ret_header, const void **ret_payload)
{
    struct frame_header header = {0};
    memcpy(&header, bytes, len < sizeof header ? len : sizeof header);
    if (len >= sizeof header.magic && header.magic != FRAME_MAGIC)
        return -EBADMSG;
    if (len < sizeof header)
        return FRAME_SHORT;
    if (header.len > FRAME_PAYLOAD_MAX || header.reserved)
        return -EBADMSG;
    if (len < frame_size(header.len))
        return FRAME_SHORT;
    const void *payload = (const char *)bytes + sizeof header;
    if (checksum(&header, payload) != header.crc)
        return -EBADMSG;
    *ret_header = header;
    *ret_payload = payload;
    return FRAME_OK;
}

struct frame_decoder *frame_decoder_new(void)
{
    return calloc(1, sizeof(struct frame_decoder));
}

static void forget_all(struct frame_decoder *decoder)
{
    for (uint32_t i = 0; i < decoder->slot_count; i++) {
        free(decoder->slots[i]);
        decoder->slots[i] = NULL;
    }
}

struct frame_decoder *frame_decoder_free(struct frame_decoder *decoder)
{
    if (decoder) {
        forget_all(decoder);
        free(decoder->slots);
        free(decoder->departed);
        free(decoder);
    }
    return NULL;
}

static struct slot *find_slot(const struct frame_decoder *decoder, uint32_t number)
{
    return number < decoder->slot_count ? decoder->slots[number] : NULL;
}

static struct slot *make_slot(struct frame_decoder *decoder, uint32_t number)
{
    if (number >= decoder->slot_count) {
        uint32_t count = decoder->slot_count ? decoder->slot_count : SLOTS_FIRST;
        while (count <= number)
            count *= 2;
        struct slot **slots = reallocarray(decoder->slots, count, sizeof(struct slot *));
        if (!slots)
            return NULL;
        memset(slots + decoder->slot_count, 0, (count - decoder->slot_count) * sizeof(struct slot *));
        decoder->slots = slots;
        decoder->slot_count = count;
    }
    if (!decoder->slots[number])
        decoder->slots[number] = calloc(1, sizeof(struct slot));
    return decoder->slots[number];
}

static uint64_t get_limited(struct cursor *from, uint64_t limit)
{
    uint64_t value = cursor_varint(from);
    if (value < limit)
        return value;
    from->error = -EBADMSG;
    return 0;
}

static uint32_t get_slot(struct cursor *from)
{
    return (uint32_t)get_limited(from, SLOTS_MAX);
}

static void get_text(struct cursor *from, char *to, size_t size)
{
    size_t len = (size_t)get_limited(from, size);
    const char *bytes = cursor_bytes(from, len);
    if (!bytes || memchr(bytes, '\0', len)) {
        from->error = -EBADMSG;
        return;
    }
    memcpy(to, bytes, len);
    to[len] = '\0';
}

static void get_words(struct cursor *from, unsigned count, uint64_t words[WORDS_MAX])
{
    for (unsigned i = 0; i < count; i++)
        words[i] = cursor_varint(from);
}

static int finish(const struct cursor *from)
{
    return from->error || from->at != from->end ? -EBADMSG : 0;
}

static void tell_slot(struct frame_news *news, uint32_t number, const struct slot *slot)
{
    news->slot = number;
    if (slot && slot->has_identity) {
        news->identity = &slot->identity;
        news->cgroup_ids = slot->cgroup_ids;
    }
}

static int decode_epoch(struct frame_decoder *decoder, struct cursor *from, struct frame_news *news)
{
    struct frame_epoch epoch = {0};
    epoch.wall_ns = cursor_varint(from);
    epoch.mono_ns = cursor_varint(from);
    get_text(from, epoch.boot_id, sizeof epoch.boot_id);
    int error = finish(from);
    if (error)
        return error;
    forget_all(decoder);
    decoder->epoch = epoch;
    news->epoch = &decoder->epoch;
    news->wall_ns = epoch.wall_ns;
    news->mono_ns = epoch.mono_ns;
    return 0;
}

static int decode_born(struct frame_decoder *decoder, struct cursor *from, struct frame_news *news)
{
    struct slot born = {.has_identity = true};
    struct group_identity *identity = &born.identity;
    uint32_t number = get_slot(from);
    news->wall_ns = cursor_varint(from);
    news->mono_ns = cursor_varint(from);
    identity->kind = (uint8_t)get_limited(from, SUBJECT_N);
    get_text(from, identity->path, sizeof identity->path);
    get_text(from, identity->name, sizeof identity->name);
    get_text(from, identity->runtime, sizeof identity->runtime);
    get_text(from, identity->id, sizeof identity->id);
    unsigned count = (unsigned)get_limited(from, FRAME_HIERARCHIES_MAX + 1);
    for (unsigned i = 0; i < count; i++)
        born.cgroup_ids[i] = cursor_varint(from);
    int error = finish(from);
    if (error)
        return error;
    struct slot *slot = make_slot(decoder, number);
    if (!slot)
        return -ENOMEM;
    *slot = born;
    tell_slot(news, number, slot);
    return 0;
}

static int decode_gone(struct frame_decoder *decoder, struct cursor *from, struct frame_news *news)
{
    uint32_t number = get_slot(from);
    news->wall_ns = cursor_varint(from);
    news->mono_ns = cursor_varint(from);
    int error = finish(from);
    if (error)
        return error;
    struct slot *slot = find_slot(decoder, number);
    if (slot) {
        decoder->slots[number] = NULL;
        free(decoder->departed);
        decoder->departed = slot;
    }
    tell_slot(news, number, slot);
    return 0;
}

static void set_row(struct slot *slot, uint32_t number, const struct row *row, struct frame_news *news)
{
    slot->row = *row;
    slot->has_row = true;
    tell_slot(news, number, slot);
    news->row = &slot->row;
    news->wall_ns = row->wall_ns;
    news->mono_ns = row->mono_ns;
}

static int decode_keyframe(struct frame_decoder *decoder, struct cursor *from, struct frame_news *news)
{
    struct row row = {0};
    uint64_t have[WORDS_MAX] = {0};
    uint32_t number = get_slot(from);
    row.wall_ns = cursor_varint(from);
    row.mono_ns = cursor_varint(from);
    unsigned words = (unsigned)get_limited(from, WORDS_MAX + 1);
    get_words(from, words, have);
    for (unsigned i = 0; i < words * 64; i++) {
        uint64_t value = bit(have, i) ? cursor_varint(from) : 0;
        if (bit(have, i) && i < METRIC_N)
            row_set(&row, (enum metric_id)i, value);
    }
    int error = finish(from);
    if (error)
        return error;
    struct slot *slot = make_slot(decoder, number);
    if (!slot)
        return -ENOMEM;
    set_row(slot, number, &row, news);
    return 0;
}

/* Reads what a delta says of the values into *row, which holds the row before. */
static void get_changes(struct cursor *from, struct row *row)
{
    uint64_t have[WORDS_MAX] = {0}, changed[WORDS_MAX] = {0};
    uint64_t shape = get_limited(from, WORDS_MAX * 2 + 2);
    unsigned words = (unsigned)(shape / 2);
    bool have_changed = shape & 1;
    if (have_changed)
        get_words(from, words, have);
    else
        memcpy(have, row->have, sizeof row->have);
    get_words(from, words, changed);
    for (unsigned i = 0; i < words * 64; i++) {
        uint64_t growth = bit(changed, i) ? unzigzag(cursor_varint(from)) : 0;
        if (i >= METRIC_N)
            continue;
        if (bit(have, i))
            row_set(row, (enum metric_id)i, row->values[i] + growth);
        else
            row_unset(row, (enum metric_id)i);
    }
}

static int decode_delta(struct frame_decoder *decoder, struct cursor *from, struct frame_news *news)
{
    uint32_t number = get_slot(from);
    struct slot *slot = find_slot(decoder, number);
    bool has_base = slot && slot->has_row;
    struct row row = {0};
    if (has_base)
        row = slot->row;
    row.wall_ns += unzigzag(cursor_varint(from));
    row.mono_ns += unzigzag(cursor_varint(from));
    get_changes(from, &row);
    int error = finish(from);
    if (error)
        return error;
    if (!has_base)
        return FRAME_SKIPPED;
    set_row(slot, number, &row, news);
    return 0;
}

static int decode_event(struct frame_decoder *decoder, struct cursor *from, struct frame_news *news)
{
    struct event event = {0};
    event.sequence = cursor_varint(from);
    event.wall_ns = cursor_varint(from);
    event.mono_ns = cursor_varint(from);
    event.type = (uint16_t)get_limited(from, UINT16_MAX);
    event.level_before = (uint8_t)get_limited(from, LEVEL_N);
    event.level = (uint8_t)get_limited(from, LEVEL_N);
    get_text(from, event.path, sizeof event.path);
    get_text(from, event.name, sizeof event.name);
    get_text(from, event.runtime, sizeof event.runtime);
    get_text(from, event.text, sizeof event.text);
    int error = finish(from);
    if (error)
        return error;
    if (event.type >= EVENT_N)
        return FRAME_SKIPPED;
    decoder->event = event;
    news->event = &decoder->event;
    news->wall_ns = event.wall_ns;
    news->mono_ns = event.mono_ns;
    return 0;
}

int frame_decode(struct frame_decoder *decoder, const struct frame_header *header, const void *payload,
                 struct frame_news *ret_news)
{
    static int (*const decoders[])(struct frame_decoder *, struct cursor *, struct frame_news *) = {
        [FRAME_EPOCH] = decode_epoch,       [FRAME_BORN] = decode_born,   [FRAME_GONE] = decode_gone,
        [FRAME_KEYFRAME] = decode_keyframe, [FRAME_DELTA] = decode_delta, [FRAME_EVENT] = decode_event,
    };
    if (header->type >= ARRAY_LEN(decoders) || !decoders[header->type])
        return FRAME_SKIPPED;
    struct cursor from = {.at = payload, .end = (const uint8_t *)payload + header->len};
    struct frame_news news = {.type = header->type, .sequence = header->sequence};
    int result = decoders[header->type](decoder, &from, &news);
    if (result == 0)
        *ret_news = news;
    return result;
}
