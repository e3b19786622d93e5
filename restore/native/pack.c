/* A batch of records, as the bytes of a JSON array, becomes the rows of a binary COPY in one pass.
 *
 * A record is first scanned: its JSON is checked, and where each column's value stands is noted.
 * Then the values are put behind the rows so far, in the order of the columns. No Python object is
 * made of a value, and the interpreter's lock is not held.
 *
 * What is not surely what the decoding in Python takes is declined: the record is left out, and
 * named. Where anything is no JSON at all, or deeper than is looked, nothing of the batch is taken:
 * one judge, msgspec, decides what is damaged.
 *
 * The bytes are not trusted: no read goes beyond the batch, and the output grows before it is
 * written.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "values.h"

enum {
    MOST_COLUMNS = 2048, /* PostgreSQL has 1,600 */
    MOST_IGNORED = 64,   /* bits of a mask */
    NO_COLUMN = -1,
};
/* A value's size is 32 bits in a COPY, and no form here is eight times as long as its JSON. */
#define MOST_BYTES ((Py_ssize_t)INT32_MAX / 8)

typedef struct {
    PyObject_HEAD
    PyObject *plan;      /* what names and labels point into */
    Column *columns;     /* those that are put first, then those that are ignored */
    int count, put_count;
    int16_t *slots;      /* columns by the hash of their name; NO_COLUMN: free */
    uint32_t slot_mask;
    Label *labels;
} Packer;

/* Numbers of eight bytes, in the machine's order. */
typedef struct {
    uint64_t *items;
    size_t count, size;
} Numbers;

/* A record: where it ends, where its fields' values are. */
typedef struct {
    const Packer *packer;
    Text start, end;
    Span *values;        /* by column */
    uint64_t *seen_in;   /* by column: the number of the last record that had it, from 1 */
    int16_t *order;      /* the column that the n-th field was of, in the record before */
    uint64_t number;
    bool odd;            /* it has a field that is unknown, or there twice */
} Record;

/* What a batch becomes. */
typedef struct {
    Out rows;
    Numbers ends;        /* of each record's row in rows; that of a declined one has no bytes */
    Numbers spans;       /* of each record in the batch: its start and its end */
    Numbers declined, hopeless; /* the places of these records; hopeless ones are in both */
    Numbers ignored;     /* for each record which of the ignored fields it has, as bits */
    bool no_memory;
} Batch;

static bool
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

/* FNV-1a, by Fowler, Noll and Vo. */
static uint32_t
hash(Text p, size_t size)
{
    uint32_t found = 2166136261u;
    for (size_t n = 0; n < size; n++) {
        found = (found ^ p[n]) * 16777619u;
    }
    return found;
}

static int
column_named(const Packer *packer, Text name, size_t size)
{
    for (uint32_t at = hash(name, size);; at++) {
        int n = packer->slots[at & packer->slot_mask];
        if (n == NO_COLUMN) {
            return NO_COLUMN;
        }
        const Column *column = &packer->columns[n];
        if (column->name_size == size && memcmp(column->name, name, size) == 0) {
            return n;
        }
    }
}

/* From behind a field's opening quote to behind its closing one; finds the column. */
static Text
scan_name(Record *record, int place, Text p, Text end, int *found)
{
    const Packer *packer = record->packer;
    int guess = place < packer->count ? record->order[place] : NO_COLUMN;
    if (guess != NO_COLUMN) {
        const Column *column = &packer->columns[guess];
        size_t size = column->name_size;
        if ((size_t)(end - p) > size && p[size] == '"' && memcmp(p, column->name, size) == 0) {
            *found = guess;
            return p + size + 1;
        }
    }
    unsigned seen = 0;
    Text behind = skip_string(p, end, &seen);
    if (behind == NULL) {
        return NULL;
    }
    *found = seen & ESCAPED ? NO_COLUMN : column_named(packer, p, (size_t)(behind - 1 - p));
    if (*found != NO_COLUMN && place < packer->count) {
        record->order[place] = (int16_t)*found;
    }
    return behind;
}

