/* Nothing here needs the interpreter's lock but bytes_of. */

#include "record.h"

#include "values.h"

/* Python's hash of bytes, with its random seed: a backup must not be able to choose texts that
 * collide. It needs no lock. */
static uint32_t
hash(Text p, size_t size)
{
#if PY_VERSION_HEX >= 0x030E0000
    return (uint32_t)Py_HashBuffer(p, (Py_ssize_t)size);
#else
    return (uint32_t)_Py_HashBytes(p, (Py_ssize_t)size);
#endif
}

bool
make_texts(Texts *texts, size_t most)
{
    uint32_t slots = 8;
    if (most > INT32_MAX / 4) {
        return false;
    }
    while (slots < 2 * most) {
        slots *= 2;
    }
    texts->slot_mask = slots - 1;
    texts->items = PyMem_RawMalloc((most + 1) * sizeof *texts->items);
    texts->slots = PyMem_RawMalloc(slots * sizeof *texts->slots);
    if (texts->items == NULL || texts->slots == NULL) {
        return false;
    }
    for (uint32_t n = 0; n < slots; n++) {
        texts->slots[n] = NOT_THERE;
    }
    return true;
}

void
add_text(Texts *texts, Text start, size_t size)
{
    uint32_t at = hash(start, size);
    while (texts->slots[at & texts->slot_mask] != NOT_THERE) {
        at++;
    }
    texts->slots[at & texts->slot_mask] = texts->count;
    texts->items[texts->count++] = (Label){start, size};
}

int32_t
find_text(const Texts *texts, Text start, size_t size)
{
    for (uint32_t at = hash(start, size);; at++) {
        int32_t n = texts->slots[at & texts->slot_mask];
        if (n == NOT_THERE) {
            return NOT_THERE;
        }
        const Label *item = &texts->items[n];
        if (item->size == size && memcmp(item->start, start, size) == 0) {
            return n;
        }
    }
}

void
drop_texts(Texts *texts)
{
    PyMem_RawFree(texts->items);
    PyMem_RawFree(texts->slots);
}

bool
append(Numbers *numbers, uint64_t item)
{
    if (numbers->count == numbers->size) {
        size_t size = numbers->size ? 2 * numbers->size : 256;
        uint64_t *items = PyMem_RawRealloc(numbers->items, size * sizeof *items);
        if (items == NULL) {
            return false;
        }
        numbers->items = items;
        numbers->size = size;
    }
    numbers->items[numbers->count++] = item;
    return true;
}

PyObject *
bytes_of(Numbers numbers)
{
    return PyBytes_FromStringAndSize((const char *)numbers.items,
                                     (Py_ssize_t)(numbers.count * sizeof *numbers.items));
}

bool
make_record(Record *record, const Texts *fields)
{
    size_t count = (size_t)fields->count + 1; /* malloc(0) may be NULL */
    *record = (Record){
        .fields = fields,
        .values = PyMem_RawMalloc(count * sizeof *record->values),
        .seen_in = PyMem_RawCalloc(count, sizeof *record->seen_in),
        .order = PyMem_RawCalloc(MOST_FIELDS, sizeof *record->order),
    };
    return record->values != NULL && record->seen_in != NULL && record->order != NULL;
}

void
drop_record(Record *record)
{
    PyMem_RawFree(record->values);
    PyMem_RawFree(record->seen_in);
    PyMem_RawFree(record->order);
}

/* Note a field that is none of those the record is scanned for, or that it has such a one. */
static void
note_unknown(Record *record, Text start, Text end, unsigned seen)
{
    if (record->unknown == NULL || ((seen & HIGH) && !is_utf8(start, end))) {
        record->odd |= UNKNOWN;
    } else if (!append(record->unknown, record->number - 1) ||
               !append(record->unknown, (uint64_t)(start - record->data)) ||
               !append(record->unknown, (uint64_t)(end - record->data))) {
        record->no_memory = true;
    }
}

/* From behind a field's opening quote to behind its closing one; finds the field. */
static Text
scan_name(Record *record, int place, Text p, Text end, int *found)
{
    Name *guess = place < MOST_FIELDS ? &record->order[place] : NULL;
    if (guess != NULL && guess->start != NULL && (size_t)(end - p) > guess->size &&
        p[guess->size] == '"' && memcmp(p, guess->start, guess->size) == 0) {
        *found = guess->field;
        if (*found == NOT_THERE) {
            note_unknown(record, p, p + guess->size, guess->seen);
        }
        return p + guess->size + 1;
    }
    unsigned seen = 0;
    Text behind = skip_string(p, end, &seen);
    if (behind == NULL) {
        return NULL;
    }
    if (seen & ESCAPED) {
        record->odd |= ESCAPED_NAME | UNKNOWN;
        *found = NOT_THERE;
        return behind;
    }
    *found = find_text(record->fields, p, (size_t)(behind - 1 - p));
    if (*found == NOT_THERE) {
        note_unknown(record, p, behind - 1, seen);
    }
    if (guess != NULL) {
        *guess = (Name){p, (size_t)(behind - 1 - p), *found, seen};
    }
    return behind;
}

/* Scan a record from its brace on, and note where its values are; NULL: it is not JSON. */
static Text
scan_record(Record *record, Text p, Text end)
{
    record->start = p;
    record->odd = 0;
    record->number++;
    p = skip_white(p + 1, end);
    if (p < end && *p == '}') {
        return p + 1;
    }
    for (int place = 0;; place += place < MOST_FIELDS) {
        int field;
        if (p == end || *p != '"' || (p = scan_name(record, place, p + 1, end, &field)) == NULL) {
            return NULL;
        }
        p = skip_white(p, end);
        if (p == end || *p != ':') {
            return NULL;
        }
        p = skip_white(p + 1, end);
        Span value = {p, p, 0};
        p = p < end && *p == '"' ? skip_string(p + 1, end, &value.seen)
                                 : skip_value(p, end, &value.seen);
        if ((value.end = p) == NULL) {
            return NULL;
        }
        if (field != NOT_THERE && has_field(record, field)) {
            record->odd |= TWICE;
        } else if (field != NOT_THERE) {
            record->seen_in[field] = record->number;
            record->values[field] = value;
        }
        p = skip_white(p, end);
        if (p < end && *p == '}') {
            return p + 1;
        }
        if (p == end || *p != ',') {
            return NULL;
        }
        p = skip_white(p + 1, end);
    }
}

Text
open_array(Text data, Text end)
{
    Text p = skip_white(data, end);
    return p < end && *p == '[' ? p + 1 : NULL;
}

Step
next_record(Record *record, Text end)
{
    Text p = skip_white(record->end, end);
    if (p < end && *p == ']') {
        return skip_white(p + 1, end) == end ? NO_MORE : NO_ARRAY;
    }
    if (record->number > 0) {
        if (p == end || *p != ',') {
            return NO_ARRAY;
        }
        p = skip_white(p + 1, end);
    }
    if (p == end || *p != '{') {
        return NO_ARRAY;
    }
    record->end = scan_record(record, p, end);
    return record->end == NULL ? NO_ARRAY : A_RECORD;
}
