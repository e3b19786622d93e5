/* The forms are those that the receive functions of PostgreSQL's types read (utils/adt). A value is
 * put only if the decoding in Python (decode.py) surely takes it, and packs it to the same one.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h> /* first, since it asks for strtod_l */

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include "values.h"

enum {
    LONGEST_NUMBER = 512, /* characters; longer ones are left to Python */
    IPV4_FAMILY = 2, /* PGSQL_AF_INET in utils/inet.h, and PGSQL_AF_INET6 */
    IPV6_FAMILY = 3,
    IPV4_BYTES = 4,
    IPV6_BYTES = 16,
    NO_OID = 0, /* another in each database */
    NUMERIC_NEGATIVE = 0x4000, /* NUMERIC_NEG in numeric.c */
};
/* Years 1 to 9999, those of Python, as microseconds since 2000-01-01. */
#define FIRST_INSTANT INT64_C(-63082281600000000)
#define END_OF_INSTANTS INT64_C(252455616000000000)

bool
grow(Out *out, size_t need)
{
    size_t used = (size_t)(out->at - out->base), size = (size_t)(out->limit - out->base);
    if (need > (size_t)PY_SSIZE_T_MAX / 2 - used) {
        return false;
    }
    size_t wanted = used + need;
    size += size / 2;
    uint8_t *base = PyMem_RawRealloc(out->lent ? NULL : out->base, size > wanted ? size : wanted);
    if (base == NULL) {
        return false;
    }
    if (out->lent) {
        memcpy(base, out->base, used);
        out->lent = false;
    }
    out->limit = base + (size > wanted ? size : wanted);
    out->base = base;
    out->at = base + used;
    return true;
}

/* A value with its size before it; bounded by the size of its record, so by 2 GB (see pack). */
static Outcome
put_bytes(Out *out, Text start, size_t size)
{
    if (!room(out, 4 + size)) {
        return NO_MEMORY;
    }
    put_32(out, (uint32_t)size);
    memcpy(out->at, start, size);
    out->at += size;
    return PACKED;
}

static Outcome
put_int(Out *out, uint64_t value, unsigned size)
{
    if (!room(out, 12)) {
        return NO_MEMORY;
    }
    put_32(out, size);
    if (size == 8) {
        put_64(out, value);
    } else if (size == 4) {
        put_32(out, (uint32_t)value);
    } else {
        put_16(out, (uint32_t)value);
    }
    return PACKED;
}

/* ---- texts ---------------------------------------------------------------------------------- */

/* Table 3-7 of the Unicode standard. */
bool
is_utf8(Text p, Text end)
{
    while (p < end) {
        uint64_t word;
        if (end - p >= 8 && (memcpy(&word, p, 8), (word & EACH(0x80)) == 0)) {
            p += 8;
            continue;
        }
        uint8_t c = *p++;
        if (c < 0x80) {
            continue;
        }
        int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
        if (c < 0xC2 || c > 0xF4 || end - p < more) {
            return false;
        }
        uint8_t low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        uint8_t high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        if (*p < low || *p > high) {
            return false;
        }
        for (int n = 1; n < more; n++) {
            if ((p[n] & 0xC0) != 0x80) {
                return false;
            }
        }
        p += more;
    }
    return true;
}

static void
put_code_point(Out *out, uint32_t c)
{
    if (c < 0x80) {
        *out->at++ = (uint8_t)c;
        return;
    }
    if (c < 0x800) {
        *out->at++ = (uint8_t)(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out->at++ = (uint8_t)(0xE0 | c >> 12);
        } else {
            *out->at++ = (uint8_t)(0xF0 | c >> 18);
            *out->at++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
        }
        *out->at++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    }
    *out->at++ = (uint8_t)(0x80 | (c & 0x3F));
}

/* The escape behind a backslash, which was scanned before; returns what follows it. */
static Text
put_escape(Out *out, Text p, Text end)
{
    static const char names[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    if (*p != 'u') {
        const char *name = memchr(names, *p, 5);
        *out->at++ = name ? (uint8_t)meanings[name - names] : *p;
        return p + 1;
    }
    uint32_t c = (uint32_t)code_unit(p + 1, end);
    p += 5;
    if (c >= 0xD800 && c <= 0xDBFF) {
        c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)code_unit(p + 2, end) - 0xDC00);
        p += 6;
    }
    put_code_point(out, c);
    return p;
}

/* A string that was scanned, without its quotes, as a value with its size before it. */
static Outcome
put_string(Out *out, Text p, Text end, unsigned seen)
{
    if (seen & NUL) {
        return UNLOADABLE;
    }
    if ((seen & HIGH) && !is_utf8(p, end)) {
        return DECLINED;
    }
    if (!(seen & ESCAPED)) {
        return put_bytes(out, p, (size_t)(end - p));
    }
    if (!room(out, 4 + (size_t)(end - p))) { /* no escape is shorter than what it means */
        return NO_MEMORY;
    }
    uint8_t *size_at = out->at;
    out->at += 4;
    while (p < end) {
        Text backslash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((backslash ? backslash : end) - p);
        memcpy(out->at, p, plain);
        out->at += plain;
        p += plain;
        if (p < end) {
            p = put_escape(out, p + 1, end);
        }
    }
    set_32(size_at, (uint32_t)(out->at - size_at - 4));
    return PACKED;
}

static bool
is_string(Span value)
{
    return *value.start == '"';
}

/* What stands between a string's quotes. */
static Span
inside(Span value)
{
    return (Span){value.start + 1, value.end - 1, value.seen};
}

