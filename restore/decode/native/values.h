/* Values of JSON become values of a binary COPY, each behind its size. */

#ifndef RESTORE_VALUES_H
#define RESTORE_VALUES_H

#include "record.h"

/* What comes of a value, or of a record. UNLOADABLE: declined, and a COPY would be refused for it;
 * ROUNDED: packed, and a policy changed it. */
typedef enum { PACKED, DECLINED, UNLOADABLE, NO_MEMORY, ROUNDED } Outcome;

/* How a column's values are read: the bits of a field's rules (see rules_of in packer.py). */
enum {
    WIDE = 1,          /* a value may come in another form than usual: see codec.py */
    EMPTY_NULL = 2,    /* an empty string is NULL */
    ZERO_NULL = 4,     /* the date 0000-00-00 is NULL */
    ROUND = 8,         /* digits of a second are rounded */
    HEX = 16,          /* text that may be hex or base64 is hex */
    BASE64 = 32,       /* it is base64 */
    INFERRED = 64,     /* numbers close to 1970 are declined */
    UTC = 128,         /* times without a zone are in UTC */
    PARSES = 256,      /* strings are JSON documents */
    UNIT_SHIFT = 9,    /* three bits: 0, no unit; 1 to 4, seconds to nanoseconds */
    ORDER_SHIFT = 12,  /* three bits: 0, no format of dates; 1 to 6, DMY, DYM, MDY, MYD, YDM, YMD */
    SEPARATOR_SHIFT = 16, /* eight bits: what stands between day, month and year; 0: nothing */
};

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
    bool wide;     /* one of the rules */
    unsigned rules;
    long limit;    /* characters, decimal places or digits of a second; -1: any number */
    long digits;   /* a number's before the point; -1: any number */
    const Label *labels; /* an enum's */
    size_t label_count;
};

/* Whether a value that is not null stands for NULL by the column's rules; the rule, or 0. */
unsigned stands_for_null(const Column *column, Span value);

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
