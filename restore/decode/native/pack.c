/* A batch of records, as the bytes of a JSON array, becomes the rows of a binary COPY in one pass.
 *
 * A record is first scanned: its JSON is checked, and where each column's value stands is noted.
 * Then the values are put behind the rows so far, in the order of the columns. No Python object is
 * made of a value, and the interpreter's lock is not held.
 *
 * What is not surely what the decoding in Python takes is declined: the record is left out, and
 * named. Where anything is not JSON at all, nothing of the batch is taken: one judge, msgspec,
 * decides what is damaged.
 *
 * The bytes are not trusted: no read goes beyond the batch, and the output grows before it is
 * written.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "find.h"
#include "values.h"

enum {
    MOST_IGNORED = 64, /* bits of a mask */
};

typedef struct {
    PyObject_HEAD
    PyObject *plan;      /* what names and labels point into */
    Texts fields;        /* the columns' names */
    Column *columns;     /* those that are put first, then those that are ignored, then those that
                          * no record may have that is packed */
    int put_count, taken_count;
    Label *labels;
} Packer;

/* What a batch becomes. */
typedef struct {
    Out rows;
    Numbers ends;        /* of each record's row in rows; that of a declined one has no bytes */
    Numbers spans;       /* of each record in the batch: its start and its end */
    Numbers declined, unloadable; /* the places of these records; unloadable ones are in both */
    Numbers ignored;     /* for each record which of the ignored fields it has, as bits */
    Numbers unknown;     /* for each other field that no column takes: the record, start and end */
    Numbers changes;     /* for each value that a rule changed: the record, and the column's place with
                          * the rule in its lowest 16 bits */
    bool no_memory;
} Batch;

static Outcome
put_fill(Out *out, const Column *column)
{
    if (!room(out, column->fill_size)) {
        return NO_MEMORY;
    }
    memcpy(out->at, column->fill, column->fill_size);
    out->at += column->fill_size;
    return PACKED;
}

static uint64_t
ignored_fields(const Packer *packer, const Record *record)
{
    uint64_t bits = 0;
    for (int n = packer->put_count; n < packer->taken_count; n++) {
        if (has_field(record, n)) {
            bits |= UINT64_C(1) << (n - packer->put_count);
        }
    }
    return bits;
}

/* Whether fields were noted of the last record. */
static bool
notes_any(const Numbers *unknown, uint64_t place)
{
    return unknown->count > 0 && unknown->items[unknown->count - 3] == place;
}

/* Note that a rule changed the value of a column; false: no memory. */
static bool
note_change(Numbers *changes, const Record *record, int column, unsigned rule)
{
    return append(changes, record->number - 1) &&
           append(changes, (uint64_t)column << 16 | (uint64_t)rule);
}

/* Put a value that is not null, or NULL if a rule says so. */
static Outcome
put_value(Out *out, Numbers *changes, const Packer *packer, const Record *record, int n)
{
    const Column *column = &packer->columns[n];
    unsigned rule = column->rules & (EMPTY_NULL | ZERO_NULL)
                        ? stands_for_null(column, record->values[n])
                        : 0;
    Outcome outcome = PACKED;
    if (rule == 0) {
        outcome = column->put(out, column, record->values[n]);
        rule = outcome == ROUNDED ? ROUND : 0;
    } else if (column->not_null) {
        return DECLINED;
    } else if (room(out, 4)) {
        put_32(out, UINT32_MAX);
    } else {
        return NO_MEMORY;
    }
    if (rule != 0) {
        return note_change(changes, record, n, rule) ? PACKED : NO_MEMORY;
    }
    return outcome;
}

/* Put a record's row: how many values, then each with its size (COPY's manual, "Binary Format"). */
static Outcome
put_row(Out *out, Numbers *changes, const Packer *packer, const Record *record)
{
    if (record->odd) {
        return DECLINED;
    }
    for (int n = packer->taken_count; n < packer->fields.count; n++) {
        if (has_field(record, n)) {
            return DECLINED;
        }
    }
    if (!room(out, 2 + 4 * (size_t)packer->put_count)) {
        return NO_MEMORY;
    }
    put_16(out, (uint32_t)packer->put_count);
    bool any = false;
    for (int n = 0; n < packer->put_count; n++) {
        const Column *column = &packer->columns[n];
        bool there = has_field(record, n);
        Outcome outcome = PACKED;
        any |= there;
        if (there && !is_null(record->values[n])) {
            outcome = put_value(out, changes, packer, record, n);
        } else if (!there && column->fill != NULL) {
            outcome = put_fill(out, column);
        } else if (there ? column->not_null : column->required) {
            outcome = there ? UNLOADABLE : DECLINED;
        } else if (room(out, 4)) {
            put_32(out, UINT32_MAX);
        } else {
            outcome = NO_MEMORY;
        }
        if (outcome != PACKED) {
            return outcome;
        }
    }
    /* A record of which no field is a column is no row. */
    bool others = ignored_fields(packer, record) != 0 ||
                  notes_any(record->unknown, record->number - 1);
    return any || !others ? PACKED : UNLOADABLE;
}

