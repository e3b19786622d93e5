/* Which records of a batch may have a wanted value in their key.
 *
 * Whatever is not surely another value counts: a number where texts are looked for, a text with an
 * escape, a field that is there twice. Who asked looks at each record that is named; there are few.
 */

#include "find.h"

typedef struct {
    Texts wanted;
    bool integers;       /* a number is what its digits are */
    bool null;           /* null is wanted, or that there is no value */
} KeyField;

typedef struct {
    const int *fields;
    int count;
} Key;

typedef struct {
    PyObject_HEAD
    PyObject *plan;      /* what all texts point into */
    Texts names;
    KeyField *fields;
    Key *keys;
    int *places;         /* what the keys' fields point into */
    Py_ssize_t field_count, key_count;
} Finder;

/* Tell whether a number is written as the server writes an integer: -0 and 1e2 are not. */
static bool
is_usual_integer(Span value)
{
    Text p = value.start + (*value.start == '-');
    if (*p == '0') {
        return p == value.start && p + 1 == value.end;
    }
    while (p < value.end && is_digit(*p)) {
        p++;
    }
    return p == value.end;
}

static bool
may_be_wanted(const KeyField *field, const Record *record, int n)
{
    if (!has_field(record, n) || is_null(record->values[n])) {
        return field->null;
    }
    Span value = record->values[n];
    if (*value.start == '"') {
        Text start = value.start + 1;
        return value.seen & ESCAPED ||
               find_text(&field->wanted, start, (size_t)(value.end - 1 - start)) != NOT_THERE;
    }
    bool number = *value.start == '-' || is_digit(*value.start);
    if (!number || !field->integers || !is_usual_integer(value)) {
        return true;
    }
    return find_text(&field->wanted, value.start, (size_t)(value.end - value.start)) != NOT_THERE;
}

static bool
may_be_found(const Finder *finder, const Record *record)
{
    if (record->odd & (TWICE | ESCAPED_NAME)) {
        return true;
    }
    for (Py_ssize_t k = 0; k < finder->key_count; k++) {
        const Key *key = &finder->keys[k];
        int n = 0;
        while (n < key->count &&
               may_be_wanted(&finder->fields[key->fields[n]], record, key->fields[n])) {
            n++;
        }
        if (n == key->count) {
            return true;
        }
    }
    return false;
}

/* Find without the interpreter's lock. Returns NO_MORE, or NO_ARRAY; then with *no_memory or not. */
static Step
find_all(const Finder *finder, Text data, size_t size, Numbers *found, uint64_t *count,
         bool *no_memory)
{
    Text end = data + size;
    Record record;
    Step step = NO_ARRAY;
    *no_memory = !make_record(&record, &finder->names);
    if (!*no_memory && (record.end = open_array(data, end)) != NULL) {
        while ((step = next_record(&record, end)) == A_RECORD) {
            if (may_be_found(finder, &record) &&
                !(append(found, record.number - 1) &&
                  append(found, (uint64_t)(record.start - data)) &&
                  append(found, (uint64_t)(record.end - data)))) {
                *no_memory = true;
                step = NO_ARRAY;
                break;
            }
        }
    }
    *count = record.number;
    drop_record(&record);
    return step;
}

static PyObject *
Finder_find(PyObject *self, PyObject *data)
{
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "records are found in bytes");
        return NULL;
    }
    if (PyBytes_GET_SIZE(data) > MOST_BYTES) {
        Py_RETURN_NONE;
    }
    Numbers found = {0};
    uint64_t count;
    bool no_memory;
    Step step;
    Py_BEGIN_ALLOW_THREADS
    step = find_all((Finder *)self, (Text)PyBytes_AS_STRING(data),
                    (size_t)PyBytes_GET_SIZE(data), &found, &count, &no_memory);
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (no_memory) {
        PyErr_NoMemory();
    } else if (step == NO_MORE) {
        result = Py_BuildValue("KN", (unsigned long long)count, bytes_of(found));
    } else {
        result = Py_NewRef(Py_None);
    }
    PyMem_RawFree(found.items);
    return result;
}

/* ---- making one ----------------------------------------------------------------------------- */

