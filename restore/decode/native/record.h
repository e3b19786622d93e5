/* The records of a JSON array, one after the other, and where their fields' values stand. */

#ifndef RESTORE_RECORD_H
#define RESTORE_RECORD_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "json.h"

enum {
    MOST_FIELDS = 2048, /* PostgreSQL has 1,600 columns */
    NOT_THERE = -1,
};
/* A value's size is 32 bits in a COPY, and no form of it is eight times as long as its JSON. */
#define MOST_BYTES ((Py_ssize_t)INT32_MAX / 8)

typedef struct {
    Text start;
    size_t size;
} Label;

/* Texts that are found by what they are; they stand elsewhere. */
typedef struct {
    Label *items;
    int32_t *slots;      /* places in items, by the hash of the text; NOT_THERE: free */
    int32_t count;
    uint32_t slot_mask;
} Texts;

/* Make room for so many; false: no memory. What was made is released by drop_texts. */
bool make_texts(Texts *texts, size_t most);
void add_text(Texts *texts, Text start, size_t size);
int32_t find_text(const Texts *texts, Text start, size_t size);
void drop_texts(Texts *texts);

/* Numbers of eight bytes, in the machine's order. */
typedef struct {
    uint64_t *items;
    size_t count, size;
} Numbers;

/* False: no memory. */
bool append(Numbers *numbers, uint64_t item);
PyObject *bytes_of(Numbers numbers);

/* A value that was scanned, and what was seen in it. */
typedef struct {
    Text start, end;
    unsigned seen;
} Span;

/* What is odd about a record: a field that is none of those it is scanned for, and is not noted; one
 * of these twice; a name with an escape, which may be that of any. */
enum { UNKNOWN = 1, TWICE = 2, ESCAPED_NAME = 4 };

/* A name in a record before, without escapes, and which field it is. NULL: none. */
typedef struct {
    Text start;
    size_t size;
    int32_t field;
    unsigned seen;
} Name;

/* A record: where it starts and ends, where its fields' values are. */
typedef struct {
    const Texts *fields;
    Text start, end;
    Span *values;        /* by field */
    uint64_t *seen_in;   /* by field: the number of the last record that had it, from 1 */
    Name *order;         /* the n-th field's name in a record before: the next record's, mostly */
    uint64_t number;
    unsigned odd;
    Text data;           /* what it stands in; needed only with unknown */
    Numbers *unknown;    /* takes, for each field that is none of those: the record's place, where
                          * the name starts and ends; NULL: they are not noted */
    bool no_memory;      /* to note one */
} Record;

/* Of fields that outlive it; false: no memory. What was made is released by drop_record. */
bool make_record(Record *record, const Texts *fields);
void drop_record(Record *record);

/* From the start of an array to behind its bracket; NULL: it is none. */
Text open_array(Text data, Text end);

typedef enum { A_RECORD, NO_MORE, NO_ARRAY } Step;

/* Scan the next record from behind the last one, or behind the array's bracket. NO_MORE: the array
 * is closed, and nothing follows; NO_ARRAY: this is no array of records, or too deep. */
Step next_record(Record *record, Text end);

static inline bool
has_field(const Record *record, int field)
{
    return record->seen_in[field] == record->number;
}

static inline bool
is_null(Span value)
{
    return *value.start == 'n';
}

#endif