/* Forget the fields that were noted of the last record. */
static void
drop_unknown(Numbers *unknown, uint64_t place)
{
    while (notes_any(unknown, place)) {
        unknown->count -= 3;
    }
}

/* Put a record's row, or decline the record; false: no memory. */
static bool
take_record(Batch *batch, const Packer *packer, const Record *record, Text data)
{
    size_t before = (size_t)(batch->rows.at - batch->rows.base);
    size_t changes = batch->changes.count;
    Outcome outcome = put_row(&batch->rows, &batch->changes, packer, record);
    uint64_t place = record->number - 1;
    if (outcome != PACKED) {
        batch->rows.at = batch->rows.base + before;
        batch->changes.count = changes;
        drop_unknown(&batch->unknown, place);
        if (outcome == NO_MEMORY || !append(&batch->declined, place) ||
            (outcome == UNLOADABLE && !append(&batch->unloadable, place))) {
            return false;
        }
    }
    if (packer->taken_count > packer->put_count &&
        !append(&batch->ignored, ignored_fields(packer, record))) {
        return false;
    }
    return append(&batch->ends, (uint64_t)(batch->rows.at - batch->rows.base)) &&
           append(&batch->spans, (uint64_t)(record->start - data)) &&
           append(&batch->spans, (uint64_t)(record->end - data));
}

/* Pack all records of an array, without the interpreter's lock; false: it is none of records, or
 * there is no memory. */
static bool
pack_batch(const Packer *packer, Batch *batch, Text data, size_t size)
{
    Text end = data + size;
    Record record;
    Step step = NO_ARRAY;
    batch->no_memory = !make_record(&record, &packer->fields);
    record.data = data;
    record.unknown = &batch->unknown;
    if (!batch->no_memory && (record.end = open_array(data, end)) != NULL) {
        while ((step = next_record(&record, end)) == A_RECORD) {
            if (!take_record(batch, packer, &record, data)) {
                batch->no_memory = true;
                break;
            }
        }
    }
    batch->no_memory |= record.no_memory;
    drop_record(&record);
    return step == NO_MORE && !batch->no_memory;
}

/* Lend the memory of a new bytes object, so that rows, which are hardly ever longer than their JSON,
 * are not copied once more. */
static PyObject *
lend(Out *out, Py_ssize_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
    if (bytes != NULL) {
        out->base = out->at = (uint8_t *)PyBytes_AS_STRING(bytes);
        out->limit = out->base + size;
        out->lent = true;
    }
    return bytes;
}