static Outcome
put_text(Out *out, const Column *column, Span value)
{
    if (!is_string(value)) {
        return DECLINED;
    }
    ptrdiff_t size_at = out->at - out->base;
    Outcome outcome = put_string(out, value.start + 1, value.end - 1, value.seen);
    if (outcome == PACKED && column->limit >= 0) {
        long characters = 0;
        for (Text p = out->base + size_at + 4; p < out->at; p++) {
            characters += (*p & 0xC0) != 0x80;
        }
        if (characters > column->limit) {
            return DECLINED;
        }
    }
    return outcome;
}

static Outcome
put_enum(Out *out, const Column *column, Span value)
{
    ptrdiff_t size_at = out->at - out->base;
    Outcome outcome = is_string(value)
                          ? put_string(out, value.start + 1, value.end - 1, value.seen)
                          : DECLINED;
    if (outcome != PACKED) {
        return outcome;
    }
    Text text = out->base + size_at + 4;
    size_t size = (size_t)(out->at - text);
    for (size_t n = 0; n < column->label_count; n++) {
        const Label *label = &column->labels[n];
        if (label->size == size && memcmp(label->start, text, size) == 0) {
            return PACKED;
        }
    }
    return DECLINED;
}

/* An array of one dimension: array_recv in arrayfuncs.c. An element is put as a value of a column
 * of its type would be. */
static Outcome
put_array(Out *out, const Column *column, Span value)
{
    if (*value.start != '[') {
        return DECLINED;
    }
    ptrdiff_t start = out->at - out->base;
    bool rounded = false;
    if (!room(out, 24)) {
        return NO_MEMORY;
    }
    out->at += 24;
    uint32_t count = 0, nulls = 0;
    Text p = skip_white(value.start + 1, value.end);
    while (*p != ']') { /* the array was scanned, so that it is closed */
        if (*p == '[' || *p == '{') {
            return DECLINED;
        }
        Span element = {p, p, 0};
        p = element.end = skip_scalar(p, value.end, &element.seen);
        if (p == NULL) {
            return DECLINED;
        }
        if (!is_null(element)) {
            Outcome outcome = column->put_element(out, column, element);
            if (outcome != PACKED && outcome != ROUNDED) {
                return outcome;
            }
            rounded |= outcome == ROUNDED;
        } else if (room(out, 4)) {
            put_32(out, UINT32_MAX);
            nulls = 1;
        } else {
            return NO_MEMORY;
        }
        count++;
        p = skip_white(p, value.end);
        if (*p == ',') {
            p = skip_white(p + 1, value.end);
        }
    }
    uint8_t *head = out->base + start;
    if (count == 0) {
        out->at = head + 16;
    }
    set_32(head, (uint32_t)(out->at - head - 4));
    set_32(head + 4, count != 0); /* dimensions */
    set_32(head + 8, nulls);
    set_32(head + 12, column->element_oid);
    if (count != 0) {
        set_32(head + 16, count);
        set_32(head + 20, 1); /* the first subscript */
    }
    return rounded ? ROUNDED : PACKED;
}

