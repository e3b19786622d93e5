/* Values of JSON become values of a binary COPY, each behind its size. */

#ifndef RESTORE_VALUES_H
#define RESTORE_VALUES_H

#include "record.h"

/* What comes of a value, or of a record. UNLOADABLE: declined, and a COPY would be refused for it. */
typedef enum { PACKED, DECLINED, UNLOADABLE, NO_MEMORY } Outcome;

/* What is written, in memory of PyMem_RawMalloc, or, while that is enough, in what was lent. */
typedef struct {
    uint8_t *base, *at, *limit;
    bool lent;
} Out;

typedef struct Column Column;
typedef Outcome (*Put)(Out *, const Column *, Span);

struct Column {
    Put put;       /* NULL: no column takes the field */
    Put put_element; /* of an array */
    uint32_t element_oid;
    bool not_null; /* null is declined */
    bool required; /* so is a record without the field */
    Text fill;     /* what is put for such a record, behind its size; NULL: nothing */
    size_t fill_size;
    bool wide;     /* a value may come in another form than usual: see codec.py */
    long limit;    /* characters, decimal places or digits of a second; -1: any number */
    long digits;   /* a number's before the point; -1: any number */
    const Label *labels; /* an enum's */
    size_t label_count;
};

/* Set how values of a kind are put; false: there is no such kind. */
bool choose_put(Column *column, const char *kind);

/* Once, before anything is put; false: no memory. */
bool prepare_values(void);

/* Make room for so many bytes more; false: no memory. */
bool grow(Out *out, size_t need);

static inline bool
room(Out *out, size_t need)
{
    return (size_t)(out->limit - out->at) >= need || grow(out, need);
}

static inline void
put_16(Out *out, uint32_t value)
{
    *out->at++ = (uint8_t)(value >> 8);
    *out->at++ = (uint8_t)value;
}

static inline void
set_32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static inline void
put_32(Out *out, uint32_t value)
{
    set_32(out->at, value);
    out->at += 4;
}

static inline void
put_64(Out *out, uint64_t value)
{
    put_32(out, (uint32_t)(value >> 32));
    put_32(out, (uint32_t)value);
}

/* Tell whether bytes are UTF-8. */
bool is_utf8(Text p, Text end);

#endif
