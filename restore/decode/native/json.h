/* Scanning JSON (RFC 8259) as strictly as msgspec does. Nothing recurses or reads beyond the end. */

#ifndef RESTORE_JSON_H
#define RESTORE_JSON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef const uint8_t *Text;

enum { USUAL_DEPTH = 512 }; /* deeper nesting takes memory of its own, a bit for each level */

/* What a scan sees in a string, or in all strings of a document. */
enum { ESCAPED = 1, HIGH = 2, NUL = 4 };

static inline bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static inline Text
skip_white(Text p, Text end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }
    return p;
}

/* What a hexadecimal digit means; -1: it is none. */
static inline int
hex_digit(uint8_t c)
{
    static const int8_t meanings[256] = {
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
         0,  1,  2,  3,  4,  5,  6,  7,  8,  9, -1, -1, -1, -1, -1, -1,
        -1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, 10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    };
    return meanings[c];
}

/* The code unit of \uXXXX, from its first digit on; -1: it is none. */
static inline int32_t
code_unit(Text p, Text end)
{
    int32_t unit = 0;
    if (end - p < 4) {
        return -1;
    }
    for (int n = 0; n < 4; n++) {
        int digit = hex_digit(p[n]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

/* From behind a backslash to behind the escape; NULL: it is none. */
static inline Text
skip_escape(Text p, Text end, unsigned *seen)
{
    *seen |= ESCAPED;
    if (p == end) {
        return NULL;
    }
    if (*p != 'u') {
        return memchr("\"\\/bfnrt", *p, 8) != NULL ? p + 1 : NULL;
    }
    int32_t unit = code_unit(p + 1, end);
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) {
        return NULL;
    }
    p += 5;
    if (unit == 0) {
        *seen |= NUL;
    } else if (unit >= 0xD800 && unit <= 0xDBFF) {
        if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
            return NULL;
        }
        int32_t low = code_unit(p + 2, end);
        if (low < 0xDC00 || low > 0xDFFF) {
            return NULL;
        }
        p += 6;
    }
    return p;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Pass a block of a string up to the first quote, backslash or control character; false: there is
 * none. The highest bit of what was passed is added to high. */
#ifdef __SSE2__
enum { BLOCK = 16 };

static inline bool
pass_block(Text *p, unsigned *high)
{
    __m128i block = _mm_loadu_si128((const __m128i *)*p);
    __m128i quotes = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    __m128i backslashes = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block);
    __m128i ends = _mm_or_si128(_mm_or_si128(quotes, backslashes), controls);
    unsigned found = (unsigned)_mm_movemask_epi8(ends), highs = (unsigned)_mm_movemask_epi8(block);
    unsigned before = found ? (unsigned)__builtin_ctz(found) : BLOCK;
    *high |= highs & ((1U << before) - 1) ? 0x80 : 0;
    *p += before;
    return found != 0;
}
#else
enum { BLOCK = 8 };

/* "Determine if a word has a zero byte", Bit Twiddling Hacks. */
static inline bool
pass_block(Text *p, unsigned *high)
{
    uint64_t word;
    memcpy(&word, *p, BLOCK);
    uint64_t quote = word ^ EACH('"'), backslash = word ^ EACH('\\');
    uint64_t found = ((quote - EACH(1)) & ~quote) | ((backslash - EACH(1)) & ~backslash) |
                     ((word - EACH(0x20)) & ~word);
    if ((found & EACH(0x80)) != 0) {
        return true; /* from here on byte by byte */
    }
    *high |= word & EACH(0x80) ? 0x80 : 0;
    *p += BLOCK;
    return false;
}
#endif

/* From behind the opening quote to behind the closing one; NULL: it is no string. */
static inline Text
skip_string(Text p, Text end, unsigned *seen)
{
    unsigned high = 0; /* all bytes that were passed */
    while (p < end) {
        if (end - p >= BLOCK && !pass_block(&p, &high)) {
            continue;
        }
        uint8_t c = *p++;
        if (c == '"') {
            *seen |= high & 0x80 ? HIGH : 0;
            return p;
        }
        if (c < 0x20) {
            return NULL;
        }
        if (c != '\\') {
            high |= c;
        } else if ((p = skip_escape(p, end, seen)) == NULL) {
            return NULL;
        }
    }
    return NULL;
}

static inline Text
skip_digits(Text p, Text end)
{
    Text start = p;
    while (p < end && is_digit(*p)) {
        p++;
    }
    return p == start ? NULL : p;
}

static inline Text
skip_number(Text p, Text end)
{
    if (*p == '-') {
        p++;
    }
    if (p < end && *p == '0') {
        p++;
    } else if ((p = skip_digits(p, end)) == NULL) {
        return NULL;
    }
    if (p < end && *p == '.' && (p = skip_digits(p + 1, end)) == NULL) {
        return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) {
            p++;
        }
        p = skip_digits(p, end);
    }
    return p;
}

