/* Allocations that fail on demand. No file includes this: `nox -s sanitize` compiles with
 * `-include`, and the tests set the numbers below (restore/tests/decode/test_native_memory.py).
 */

#ifndef RESTORE_FAIL_H
#define RESTORE_FAIL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <locale.h>

/* Shared by all files, and found by name: how many allocations were asked for, and the first and
 * the last of them that fail. */
#define SHARED __attribute__((weak, visibility("default"))) long
SHARED allocations_made = 0;
SHARED failing_first = 0;
SHARED failing_last = 0;

static inline int
fails_now(void)
{
    long number = ++allocations_made;
    return failing_first <= number && number <= failing_last;
}

/* What fails with an error that is set. */
static inline void *
no_object(void)
{
    return PyErr_NoMemory();
}

/* A value that could not be built has given up what it was to take. */
static inline PyObject *
unless_failing(PyObject *object)
{
    if (object != NULL && fails_now()) {
        Py_DECREF(object);
        object = no_object();
    }
    return object;
}

static inline PyObject *
build_unless_failing(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    PyObject *built = Py_VaBuildValue(format, values);
    va_end(values);
    return unless_failing(built);
}

static inline int
resize_unless_failing(PyObject **bytes, Py_ssize_t size)
{
    if (fails_now()) {
        Py_CLEAR(*bytes);
        PyErr_NoMemory();
        return -1;
    }
    return _PyBytes_Resize(bytes, size);
}

#define PyMem_RawMalloc(size) (fails_now() ? NULL : PyMem_RawMalloc(size))
#define PyMem_RawCalloc(count, size) (fails_now() ? NULL : PyMem_RawCalloc(count, size))
#define PyMem_RawRealloc(old, size) (fails_now() ? NULL : PyMem_RawRealloc(old, size))
#define PyBytes_FromStringAndSize(start, size) \
    unless_failing(PyBytes_FromStringAndSize(start, size))
#define _PyBytes_Resize(bytes, size) resize_unless_failing(bytes, size)
#undef Py_BuildValue
#define Py_BuildValue build_unless_failing
#define PyType_GenericAlloc(type, size) \
    (fails_now() ? (PyObject *)no_object() : PyType_GenericAlloc(type, size))
#define PyType_FromModuleAndSpec(module, spec, bases) \
    unless_failing(PyType_FromModuleAndSpec(module, spec, bases))
#define PyModule_AddObjectRef(module, name, object) \
    (fails_now() ? (no_object(), -1) : PyModule_AddObjectRef(module, name, object))
#define newlocale(mask, name, base) (fails_now() ? (locale_t)0 : newlocale(mask, name, base))

#endif