/* A string that holds a JSON document, as that; ``before``: a byte that stands before it, or -1. */
static Outcome
put_parsed(Out *out, Span value, int before)
{
    ptrdiff_t size_at = out->at - out->base;
    size_t size = 0;
    unsigned seen = 0;
    Outcome outcome = put_string(out, value.start + 1, value.end - 1, value.seen);
    if (outcome != PACKED) {
        return outcome;
    }
    if (!room(out, 1)) {
        return NO_MEMORY;
    }
    uint8_t *text = out->base + size_at + 4;
    Text start = skip_white(text, out->at), end = out->at;
    while (end > start && (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r' || end[-1] == '\t')) {
        end--;
    }
    /* JSON's null is left to Python: it is not NULL. */
    if (start == end || *start == 'n' || skip_value(start, end, &seen) != end) {
        return DECLINED;
    }
    if (before >= 0 && (seen & NUL)) {
        return UNLOADABLE;
    }
    size = (size_t)(end - start);
    memmove(text + (before >= 0), start, size);
    if (before >= 0) {
        *text = (uint8_t)before;
        size++;
    }
    out->at = text + size;
    set_32(out->base + size_at, (uint32_t)size);
    return PACKED;
}

static Outcome
put_json(Out *out, const Column *column, Span value)
{
    if ((column->rules & PARSES) && is_string(value)) {
        return put_parsed(out, value, -1);
    }
    if ((value.seen & HIGH) && !is_utf8(value.start, value.end)) {
        return UNLOADABLE;
    }
    return put_bytes(out, value.start, (size_t)(value.end - value.start));
}

static Outcome
put_jsonb(Out *out, const Column *column, Span value)
{
    if ((column->rules & PARSES) && is_string(value)) {
        return put_parsed(out, value, 1 /* the version of this form */);
    }
    if ((value.seen & NUL) || ((value.seen & HIGH) && !is_utf8(value.start, value.end))) {
        return UNLOADABLE;
    }
    size_t size = (size_t)(value.end - value.start);
    if (!room(out, 5 + size)) {
        return NO_MEMORY;
    }
    put_32(out, (uint32_t)size + 1);
    *out->at++ = 1; /* the version of this form: jsonb_recv in jsonb.c */
    memcpy(out->at, value.start, size);
    out->at += size;
    return PACKED;
}

static Outcome
put_uuid(Out *out, const Column *Py_UNUSED(column), Span value)
{
    if (!is_string(value) || value.end - value.start != 38) {
        return DECLINED;
    }
    if (!room(out, 20)) {
        return NO_MEMORY;
    }
    put_32(out, 16);
    static const uint8_t places[] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    Text p = value.start + 1;
    int wrong = (p[8] ^ '-') | (p[13] ^ '-') | (p[18] ^ '-') | (p[23] ^ '-');
    for (int n = 0; n < 16; n++) {
        int high = hex_digit(p[places[n]]), low = hex_digit(p[places[n] + 1]);
        wrong |= (high | low) < 0;
        out->at[n] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    out->at += 16;
    return wrong ? DECLINED : PACKED;
}

/* What a digit of base64 means; -1: it is none. */
static int
base64_digit(uint8_t c)
{
    static const int8_t meanings[256] = {
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -1, -1, 63,
        52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
        -1,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
        15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1,
        -1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
        41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
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

/* The escapes of line breaks, which stand between groups of four digits in what encode of PostgreSQL
 * and MIME write. */
static Text
skip_line_breaks(Text p, Text end)
{
    while (end - p >= 2 && p[0] == '\\' && (p[1] == 'n' || p[1] == 'r')) {
        p += 2;
    }
    return p;
}

/* Whether a text is pairs of hexadecimal digits. */
static bool
is_hex(Text p, Text end)
{
    bool even = (end - p) % 2 == 0;
    while (p < end && hex_digit(*p) >= 0) {
        p++;
    }
    return even && p == end;
}

static Outcome
put_hex(Out *out, Text p, Text end)
{
    if (!room(out, 4 + (size_t)(end - p) / 2)) {
        return NO_MEMORY;
    }
    put_32(out, (uint32_t)((end - p) / 2));
    for (; p < end; p += 2) {
        *out->at++ = (uint8_t)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
    }
    return PACKED;
}

/* Base64 with its padding, and no bits that are left over: RFC 4648. In a wide column also hex as
 * PostgreSQL writes it, and, if the column's text is known to be that, other hex. */
static Outcome
put_bytea(Out *out, const Column *column, Span value)
{
    Span text = inside(value);
    if (!is_string(value)) {
        return DECLINED;
    }
    if (column->wide && text.start < text.end) {
        Text start = text.start;
        if (text.end - start >= 3 && memcmp(start, "\\\\x", 3) == 0) {
            return is_hex(start + 3, text.end) ? put_hex(out, start + 3, text.end) : DECLINED;
        }
        start += 2 * (text.end - start > 2 && memcmp(start, "0x", 2) == 0);
        if (column->rules & HEX) {
            return is_hex(start, text.end) ? put_hex(out, start, text.end) : DECLINED;
        }
        if (!(column->rules & BASE64) && is_hex(start, text.end)) {
            return DECLINED;
        }
    }
    size_t size = (size_t)(text.end - text.start) / 4 * 3;
    if (!room(out, 4 + size)) {
        return NO_MEMORY;
    }
    uint8_t *size_at = out->at;
    out->at += 4;
    int pad = 0;
    for (Text p = text.start; p < text.end; p += 4) {
        if (text.end - p < 4 || *p == '\\') {
            Text behind = skip_line_breaks(p, text.end);
            if (behind == text.end) {
                break;
            }
            if (behind == p || text.end - behind < 4) {
                return DECLINED;
            }
            p = behind;
        }
        int a = base64_digit(p[0]), b = base64_digit(p[1]);
        int c = base64_digit(p[2]), d = base64_digit(p[3]);
        if ((a | b | c | d) < 0) {
            if (skip_line_breaks(p + 4, text.end) != text.end || p[3] != '=' || (a | b) < 0) {
                return DECLINED;
            }
            pad = p[2] == '=' ? 2 : 1;
            c = pad == 2 ? 0 : c;
            if (c < 0 || (pad == 2 ? b & 15 : c & 3)) {
                return DECLINED;
            }
            d = 0;
        }
        uint32_t bits = (uint32_t)(a << 18 | b << 12 | c << 6 | d);
        out->at[0] = (uint8_t)(bits >> 16);
        out->at[1] = (uint8_t)(bits >> 8);
        out->at[2] = (uint8_t)bits;
        out->at += 3;
    }
    out->at -= pad;
    set_32(size_at, (uint32_t)(out->at - size_at - 4));
    return PACKED;
}

/* ---- numbers -------------------------------------------------------------------------------- */

static Outcome
put_bool(Out *out, const Column *column, Span value)
{
    bool is_true = *value.start == 't';
    if (!is_true && *value.start != 'f') {
        static const char *const words[] = {"1", "0", "t", "f", "true", "false"};
        Span text = is_string(value) ? inside(value) : value;
        size_t size = (size_t)(text.end - text.start), n = 0;
        while (n < 6 && (strlen(words[n]) != size || memcmp(words[n], text.start, size) != 0)) {
            n++;
        }
        if (!column->wide || n == 6) {
            return DECLINED;
        }
        is_true = n % 2 == 0;
    }
    if (!room(out, 5)) {
        return NO_MEMORY;
    }
    put_32(out, 1);
    *out->at++ = is_true;
    return PACKED;
}

/* An integer as one would write it, and in a wide column also a string with one. */
static Outcome
put_integer(Out *out, const Column *column, Span value, unsigned size)
{
    if (is_string(value)) {
        if (!column->wide) {
            return DECLINED;
        }
        value = inside(value);
    }
    Text p = value.start;
    bool negative = p < value.end && *p == '-';
    p += negative;
    ptrdiff_t digits = value.end - p;
    if (digits < 1 || digits > 19 || (*p == '0' && (digits > 1 || negative))) {
        return DECLINED;
    }
    uint64_t number = 0; /* 19 digits fit */
    for (; p < value.end; p++) {
        if (!is_digit(*p)) {
            return DECLINED;
        }
        number = number * 10 + (uint64_t)(*p - '0');
    }
    uint64_t most = (UINT64_C(1) << (8 * size - 1)) - !negative;
    if (number > most) {
        return DECLINED;
    }
    return put_int(out, negative ? 0 - number : number, size);
}

static Outcome
put_int2(Out *out, const Column *column, Span value)
{
    return put_integer(out, column, value, 2);
}

static Outcome
put_int4(Out *out, const Column *column, Span value)
{
    return put_integer(out, column, value, 4);
}

static Outcome
put_int8(Out *out, const Column *column, Span value)
{
    return put_integer(out, column, value, 8);
}

/* The nearest double of a number's text, which ends where a character is that is none of it. */
#ifdef _WIN32
static _locale_t c_locale;
#define nearest(text) _strtod_l(text, NULL, c_locale)
#else
static locale_t c_locale;
#define nearest(text) strtod_l(text, NULL, c_locale)
#endif

/* Read a number that was scanned; ``zero``: all of its digits are, and it has no exponent. */
static double
read_double(Span value, bool *zero)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    Text p = value.start + (*value.start == '-');
    uint64_t digits = 0;
    int places = 0;
    bool point = false, plain = true;
    *zero = true;
    for (; p < value.end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        *zero = *zero && *p == '0';
        plain = plain && digits < (UINT64_C(1) << 53) / 10;
        digits = plain ? digits * 10 + (uint64_t)(*p - '0') : digits;
        places += point;
    }
    *zero = *zero && p == value.end;
    /* Both are exact, and so the quotient is rounded once: Clinger, "How to Read Floating Point
     * Numbers Accurately". */
    if (FLT_EVAL_METHOD == 0 && plain && p == value.end && places <= 22) {
        double number = (double)digits / powers[places];
        return *value.start == '-' ? -number : number;
    }
    char text[LONGEST_NUMBER + 1];
    size_t size = (size_t)(value.end - value.start);
    memcpy(text, value.start, size);
    text[size] = '\0';
    return nearest(text);
}

/* A number, but not one whose sign or size msgspec would lose (_UNSAFE_FLOAT in types.py). */
static Outcome
put_float(Out *out, const Column *column, Span value, bool single)
{
    bool zero;
    if (is_string(value)) {
        value = inside(value);
        if (!column->wide || value.start == value.end ||
            skip_number(value.start, value.end) != value.end) {
            return DECLINED;
        }
    }
    if ((*value.start != '-' && !is_digit(*value.start)) ||
        value.end - value.start > LONGEST_NUMBER) {
        return DECLINED;
    }
    double number = read_double(value, &zero);
    bool tiny = single ? fabs(number) < FLT_MIN : number == 0;
    if ((tiny && (!zero || *value.start == '-')) || fabs(number) > (single ? FLT_MAX : DBL_MAX)) {
        return DECLINED;
    }
    if (single) {
        float rounded = (float)number;
        uint32_t bits;
        memcpy(&bits, &rounded, 4);
        return put_int(out, bits, 4);
    }
    uint64_t bits;
    memcpy(&bits, &number, 8);
    return put_int(out, bits, 8);
}

static Outcome
put_float4(Out *out, const Column *column, Span value)
{
    return put_float(out, column, value, true);
}

static Outcome
put_float8(Out *out, const Column *column, Span value)
{
    return put_float(out, column, value, false);
}

/* A digit to the base 10,000, of which those beyond the text's ends are zeros. */
static uint32_t
four_digits(Text digits, long at, long count)
{
    uint32_t number = 0;
    for (long n = at; n < at + 4; n++) {
        number = number * 10 + (n >= 0 && n < count ? (uint32_t)(digits[n] - '0') : 0);
    }
    return number;
}

/* A decimal number without an exponent, or a string with one: numeric_recv in numeric.c. */
static Outcome
put_numeric(Out *out, const Column *column, Span value)
{
    value = is_string(value) ? inside(value) : value;
    Text p = value.start, end = value.end;
    if (end - p > LONGEST_NUMBER) {
        return DECLINED;
    }
    bool negative = p < end && *p == '-';
    p += negative;
    Text whole = p;
    while (p < end && is_digit(*p)) {
        p++;
    }
    long before = (long)(p - whole), after = 0;
    if (before == 0 || (before > 1 && *whole == '0')) {
        return DECLINED;
    }
    Text fraction = p;
    if (p < end) {
        if (*p != '.' || (fraction = p + 1, p = skip_digits(fraction, end)) != end) {
            return DECLINED;
        }
        after = (long)(end - fraction);
    }
    if (column->limit >= 0 && after > column->limit) {
        return DECLINED;
    }
    if (column->digits >= 0 && (*whole == '0' ? 0 : before) > column->digits) {
        return UNLOADABLE;
    }
    long heads = (before + 3) / 4, tails = (after + 3) / 4;
    if (!room(out, 12 + 2 * (size_t)(heads + tails))) {
        return NO_MEMORY;
    }
    put_32(out, (uint32_t)(8 + 2 * (heads + tails)));
    put_16(out, (uint32_t)(heads + tails));
    put_16(out, (uint32_t)(heads - 1)); /* the weight of the first digit, in powers of 10,000 */
    put_16(out, negative ? NUMERIC_NEGATIVE : 0);
    put_16(out, (uint32_t)(column->limit >= 0 ? column->limit : after));
    for (long at = before - 4 * heads; at < before; at += 4) {
        put_16(out, four_digits(whole, at, before));
    }
    for (long at = 0; at < after; at += 4) {
        put_16(out, four_digits(fraction, at, after));
    }
    return PACKED;
}

/* ---- dates and times ------------------------------------------------------------------------ */

#define SECOND_US INT64_C(1000000)
#define DAY_S INT64_C(86400)

/* So many digits as one number; -1: one of them is none. */
static int
digits_at(Text p, int count)
{
    int number = 0;
    for (int n = 0; n < count; n++) {
        if (!is_digit(p[n])) {
            return -1;
        }
        number = number * 10 + (p[n] - '0');
    }
    return number;
}

/* Read YYYY-MM-DD as days since 2000-01-01. The days of a Gregorian date: Howard Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms", days_from_civil. */
static bool
read_date(Text p, int64_t *days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = digits_at(p, 4), month = digits_at(p + 5, 2), day = digits_at(p + 8, 2);
    if (year < 1 || p[4] != '-' || p[7] != '-' || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > lengths[month - 1] + (month == 2 && leap)) {
        return false;
    }
    int y = year - (month <= 2), era = y / 400, of_era = y % 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int of_days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    *days = (int64_t)era * 146097 + of_days - 730425; /* from 0000-03-01 to 2000-01-01 */
    return true;
}

/* Read the digits of a second as microseconds, of which ``kept`` are kept. In a wide column others
 * may follow: zeros, or, by its rules, what is rounded half to even. */
static Text
read_fraction(Text p, Text end, const Column *column, long kept, int64_t *us, bool *rounded)
{
    int digits = 0;
    int64_t number = 0;
    int next = 0;      /* the first digit that is not kept */
    bool rest = false; /* whether others behind it are not zero */
    for (; p < end && is_digit(*p); p++, digits++) {
        if (digits < kept) {
            number = number * 10 + (*p - '0');
        } else if (digits == kept) {
            next = *p - '0';
        } else {
            rest |= *p != '0';
        }
    }
    bool inexact = next != 0 || rest;
    if (digits == 0 || (digits > 6 && !column->wide) ||
        (inexact && !(column->wide && (column->rules & ROUND)))) {
        return NULL;
    }
    number += next > 5 || (next == 5 && (rest || number % 2 == 1));
    for (int n = digits < kept ? digits : (int)kept; n < 6; n++) {
        number *= 10;
    }
    *us = number;
    *rounded |= inexact;
    return p;
}

/* Read HH:MM:SS, and behind a point up to so many digits that are not zero, six in all. */
static Text
read_time(Text p, Text end, const Column *column, long kept, int64_t *us, bool *rounded)
{
    if (end - p < 8 || p[2] != ':' || p[5] != ':') {
        return NULL;
    }
    int hour = digits_at(p, 2), minute = digits_at(p + 3, 2), second = digits_at(p + 6, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) {
        return NULL;
    }
    int64_t fraction = 0;
    p += 8;
    if (p < end && *p == '.' &&
        (p = read_fraction(p + 1, end, column, kept, &fraction, rounded)) == NULL) {
        return NULL;
    }
    *us = (hour * 3600 + minute * 60 + second) * SECOND_US + fraction;
    return p;
}

/* Read Z, +HH:MM or +HHMM; in a wide column also +HH, UTC, and a blank before it. */
static Text
read_offset(Text p, Text end, const Column *column, int64_t *us)
{
    *us = 0;
    bool wide = column->wide;
    p += wide && p < end && *p == ' ';
    ptrdiff_t left = end - p;
    if (left >= 1 && *p == 'Z') {
        return p + 1;
    }
    if (wide && left == 3 && memcmp(p, "UTC", 3) == 0) {
        return end;
    }
    if (left < 3 || (*p != '+' && *p != '-')) {
        return NULL;
    }
    int hours = digits_at(p + 1, 2), minutes = 0;
    Text behind = p + 3;
    if (left >= 6 && p[3] == ':') {
        minutes = digits_at(p + 4, 2);
        behind = p + 6;
    } else if (left >= 5 && is_digit(p[3])) {
        minutes = digits_at(p + 3, 2);
        behind = p + 5;
    } else if (!wide || left != 3) {
        return NULL;
    }
    if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59) {
        return NULL;
    }
    *us = (hours * 60 + minutes) * 60 * SECOND_US * (*p == '-' ? -1 : 1);
    return behind;
}

/* Microseconds of 2000-01-01 since 1970, and of a year or more: in policies.py, _NEAR_NS. */
#define FROM_1970_US (INT64_C(946684800) * SECOND_US)
#define NEAR_US (366 * DAY_S * SECOND_US)

enum { LONGEST_EPOCH = 19 };

/* Read a number by its column's unit, in microseconds, if they are whole and kept as they are. */
static bool
read_epoch(const Column *column, Span text, int64_t *us)
{
    static const int places[] = {0, 6, 3, 0, -3}; /* digits of a number that are microseconds */
    int unit = (int)(column->rules >> UNIT_SHIFT & 7);
    Text p = text.start;
    bool negative = p < text.end && *p == '-', point = false;
    p += negative;
    if (unit == 0 || p == text.end || text.end - p > LONGEST_EPOCH || !is_digit(*p)) {
        return false;
    }
    uint64_t number = 0; /* 19 digits fit */
    int after = 0;
    for (; p < text.end; p++) {
        if (*p == '.' && !point && p + 1 < text.end) {
            point = true;
            continue;
        }
        if (!is_digit(*p)) {
            return false;
        }
        number = number * 10 + (uint64_t)(*p - '0');
        after += point;
    }
    for (int n = places[unit] - after; n > 0; n--) {
        if (number > (uint64_t)INT64_MAX / 10) {
            return false;
        }
        number *= 10;
    }
    for (int n = places[unit] - after; n < 0; n++) {
        if (number % 10 != 0) {
            return false;
        }
        number /= 10;
    }
    uint64_t step = 1;
    for (long n = column->limit; n >= 0 && n < 6; n++) {
        step *= 10;
    }
    if (number % step != 0 || number > (uint64_t)INT64_MAX / 2) {
        return false;
    }
    if ((column->rules & INFERRED) && number != 0 && number < (uint64_t)NEAR_US) {
        return false;
    }
    *us = negative ? -(int64_t)number : (int64_t)number;
    return true;
}

/* Whether a value of a wide column is a number since 1970; a string may be one of its usual length. */
static bool
is_epoch(Span value, Span text)
{
    if (text.start == text.end) {
        return false;
    }
    ptrdiff_t size = text.end - text.start - (*text.start == '-');
    bool usual = size == 10 || size == 13 || size == 16 || size == 19;
    if (is_string(value) && !usual) {
        return false;
    }
    for (Text p = text.start + (*text.start == '-'); p < text.end; p++) {
        if (!is_digit(*p) && (is_string(value) || *p != '.')) {
            return false;
        }
    }
    return true;
}

enum { LONGEST_TIME = 64 };

/* Write a date that has its column's format as YYYY-MM-DD, with what follows it, into ``iso``; a text
 * of another form is returned as it is. */
static Span
as_iso(const Column *column, Span text, uint8_t *iso)
{
    static const char orders[][4] = {"", "DMY", "DYM", "MDY", "MYD", "YDM", "YMD"};
    unsigned order = column->rules >> ORDER_SHIFT & 7;
    uint8_t separator = (uint8_t)(column->rules >> SEPARATOR_SHIFT);
    if (order == 0 || order > 6 || text.end - text.start > LONGEST_TIME) {
        return text;
    }
    Text p = text.start;
    memcpy(iso, "YYYY-MM-DD", 10);
    for (int n = 0; n < 3; n++) {
        char part = orders[order][n];
        int size = part == 'Y' ? 4 : 2;
        if (n > 0 && separator != 0 && (p == text.end || *p++ != separator)) {
            return text;
        }
        if (text.end - p < size || digits_at(p, size) < 0) {
            return text;
        }
        memcpy(iso + (part == 'Y' ? 0 : part == 'M' ? 5 : 8), p, (size_t)size);
        p += size;
    }
    if (p < text.end && *p != 'T' && *p != ' ') {
        return text;
    }
    memcpy(iso + 10, p, (size_t)(text.end - p));
    return (Span){iso, iso + 10 + (text.end - p), text.seen};
}

/* RFC 3339, as microseconds since 2000-01-01 (datatype/timestamp.h); in a wide column also a number
 * since 1970, and a date alone. */
static Outcome
put_instant(Out *out, const Column *column, Span value, bool needs_offset)
{
    uint8_t iso[LONGEST_TIME + 16];
    Span text = is_string(value) ? inside(value) : value;
    int64_t days, us = 0, offset = 0, instant;
    bool rounded = false, is_text = is_string(value);
    if (column->wide) {
        text = as_iso(column, text, iso);
        is_text |= text.start == iso;
    }
    if (column->wide && text.start != iso && is_epoch(value, text)) {
        if (!read_epoch(column, text, &instant)) {
            return DECLINED;
        }
        instant -= FROM_1970_US;
    } else {
        if (!is_text || text.end - text.start < 10 || !read_date(text.start, &days)) {
            return DECLINED;
        }
        needs_offset = needs_offset && !(column->wide && (column->rules & UTC));
        Text p = text.start + 10;
        if (p < text.end && (*p == 'T' || *p == ' ')) {
            p = read_time(p + 1, text.end, column, column->limit, &us, &rounded);
            if (p != NULL && (p < text.end || needs_offset)) {
                p = read_offset(p, text.end, column, &offset);
            }
        } else if (!column->wide || needs_offset) {
            return DECLINED;
        }
        if (p != text.end) {
            return DECLINED;
        }
        instant = days * DAY_S * SECOND_US + us - offset;
    }
    if (instant < FIRST_INSTANT || instant >= END_OF_INSTANTS) {
        return DECLINED;
    }
    Outcome outcome = put_int(out, (uint64_t)instant, 8);
    return outcome == PACKED && rounded ? ROUNDED : outcome;
}

static Outcome
put_timestamptz(Out *out, const Column *column, Span value)
{
    return put_instant(out, column, value, true);
}

static Outcome
put_timestamp(Out *out, const Column *column, Span value)
{
    return put_instant(out, column, value, false);
}

/* A date, and in a wide column also one that is written as midnight. */
static Outcome
put_date(Out *out, const Column *column, Span value)
{
    uint8_t iso[LONGEST_TIME + 16];
    Span text = is_string(value) ? inside(value) : value;
    int64_t days, us, offset;
    bool rounded = false, is_text = is_string(value);
    if (column->wide) {
        text = as_iso(column, text, iso);
        is_text |= text.start == iso;
    }
    if (column->wide && text.start != iso && is_epoch(value, text)) {
        if (!read_epoch(column, text, &us) || us % (DAY_S * SECOND_US) != 0) {
            return DECLINED;
        }
        days = us / (DAY_S * SECOND_US) - FROM_1970_US / (DAY_S * SECOND_US);
        if (days * DAY_S * SECOND_US < FIRST_INSTANT ||
            days * DAY_S * SECOND_US >= END_OF_INSTANTS) {
            return DECLINED;
        }
        return put_int(out, (uint64_t)days, 4);
    }
    if (!is_text || text.end - text.start < 10 || !read_date(text.start, &days)) {
        return DECLINED;
    }
    Text p = text.start + 10;
    if (p < text.end) {
        if (!column->wide || (*p != 'T' && *p != ' ') ||
            (p = read_time(p + 1, text.end, column, 6, &us, &rounded)) == NULL || us != 0 ||
            rounded || (p < text.end && read_offset(p, text.end, column, &offset) != text.end)) {
            return DECLINED;
        }
    }
    return put_int(out, (uint64_t)days, 4);
}

static Outcome
put_time(Out *out, const Column *column, Span value)
{
    Span text = inside(value);
    int64_t us;
    bool rounded = false;
    if (!is_string(value) ||
        read_time(text.start, text.end, column, column->limit, &us, &rounded) != text.end ||
        us >= DAY_S * SECOND_US) {
        return DECLINED;
    }
    Outcome outcome = put_int(out, (uint64_t)us, 8);
    return outcome == PACKED && rounded ? ROUNDED : outcome;
}

/* A number of one to ``most`` digits, with or without a sign; NULL: there is none. */
static Text
read_number(Text p, Text end, int most, int64_t *number)
{
    bool negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    Text start = p;
    *number = 0;
    for (; p < end && is_digit(*p); p++) {
        if (p - start == most) {
            return NULL;
        }
        *number = *number * 10 + (*p - '0');
    }
    *number = negative ? -*number : *number;
    return p == start ? NULL : p;
}

/* Read an interval's HH:MM:SS, of any number of hours up to seven digits, and its sign; NULL: it is
 * none, or finer than a microsecond. */
static Text
read_duration(Text p, Text end, const Column *column, int64_t *us)
{
    bool rounded = false;
    bool negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    Text colon = p;
    int64_t hours;
    if (p == end || !is_digit(*p) || (colon = read_number(p, end, 7, &hours)) == NULL ||
        colon - p < 2 || end - colon < 6 || colon[3] != ':') {
        return NULL;
    }
    /* The rest is read as that of a time of day. */
    uint8_t text[16] = "00";
    size_t rest = (size_t)(end - colon);
    if (*colon != ':' || rest > sizeof text - 2) {
        return NULL;
    }
    memcpy(text + 2, colon, rest);
    if (read_time(text, text + 2 + rest, column, 6, us, &rounded) != text + 2 + rest || rounded) {
        return NULL;
    }
    *us += hours * 3600 * SECOND_US;
    *us = negative ? -*us : *us;
    return end;
}

static Outcome
put_parts(Out *out, int64_t us, int64_t days, int64_t months)
{
    if (!room(out, 20)) {
        return NO_MEMORY;
    }
    put_32(out, 16);
    put_64(out, (uint64_t)us);
    put_32(out, (uint32_t)days);
    put_32(out, (uint32_t)months);
    return PACKED;
}

/* An interval as PostgreSQL writes it, with its parts in their order: interval_recv in
 * timestamp.c. Or a number, if its unit is known. */
static Outcome
put_interval(Out *out, const Column *column, Span value)
{
    static const struct {
        const char *name;
        ptrdiff_t size;
    } units[] = {{" year", 5}, {" mon", 4}, {" day", 4}};
    Span text = is_string(value) ? inside(value) : value;
    int64_t parts[3] = {0, 0, 0}, us = 0;
    if (read_epoch(column, text, &us)) {
        return put_parts(out, us, 0, 0);
    }
    if (!is_string(value) || text.start == text.end) {
        return DECLINED;
    }
    Text p = text.start;
    for (int n = 0; n < 3 && p != text.end; n++) {
        int64_t number;
        Text behind = read_number(p, text.end, 9, &number);
        if (behind == NULL || text.end - behind < units[n].size ||
            memcmp(behind, units[n].name, (size_t)units[n].size) != 0) {
            continue;
        }
        parts[n] = number;
        p = behind + units[n].size;
        p += p < text.end && *p == 's';
        if (p < text.end && (*p != ' ' || ++p == text.end)) {
            return DECLINED;
        }
    }
    if (p != text.end && read_duration(p, text.end, column, &us) == NULL) {
        return DECLINED;
    }
    int64_t months = parts[0] * 12 + parts[1];
    if (months < INT32_MIN || months > INT32_MAX) {
        return DECLINED;
    }
    return put_parts(out, us, parts[2], months);
}

unsigned
stands_for_null(const Column *column, Span value)
{
    Span text = inside(value);
    if (!(column->rules & (EMPTY_NULL | ZERO_NULL)) || !is_string(value)) {
        return 0;
    }
    if (text.start == text.end) {
        return column->rules & EMPTY_NULL;
    }
    ptrdiff_t size = text.end - text.start;
    bool is_zero = size >= 10 && memcmp(text.start, "0000-00-00", 10) == 0 &&
                   (size == 10 || (size == 19 && memcmp(text.start + 11, "00:00:00", 8) == 0 &&
                                   (text.start[10] == ' ' || text.start[10] == 'T')));
    return is_zero ? column->rules & ZERO_NULL : 0;
}

/* ---- addresses ------------------------------------------------------------------------------ */

/* A number without leading zeros, up to ``most``; NULL: there is none. */
static Text
read_small(Text p, Text end, unsigned most, unsigned *number)
{
    Text start = p;
    *number = 0;
    for (; p < end && is_digit(*p) && p - start < 3; p++) {
        *number = *number * 10 + (unsigned)(*p - '0');
    }
    return p == start || *number > most || (p - start > 1 && *start == '0') ? NULL : p;
}

static Text
read_ipv4(Text p, Text end, uint8_t *address)
{
    unsigned part;
    for (int n = 0; n < IPV4_BYTES; n++) {
        if ((n > 0 && (p == end || *p++ != '.')) || (p = read_small(p, end, 255, &part)) == NULL) {
            return NULL;
        }
        address[n] = (uint8_t)part;
    }
    return p;
}

/* Without a dotted end, which is left to Python. */
static Text
read_ipv6(Text p, Text end, uint8_t *address)
{
    uint8_t groups[IPV6_BYTES];
    size_t count = 0, gap = SIZE_MAX; /* bytes so far; those before "::" */
    if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;
    }
    while (p < end && hex_digit(*p) >= 0) {
        Text start = p;
        unsigned group = 0;
        for (; p < end && p - start < 4 && hex_digit(*p) >= 0; p++) {
            group = group << 4 | (unsigned)hex_digit(*p);
        }
        if (count == IPV6_BYTES) {
            return NULL;
        }
        groups[count++] = (uint8_t)(group >> 8);
        groups[count++] = (uint8_t)group;
        if (p == end || *p != ':') {
            break;
        }
        p++;
        if (p < end && *p == ':') {
            if (gap != SIZE_MAX) {
                return NULL;
            }
            gap = count;
            p++;
        } else if (p == end || hex_digit(*p) < 0) {
            return NULL;
        }
    }
    if ((count == IPV6_BYTES) != (gap == SIZE_MAX)) {
        return NULL;
    }
    size_t head = gap == SIZE_MAX ? count : gap;
    memset(address, 0, IPV6_BYTES);
    memcpy(address, groups, head);
    memcpy(address + IPV6_BYTES - (count - head), groups + head, count - head);
    return p;
}

static bool
has_host_bits(const uint8_t *address, unsigned size, unsigned bits)
{
    for (unsigned n = 0; n < size; n++) {
        unsigned kept = bits <= 8 * n ? 0 : bits - 8 * n > 8 ? 8 : bits - 8 * n;
        if (address[n] & (0xFF >> kept)) {
            return true;
        }
    }
    return false;
}

/* An address with or without its network's bits: network_recv in network.c. */
static Outcome
put_address(Out *out, Span value, bool is_cidr)
{
    Span text = inside(value);
    uint8_t address[IPV6_BYTES];
    if (!is_string(value)) {
        return DECLINED;
    }
    bool is_ipv6 = memchr(text.start, ':', (size_t)(text.end - text.start)) != NULL;
    unsigned size = is_ipv6 ? IPV6_BYTES : IPV4_BYTES, bits = 8 * size;
    Text p = is_ipv6 ? read_ipv6(text.start, text.end, address)
                     : read_ipv4(text.start, text.end, address);
    if (p != NULL && p < text.end) {
        p = *p == '/' ? read_small(p + 1, text.end, 8 * size, &bits) : NULL;
    }
    if (p != text.end || (is_cidr && has_host_bits(address, size, bits))) {
        return DECLINED;
    }
    if (!room(out, 8 + size)) {
        return NO_MEMORY;
    }
    put_32(out, 4 + size);
    *out->at++ = is_ipv6 ? IPV6_FAMILY : IPV4_FAMILY;
    *out->at++ = (uint8_t)bits;
    *out->at++ = is_cidr;
    *out->at++ = (uint8_t)size;
    memcpy(out->at, address, size);
    out->at += size;
    return PACKED;
}

static Outcome
put_inet(Out *out, const Column *Py_UNUSED(column), Span value)
{
    return put_address(out, value, false);
}

static Outcome
put_cidr(Out *out, const Column *Py_UNUSED(column), Span value)
{
    return put_address(out, value, true);
}

/* ---- all kinds ------------------------------------------------------------------------------ */

/* By the name of the kind; the oid, of pg_type.dat, is that in an array of such elements. */
static const struct {
    const char *name;
    Put put;
    uint32_t oid;
} kinds[] = {
    {"bool", put_bool, 16},           {"bpchar", put_text, 1042},
    {"bytea", put_bytea, 17},         {"cidr", put_cidr, 650},
    {"citext", put_text, NO_OID},     {"date", put_date, 1082},
    {"enum", put_enum, NO_OID},       {"float4", put_float4, 700},
    {"float8", put_float8, 701},      {"inet", put_inet, 869},
    {"int2", put_int2, 21},           {"int4", put_int4, 23},
    {"int8", put_int8, 20},           {"interval", put_interval, 1186},
    {"json", put_json, 114},          {"jsonb", put_jsonb, 3802},
    {"numeric", put_numeric, 1700},   {"text", put_text, 25},
    {"time", put_time, 1083},         {"timestamp", put_timestamp, 1114},
    {"timestamptz", put_timestamptz, 1184}, {"uuid", put_uuid, 2950},
    {"varchar", put_text, 1043},
};

bool
choose_put(Column *column, const char *kind)
{
    size_t size = strlen(kind);
    bool is_array = size > 2 && strcmp(kind + size - 2, "[]") == 0;
    size -= is_array ? 2 : 0;
    for (size_t n = 0; n < sizeof kinds / sizeof *kinds; n++) {
        if (strlen(kinds[n].name) == size && memcmp(kinds[n].name, kind, size) == 0) {
            column->put = is_array ? put_array : kinds[n].put;
            column->put_element = kinds[n].put;
            column->element_oid = kinds[n].oid;
            return !is_array || kinds[n].oid != NO_OID;
        }
    }
    return false;
}

bool
prepare_values(void)
{
#ifdef _WIN32
    c_locale = c_locale ? c_locale : _create_locale(LC_NUMERIC, "C");
#else
    c_locale = c_locale ? c_locale : newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
#endif
    return c_locale != 0;
}
