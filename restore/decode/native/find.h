#ifndef RESTORE_FIND_H
#define RESTORE_FIND_H

#include "record.h"

extern PyType_Spec Finder_spec;

#endif
