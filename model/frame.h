#pragma once
/*
 * Frames: what core publishes on the bus, byte for byte what the journal keeps.
 *
 * A frame is a struct frame_header and its payload, padded with zeros to 8 bytes. Payloads are
 * little-endian varints and raw bytes. A decoder holds one struct row per live slot; a keyframe sets it,
 * a delta changes it, an epoch forgets all slots (core started anew). A delta for a slot that
 * has had no keyframe is skipped, never guessed.
 */

#include "base/buf.h"
#include "model/event.h"
#include "model/group.h"
#include "model/row.h"

enum frame_type {
    FRAME_EPOCH = 1,    /* core started: wall and monotonic time, boot id */
    FRAME_BORN = 2,     /* a slot is taken by a subject: identity and cgroup ids */
    FRAME_GONE = 3,     /* a slot is free again */
    FRAME_KEYFRAME = 4, /* the whole row of a slot */
    FRAME_DELTA = 5,    /* what changed in the row of a slot */
    FRAME_EVENT = 6,
};

#define FRAME_MAGIC UINT32_C(0x75736d41) /* "Amsu" */

struct frame_header {
    uint32_t magic;
    uint32_t crc;      /* crc32 of everything after this member, padding excluded */
    uint16_t type;     /* enum frame_type */
    uint16_t reserved; /* 0 */
    uint32_t len;      /* of the payload, padding excluded */
    uint64_t sequence; /* of the bus: grows by one with each frame */
};
_Static_assert(sizeof(struct frame_header) == 24, "frames are the journal's bytes");

enum { FRAME_PAYLOAD_MAX = 8192, FRAME_HIERARCHIES_MAX = 16 };

/* The size a frame with this payload takes. */
static inline size_t frame_size(uint32_t payload_len)
{
    return (sizeof(struct frame_header) + payload_len + 7) & ~(size_t)7;
}

struct frame_epoch {
    uint64_t wall_ns, mono_ns;
    char boot_id[37];
};

struct frame_born {
    uint32_t slot;
    uint64_t wall_ns, mono_ns;
    struct group_identity identity;
    uint64_t
        cgroup_ids[FRAME_HIERARCHIES_MAX]; /* inode per hierarchy of the host's table, 0 where it is absent */
};

struct frame_gone {
    uint32_t slot;
    uint64_t wall_ns, mono_ns;
};

/* Encoders append one whole frame (header, payload, padding) to @out; buf_error tells of failure. */
void frame_put_epoch(struct buf *out, uint64_t sequence, const struct frame_epoch *epoch);
void frame_put_born(struct buf *out, uint64_t sequence, const struct frame_born *born);
void frame_put_gone(struct buf *out, uint64_t sequence, const struct frame_gone *gone);
void frame_put_keyframe(struct buf *out, uint64_t sequence, uint32_t slot, const struct row *row);
/* @before is what decoders hold for the slot. */
void frame_put_delta(struct buf *out, uint64_t sequence, uint32_t slot, const struct row *before,
                     const struct row *now);
void frame_put_event(struct buf *out, uint64_t sequence, const struct event *event);

enum frame_result {
    FRAME_OK = 0,
    FRAME_SHORT = 1, /* the bytes end before the frame does: a torn tail, or more is to come */
};
/* Looks at the frame at bytes[0..len). FRAME_OK with *ret_header (copy) and *ret_payload (borrowed),
   FRAME_SHORT, or -EBADMSG: wrong magic, absurd length or checksum. */
MUST_USE int frame_peek(const void *bytes, size_t len, struct frame_header *ret_header,
                        const void **ret_payload);

/* What one frame said. Points into the decoder; valid until the next call. */
struct frame_news {
    uint16_t type; /* enum frame_type */
    uint64_t sequence;
    uint32_t slot;
    const struct group_identity
        *identity;                   /* of the slot, for BORN, GONE, KEYFRAME, DELTA; NULL when unknown */
    const uint64_t *cgroup_ids;      /* FRAME_HIERARCHIES_MAX of them, for the same frames */
    const struct row *row;           /* KEYFRAME, DELTA: the whole row now */
    const struct event *event;       /* EVENT */
    const struct frame_epoch *epoch; /* EPOCH */
    uint64_t wall_ns, mono_ns;
};

struct frame_decoder;                          /* opaque */
struct frame_decoder *frame_decoder_new(void); /* NULL: out of memory */
struct frame_decoder *frame_decoder_free(struct frame_decoder *decoder);
enum {
    FRAME_SKIPPED = 2
}; /* frame_decode: well formed, but its slot has no base yet, or a kind this build does not know */
/* 0 with *ret_news, FRAME_SKIPPED, -EBADMSG, or -ENOMEM. */
MUST_USE int frame_decode(struct frame_decoder *decoder, const struct frame_header *header,
                          const void *payload, struct frame_news *ret_news);