static inline Text
skip_word(Text p, Text end, const char *word, size_t size)
{
    return (size_t)(end - p) >= size && memcmp(p, word, size) == 0 ? p + size : NULL;
}

/* A value that is neither object nor array. */
static inline Text
skip_scalar(Text p, Text end, unsigned *seen)
{
    switch (*p) {
    case '"':
        return skip_string(p + 1, end, seen);
    case 't':
        return skip_word(p, end, "true", 4);
    case 'f':
        return skip_word(p, end, "false", 5);
    case 'n':
        return skip_word(p, end, "null", 4);
    default:
        return skip_number(p, end);
    }
}

/* A field's name and the colon behind it, to its value. */
static inline Text
skip_key(Text p, Text end, unsigned *seen)
{
    p = skip_white(p, end);
    if (p == end || *p != '"' || (p = skip_string(p + 1, end, seen)) == NULL) {
        return NULL;
    }
    p = skip_white(p, end);
    return p < end && *p == ':' ? p + 1 : NULL;
}

/* A bit for each level of nesting: is it an object? */
typedef struct {
    uint64_t usual[USUAL_DEPTH / 64];
    uint64_t *objects;
    size_t most;         /* a multiple of 64 */
} Levels;

/* Make room for twice as many levels; false: no memory. */
static inline bool
deepen(Levels *levels)
{
    size_t bytes = levels->most / 8;
    bool is_usual = levels->objects == levels->usual;
    uint64_t *objects = PyMem_RawRealloc(is_usual ? NULL : levels->objects, 2 * bytes);
    if (objects == NULL) {
        return false;
    }
    if (is_usual) {
        memcpy(objects, levels->usual, bytes);
    }
    levels->objects = objects;
    levels->most *= 2;
    return true;
}

static inline Text
skip_levels(Text p, Text end, unsigned *seen, Levels *levels)
{
    size_t depth = 0;
    for (;;) {
        p = skip_white(p, end);
        if (p == end) {
            return NULL;
        }
        uint8_t open = *p;
        if (open == '{' || open == '[') {
            if (depth == levels->most && !deepen(levels)) {
                return NULL;
            }
            uint64_t bit = UINT64_C(1) << (depth & 63);
            p = skip_white(p + 1, end);
            if (p == end) {
                return NULL;
            }
            if (*p != (open == '{' ? '}' : ']')) {
                uint64_t *objects = &levels->objects[depth >> 6];
                *objects = depth & 63 ? *objects & ~bit : 0;
                if (open == '{') {
                    *objects |= bit;
                    if ((p = skip_key(p, end, seen)) == NULL) {
                        return NULL;
                    }
                }
                depth++;
                continue;
            }
            p++;
        } else if ((p = skip_scalar(p, end, seen)) == NULL) {
            return NULL;
        }
        for (;;) { /* behind a value: close what ends here */
            if (depth == 0) {
                return p;
            }
            bool object = levels->objects[(depth - 1) >> 6] >> ((depth - 1) & 63) & 1;
            p = skip_white(p, end);
            if (p == end) {
                return NULL;
            }
            if (*p == ',') {
                p++;
                if (object && (p = skip_key(p, end, seen)) == NULL) {
                    return NULL;
                }
                break;
            }
            if (*p != (object ? '}' : ']')) {
                return NULL;
            }
            p++;
            depth--;
        }
    }
}

/* From a value's first byte to behind its last; NULL: it is none, or there is no memory. */
static inline Text
skip_value(Text p, Text end, unsigned *seen)
{
    Levels levels;
    levels.objects = levels.usual;
    levels.most = USUAL_DEPTH;
    Text behind = skip_levels(p, end, seen, &levels);
    if (levels.objects != levels.usual) {
        PyMem_RawFree(levels.objects);
    }
    return behind;
}

#endif