/* Take what is looked for in a field, which the plan keeps alive. */
static bool
read_field(Finder *finder, PyObject *item)
{
    KeyField *field = &finder->fields[finder->field_count];
    PyObject *name, *wanted;
    int integers, null;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a field is a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(item, "SppO!", &name, &integers, &null, &PyTuple_Type, &wanted)) {
        return false;
    }
    field->integers = integers;
    field->null = null;
    finder->field_count++; /* from here on it is released */
    if (!make_texts(&field->wanted, (size_t)PyTuple_GET_SIZE(wanted))) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(wanted); n++) {
        PyObject *text = PyTuple_GET_ITEM(wanted, n);
        if (!PyBytes_Check(text)) {
            PyErr_SetString(PyExc_TypeError, "what is wanted are bytes");
            return false;
        }
        add_text(&field->wanted, (Text)PyBytes_AS_STRING(text), (size_t)PyBytes_GET_SIZE(text));
    }
    add_text(&finder->names, (Text)PyBytes_AS_STRING(name), (size_t)PyBytes_GET_SIZE(name));
    return true;
}

/* Take which fields a key is made of; places is where they are kept. */
static bool
read_key(Finder *finder, PyObject *item, int *places)
{
    Key *key = &finder->keys[finder->key_count++];
    key->fields = places;
    key->count = (int)PyTuple_GET_SIZE(item);
    for (int n = 0; n < key->count; n++) {
        long place = PyLong_AsLong(PyTuple_GET_ITEM(item, n));
        if (place == -1 && PyErr_Occurred()) {
            return false;
        }
        if (place < 0 || place >= finder->field_count) {
            PyErr_SetString(PyExc_ValueError, "a key of fields that there are not");
            return false;
        }
        places[n] = (int)place;
    }
    return true;
}

/* Count the fields of all keys; -1: these are none. */
static Py_ssize_t
count_places(PyObject *keys)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(keys); n++) {
        PyObject *key = PyTuple_GET_ITEM(keys, n);
        if (!PyTuple_Check(key)) {
            PyErr_SetString(PyExc_TypeError, "a key is a tuple");
            return -1;
        }
        count += PyTuple_GET_SIZE(key);
    }
    return count;
}

static bool
read_plan(Finder *finder, PyObject *fields, PyObject *keys)
{
    Py_ssize_t field_count = PyTuple_GET_SIZE(fields), key_count = PyTuple_GET_SIZE(keys);
    Py_ssize_t place_count = count_places(keys);
    if (place_count < 0) {
        return false;
    }
    if (field_count > MOST_FIELDS) {
        PyErr_SetString(PyExc_ValueError, "too many fields");
        return false;
    }
    finder->fields = PyMem_RawCalloc((size_t)field_count + 1, sizeof *finder->fields);
    finder->keys = PyMem_RawCalloc((size_t)key_count + 1, sizeof *finder->keys);
    finder->places = PyMem_RawCalloc((size_t)place_count + 1, sizeof *finder->places);
    if (finder->fields == NULL || finder->keys == NULL || finder->places == NULL ||
        !make_texts(&finder->names, (size_t)field_count)) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t n = 0; n < field_count; n++) {
        if (!read_field(finder, PyTuple_GET_ITEM(fields, n))) {
            return false;
        }
    }
    int *places = finder->places;
    for (Py_ssize_t n = 0; n < key_count; n++) {
        PyObject *key = PyTuple_GET_ITEM(keys, n);
        if (!read_key(finder, key, places)) {
            return false;
        }
        places += PyTuple_GET_SIZE(key);
    }
    return true;
}

static PyObject *
Finder_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"fields", "keys", NULL};
    PyObject *fields, *keys;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!:Finder", names, &PyTuple_Type,
                                     &fields, &PyTuple_Type, &keys)) {
        return NULL;
    }
    Finder *self = (Finder *)PyType_GenericAlloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->plan = Py_NewRef(fields);
    if (!read_plan(self, fields, keys)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void
Finder_dealloc(PyObject *object)
{
    Finder *self = (Finder *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (Py_ssize_t n = 0; n < self->field_count; n++) {
        drop_texts(&self->fields[n].wanted);
    }
    drop_texts(&self->names);
    PyMem_RawFree(self->fields);
    PyMem_RawFree(self->keys);
    PyMem_RawFree(self->places);
    Py_CLEAR(self->plan);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef Finder_methods[] = {
    {"find", Finder_find, METH_O, "Find records in a JSON array; see _native.pyi."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Finder_slots[] = {
    {Py_tp_doc, "Finds records by their keys; see _native.pyi."},
    {Py_tp_new, Finder_new},
    {Py_tp_dealloc, Finder_dealloc},
    {Py_tp_methods, Finder_methods},
    {0, NULL},
};

PyType_Spec Finder_spec = {
    .name = "restore.decode._native.Finder",
    .basicsize = sizeof(Finder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = Finder_slots,
};