/* Scan a record from its brace on, and note where its values are; NULL: it is no JSON. */
static Text
scan_record(Record *record, Text p, Text end)
{
    record->start = p;
    record->odd = false;
    record->number++;
    p = skip_white(p + 1, end);
    if (p < end && *p == '}') {
        return p + 1;
    }
    for (int place = 0;; place += place < MOST_COLUMNS) {
        int column;
        if (p == end || *p != '"' || (p = scan_name(record, place, p + 1, end, &column)) == NULL) {
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
        if (column == NO_COLUMN || record->seen_in[column] == record->number) {
            record->odd = true;
        } else {
            record->seen_in[column] = record->number;
            record->values[column] = value;
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

static inline bool
is_null(Span value)
{
    return *value.start == 'n';
}

/* Put a record's row: how many values, then each with its size (COPY's manual, "Binary Format"). */
static Outcome
put_row(Out *out, const Record *record)
{
    const Packer *packer = record->packer;
    if (record->odd) {
        return DECLINED;
    }
    if (!room(out, 2 + 4 * (size_t)packer->put_count)) {
        return NO_MEMORY;
    }
    put_16(out, (uint32_t)packer->put_count);
    for (int n = 0; n < packer->put_count; n++) {
        const Column *column = &packer->columns[n];
        bool there = record->seen_in[n] == record->number;
        Outcome outcome = PACKED;
        if (there && !is_null(record->values[n])) {
            outcome = column->put(out, column, record->values[n]);
        } else if (there ? column->not_null : column->required) {
            outcome = there ? HOPELESS : DECLINED;
        } else if (room(out, 4)) {
            put_32(out, UINT32_MAX);
        } else {
            outcome = NO_MEMORY;
        }
        if (outcome != PACKED) {
            return outcome;
        }
    }
    return PACKED;
}

static uint64_t
ignored_fields(const Record *record)
{
    const Packer *packer = record->packer;
    uint64_t bits = 0;
    for (int n = packer->put_count; n < packer->count; n++) {
        if (record->seen_in[n] == record->number) {
            bits |= UINT64_C(1) << (n - packer->put_count);
        }
    }
    return bits;
}

/* Put a record's row, or decline the record; false: no memory. */
static bool
take_record(Batch *batch, const Record *record, Text data)
{
    size_t before = (size_t)(batch->rows.at - batch->rows.base);
    Outcome outcome = put_row(&batch->rows, record);
    uint64_t place = record->number - 1;
    if (outcome != PACKED) {
        batch->rows.at = batch->rows.base + before;
        if (outcome == NO_MEMORY || !append(&batch->declined, place) ||
            (outcome == HOPELESS && !append(&batch->hopeless, place))) {
            return false;
        }
    }
    if (record->packer->count > record->packer->put_count &&
        !append(&batch->ignored, ignored_fields(record))) {
        return false;
    }
    return append(&batch->ends, (uint64_t)(batch->rows.at - batch->rows.base)) &&
           append(&batch->spans, (uint64_t)(record->start - data)) &&
           append(&batch->spans, (uint64_t)(record->end - data));
}

/* Pack all records of an array; false: it is none of records, or there is no memory. */
static bool
pack_array(Batch *batch, Record *record, Text data, Text end)
{
    Text p = skip_white(data, end);
    if (p == end || *p != '[') {
        return false;
    }
    p = skip_white(p + 1, end);
    if (p < end && *p == ']') {
        return skip_white(p + 1, end) == end;
    }
    for (;;) {
        if (p == end || *p != '{' || (record->end = p = scan_record(record, p, end)) == NULL) {
            return false;
        }
        if (!take_record(batch, record, data)) {
            batch->no_memory = true;
            return false;
        }
        p = skip_white(p, end);
        if (p < end && *p == ']') {
            return skip_white(p + 1, end) == end;
        }
        if (p == end || *p != ',') {
            return false;
        }
        p = skip_white(p + 1, end);
    }
}

/* Pack without the interpreter's lock. */
static bool
pack_batch(const Packer *packer, Batch *batch, Text data, size_t size)
{
    size_t count = (size_t)packer->count + 1; /* malloc(0) may be NULL */
    Record record = {
        .packer = packer,
        .values = PyMem_RawMalloc(count * sizeof *record.values),
        .seen_in = PyMem_RawCalloc(count, sizeof *record.seen_in),
        .order = PyMem_RawMalloc(count * sizeof *record.order),
    };
    bool packed = false;
    batch->no_memory = true;
    if (record.values != NULL && record.seen_in != NULL && record.order != NULL &&
        room(&batch->rows, size + 1)) {
        batch->no_memory = false;
        for (int n = 0; n < packer->count; n++) {
            record.order[n] = (int16_t)n;
        }
        packed = pack_array(batch, &record, data, data + size);
    }
    PyMem_RawFree(record.values);
    PyMem_RawFree(record.seen_in);
    PyMem_RawFree(record.order);
    return packed;
}

static PyObject *
bytes_of(Numbers numbers)
{
    return PyBytes_FromStringAndSize((const char *)numbers.items,
                                     (Py_ssize_t)(numbers.count * sizeof *numbers.items));
}

static PyObject *
Packer_pack(PyObject *self, PyObject *data)
{
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "records are packed from bytes");
        return NULL;
    }
    if (PyBytes_GET_SIZE(data) > MOST_BYTES) {
        Py_RETURN_NONE;
    }
    Batch batch = {0};
    bool packed;
    Py_BEGIN_ALLOW_THREADS
    packed = pack_batch((Packer *)self, &batch, (Text)PyBytes_AS_STRING(data),
                        (size_t)PyBytes_GET_SIZE(data));
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (packed) {
        /* N gives up what is new; where one is NULL the others are released, and it fails. */
        result = Py_BuildValue("(y#NNNNN)", (char *)batch.rows.base,
                               (Py_ssize_t)(batch.rows.at - batch.rows.base), bytes_of(batch.ends),
                               bytes_of(batch.spans), bytes_of(batch.declined),
                               bytes_of(batch.hopeless), bytes_of(batch.ignored));
    } else if (batch.no_memory) {
        PyErr_NoMemory();
    } else {
        result = Py_NewRef(Py_None);
    }
    PyMem_RawFree(batch.rows.base);
    PyMem_RawFree(batch.ends.items);
    PyMem_RawFree(batch.spans.items);
    PyMem_RawFree(batch.declined.items);
    PyMem_RawFree(batch.hopeless.items);
    PyMem_RawFree(batch.ignored.items);
    return result;
}

/* ---- making one ----------------------------------------------------------------------------- */

/* Take what a column is from its tuple, of which the names and labels are kept alive. */
static bool
read_column(Packer *packer, PyObject *item, Label **labels)
{
    Column *column = &packer->columns[packer->count];
    const char *kind;
    PyObject *name, *of_enum;
    int not_null, required, wide;
    if (!PyArg_ParseTuple(item, "SzpppllO!", &name, &kind, &not_null, &required, &wide,
                          &column->limit, &column->digits, &PyTuple_Type, &of_enum)) {
        return false;
    }
    column->name = (Text)PyBytes_AS_STRING(name);
    column->name_size = (size_t)PyBytes_GET_SIZE(name);
    column->not_null = not_null;
    column->required = required;
    column->wide = wide;
    column->put = kind == NULL ? NULL : put_of(kind);
    if (kind != NULL && (column->put == NULL || packer->put_count < packer->count)) {
        PyErr_Format(PyExc_ValueError, "column of kind %s: there is none, or it stands last", kind);
        return false;
    }
    packer->put_count += kind != NULL;
    packer->count++;
    column->labels = *labels;
    column->label_count = (size_t)PyTuple_GET_SIZE(of_enum);
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(of_enum); n++, ++*labels) {
        PyObject *label = PyTuple_GET_ITEM(of_enum, n);
        if (!PyBytes_Check(label)) {
            PyErr_SetString(PyExc_TypeError, "labels are bytes");
            return false;
        }
        (*labels)->start = (Text)PyBytes_AS_STRING(label);
        (*labels)->size = (size_t)PyBytes_GET_SIZE(label);
    }
    return true;
}

/* Count the labels of all columns; -1: the plan is none. */
static Py_ssize_t
count_labels(PyObject *plan)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(plan); n++) {
        PyObject *item = PyTuple_GET_ITEM(plan, n);
        Py_ssize_t size = PyTuple_Check(item) ? PyTuple_GET_SIZE(item) : 0;
        PyObject *labels = size ? PyTuple_GET_ITEM(item, size - 1) : NULL;
        if (labels == NULL || !PyTuple_Check(labels)) {
            PyErr_SetString(PyExc_TypeError, "a column is a tuple that ends with its labels");
            return -1;
        }
        count += PyTuple_GET_SIZE(labels);
    }
    return count;
}