/* The bytes object of what was written, for the one that was lent; NULL: no memory. */
static PyObject *
taken_back(Out *out, PyObject *bytes)
{
    Py_ssize_t used = out->at - out->base;
    if (out->lent) {
        _PyBytes_Resize(&bytes, used);
        return bytes;
    }
    Py_DECREF(bytes);
    bytes = PyBytes_FromStringAndSize((const char *)out->base, used);
    PyMem_RawFree(out->base);
    return bytes;
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
    PyObject *rows = lend(&batch.rows, PyBytes_GET_SIZE(data) + 1);
    if (rows == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    packed = pack_batch((Packer *)self, &batch, (Text)PyBytes_AS_STRING(data),
                        (size_t)PyBytes_GET_SIZE(data));
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    rows = taken_back(&batch.rows, rows);
    if (packed || rows == NULL) {
        /* N gives up what is new; where one is NULL the others are released, and it fails. */
        result = Py_BuildValue("(NNNNNNNN)", rows, bytes_of(batch.ends), bytes_of(batch.spans),
                               bytes_of(batch.declined), bytes_of(batch.unloadable),
                               bytes_of(batch.ignored), bytes_of(batch.unknown),
                               bytes_of(batch.changes));
        rows = NULL;
    } else if (batch.no_memory) {
        PyErr_NoMemory();
    } else {
        result = Py_NewRef(Py_None);
    }
    Py_XDECREF(rows);
    PyMem_RawFree(batch.ends.items);
    PyMem_RawFree(batch.spans.items);
    PyMem_RawFree(batch.declined.items);
    PyMem_RawFree(batch.unloadable.items);
    PyMem_RawFree(batch.ignored.items);
    PyMem_RawFree(batch.unknown.items);
    PyMem_RawFree(batch.changes.items);
    return result;
}

/* ---- making one ----------------------------------------------------------------------------- */

/* Take what a column is from its tuple, of which all bytes are kept alive. */
static bool
read_column(Packer *packer, PyObject *item, Label **labels)
{
    Column *column = &packer->columns[packer->fields.count];
    const char *kind;
    PyObject *name, *fill, *of_enum;
    int not_null, required;
    unsigned rules;
    if (!PyArg_ParseTuple(item, "SzppOIllO!", &name, &kind, &not_null, &required, &fill, &rules,
                          &column->limit, &column->digits, &PyTuple_Type, &of_enum)) {
        return false;
    }
    if (fill != Py_None && !PyBytes_Check(fill)) {
        PyErr_SetString(PyExc_TypeError, "what is put for an absent field is bytes");
        return false;
    }
    if (fill != Py_None) {
        column->fill = (Text)PyBytes_AS_STRING(fill);
        column->fill_size = (size_t)PyBytes_GET_SIZE(fill);
    }
    column->not_null = not_null;
    column->required = required;
    column->wide = rules & WIDE;
    column->rules = rules;
    if (kind != NULL &&
        (!choose_put(column, kind) || packer->put_count < packer->fields.count)) {
        PyErr_Format(PyExc_ValueError, "column of kind %s: there is none, or it stands last", kind);
        return false;
    }
    packer->put_count += kind != NULL;
    packer->taken_count += kind != NULL || !required;
    add_text(&packer->fields, (Text)PyBytes_AS_STRING(name), (size_t)PyBytes_GET_SIZE(name));
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
    if (count > MOST_FIELDS) {
        PyErr_SetString(PyExc_ValueError, "too many columns");
        return false;
    }
    packer->columns = PyMem_RawCalloc((size_t)count + 1, sizeof *packer->columns);
    packer->labels = PyMem_RawCalloc((size_t)label_count + 1, sizeof *packer->labels);
    if (packer->columns == NULL || packer->labels == NULL ||
        !make_texts(&packer->fields, (size_t)count)) {
        PyErr_NoMemory();
        return false;
    }
    Label *labels = packer->labels;
    for (Py_ssize_t n = 0; n < count; n++) {
        if (!read_column(packer, PyTuple_GET_ITEM(packer->plan, n), &labels)) {
            return false;
        }
    }
    if (packer->taken_count - packer->put_count > MOST_IGNORED) {
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
    Packer *self = (Packer *)PyType_GenericAlloc(type, 0);
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
    drop_texts(&self->fields);
    Py_CLEAR(self->plan);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef Packer_methods[] = {
    {"pack", Packer_pack, METH_O, "Pack the records of a JSON array; see _native.pyi."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Packer_slots[] = {
    {Py_tp_doc, "Packs records of one shape; see _native.pyi."},
    {Py_tp_new, Packer_new},
    {Py_tp_dealloc, Packer_dealloc},
    {Py_tp_methods, Packer_methods},
    {0, NULL},
};

static PyType_Spec Packer_spec = {
    .name = "restore.decode._native.Packer",
    .basicsize = sizeof(Packer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Packer_slots,
};

static int
add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int failed = type == NULL ? -1 : PyModule_AddObjectRef(module, name, type);
    Py_XDECREF(type);
    return failed;
}

static int
execute(PyObject *module)
{
    if (!prepare_values()) {
        PyErr_NoMemory();
        return -1;
    }
    return add_type(module, "Packer", &Packer_spec) || add_type(module, "Finder", &Finder_spec)
               ? -1
               : 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
    /* No Py_mod_gil: no test runs without the interpreter's lock, so a Python that has none takes
     * it for this module. */
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "restore.decode._native",
    .m_doc = "Records of JSON become rows of a binary COPY, or are found by their keys.",
    .m_size = 0,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&module);
}