static bool
read_plan(Packer *packer)
{
    Py_ssize_t count = PyTuple_GET_SIZE(packer->plan), label_count = count_labels(packer->plan);
    if (label_count < 0) {
        return false;
    }
    if (count > MOST_COLUMNS) {
        PyErr_SetString(PyExc_ValueError, "too many columns");
        return false;
    }
    uint32_t slots = 8;
    while (slots < 2 * (uint32_t)count) {
        slots *= 2;
    }
    packer->slot_mask = slots - 1;
    packer->columns = PyMem_RawCalloc((size_t)count + 1, sizeof *packer->columns);
    packer->labels = PyMem_RawCalloc((size_t)label_count + 1, sizeof *packer->labels);
    packer->slots = PyMem_RawMalloc(slots * sizeof *packer->slots);
    if (packer->columns == NULL || packer->labels == NULL || packer->slots == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (uint32_t n = 0; n < slots; n++) {
        packer->slots[n] = NO_COLUMN;
    }
    Label *labels = packer->labels;
    for (int n = 0; n < (int)count; n++) {
        if (!read_column(packer, PyTuple_GET_ITEM(packer->plan, n), &labels)) {
            return false;
        }
        const Column *column = &packer->columns[n];
        uint32_t at = hash(column->name, column->name_size);
        while (packer->slots[at & packer->slot_mask] != NO_COLUMN) {
            at++;
        }
        packer->slots[at & packer->slot_mask] = (int16_t)n;
    }
    if (packer->count - packer->put_count > MOST_IGNORED) {
        PyErr_SetString(PyExc_ValueError, "too many ignored fields");
        return false;
    }
    return true;
}

static PyObject *
Packer_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"plan", NULL};
    PyObject *plan;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!:Packer", names, &PyTuple_Type,
                                     &plan)) {
        return NULL;
    }
    Packer *self = (Packer *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->plan = Py_NewRef(plan);
    if (!read_plan(self)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void
Packer_dealloc(PyObject *object)
{
    Packer *self = (Packer *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyMem_RawFree(self->columns);
    PyMem_RawFree(self->labels);
    PyMem_RawFree(self->slots);
    Py_CLEAR(self->plan);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef Packer_methods[] = {
    {"pack", Packer_pack, METH_O, "Pack the records of a JSON array; see _pack.pyi."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Packer_slots[] = {
    {Py_tp_doc, "Packs records of one shape; see _pack.pyi."},
    {Py_tp_new, Packer_new},
    {Py_tp_dealloc, Packer_dealloc},
    {Py_tp_methods, Packer_methods},
    {0, NULL},
};

static PyType_Spec Packer_spec = {
    .name = "restore._pack.Packer",
    .basicsize = sizeof(Packer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Packer_slots,
};

static int
execute(PyObject *module)
{
    if (!prepare_values()) {
        PyErr_NoMemory();
        return -1;
    }
    PyObject *type = PyType_FromModuleAndSpec(module, &Packer_spec, NULL);
    int failed = type == NULL ? -1 : PyModule_AddObjectRef(module, "Packer", type);
    Py_XDECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED}, /* a packer never changes */
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "restore._pack",
    .m_doc = "Records of JSON become rows of a binary COPY.",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__pack(void)
{
    return PyModuleDef_Init(&module);
}
