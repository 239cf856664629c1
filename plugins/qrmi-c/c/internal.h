/* What the files of the library share.  Names with qi_ are not exported. */
#ifndef QRMI_INTERNAL_H
#define QRMI_INTERNAL_H

#define _GNU_SOURCE

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

#pragma GCC visibility push(default)
#include "qrmi.h"
#pragma GCC visibility pop

/* --- frames: what host and helper send each other; helper.py has the same numbers -------------- */

#define QI_PROTOCOL 1u
#define QI_MAX_FIELDS 1000000u
#define QI_NO_VALUE UINT64_MAX
#define QI_REPLY 0x80000000u
#define QI_LOG 0x40000000u

/* The helper's first bytes on each connection. */
struct qi_greeting {
    char magic[4];
    uint32_t version;
};

/* A frame is a header, `number` lengths of 8 bytes, and the texts, each with a zero byte after it. */
struct qi_header {
    uint32_t kind;
    uint32_t number;
    uint64_t body;
};

enum qi_operation {
    QI_OPEN = 1,
    QI_FREE = 2,
    QI_ACCESSIBLE = 3,
    QI_STATUS = 4,
    QI_ACQUIRE = 5,
    QI_RELEASE = 6,
    QI_START = 7,
    QI_STOP = 8,
    QI_TASK_STATUS = 9,
    QI_RESULT = 10,
    QI_LOGS = 11,
    QI_TARGET = 12,
    QI_METADATA = 13,
    QI_CONFIG = 14,
    QI_RESOURCES = 15,
    QI_SERVICE = 16,
    QI_PROVIDER = 17,
    QI_HAS_TYPE = 18
};

/* One text of a frame; NULL is no value. */
typedef struct qi_field {
    const char *text;
    size_t length;
} qi_field;

qi_field qi_text(const char *text);

/* The texts of a reply.  They lie in one block, each with a zero byte after it. */
typedef struct qi_reply {
    QrmiReturnCode code;
    size_t number;
    char **texts;
    char *block;
} qi_reply;

void qi_reply_free(qi_reply *reply);
/* Return the only text of a reply as a block of its own, without copying it; NULL if there is none. */
char *qi_reply_take(qi_reply *reply);

typedef enum qi_outcome {
    QI_DONE,
    /* The helper has not got the whole request. */
    QI_UNSENT,
    /* It has, and its reply is lost. */
    QI_LOST,
    /* There is no memory for the exchange; the connection cannot be used any more. */
    QI_NO_MEMORY
} qi_outcome;

qi_outcome qi_exchange(int descriptor, uint32_t operation, const qi_field *fields, size_t number,
                       qi_reply *reply);

/* --- the helper ------------------------------------------------------------------------------- */

/* Return the path of the interpreter as a block of its own; NULL with a reason. */
char *qi_find_python(char *reason, size_t size);

/* Start the helper.  Return the control socket and the file of its messages (-1 if there is none);
   -1 with a reason. */
int qi_start(int *messages, char *reason, size_t size);

/* Hold the one lock of the library, for moments only. */
void qi_lock(void);
void qi_unlock(void);

/* Carry out an operation in the helper, on a resource if one is given, and record an error.
   A reply with the code 0 must be freed. */
QrmiReturnCode qi_call(QrmiQuantumResource *resource, enum qi_operation operation,
                       const qi_field *fields, size_t number, qi_reply *reply);

/* Tell a running helper that a resource is not used any more. */
void qi_forget(QrmiQuantumResource *resource);

/* --- errors and log --------------------------------------------------------------------------- */

QrmiReturnCode qi_fail(QrmiReturnCode code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
QrmiReturnCode qi_fail_memory(void);
void qi_log(const char *level, const char *target, const char *message);
char *qi_copy(const char *text);

/* --- handles ---------------------------------------------------------------------------------- */

/* Copies of texts, with their array. */
typedef struct qi_texts {
    size_t number;
    qi_field *fields;
} qi_texts;

struct QrmiQuantumResource {
    char *id;
    QrmiResourceType type;
    /* The fields of its OPEN: number, id, type, source of settings, token, settings. */
    qi_texts open;
    char number[24];
    /* The helper that has it open. */
    atomic_uint_fast64_t generation;
};

enum { QI_OPEN_TOKEN = 4, QI_OPEN_SETTINGS = 5 };

void qi_texts_free(qi_texts *texts);
/* Copy texts behind the first `skipped` fields, which are left NULL; false without memory. */
bool qi_texts_copy(qi_texts *texts, size_t skipped, const qi_field *from, size_t number);
/* Copy pairs, or the environment; false without memory, or for a NULL in a pair. */
bool qi_pairs_copy(qi_texts *texts, size_t skipped, const QrmiEnvironmentVariables *pairs);
bool qi_environment_copy(qi_texts *texts, size_t skipped);

/* Make a resource of a copy of its settings, which it keeps or frees. */
QrmiQuantumResource *qi_resource_new(const char *id, QrmiResourceType type, const char *source,
                                     qi_texts *settings);
QrmiReturnCode qi_resources_free(QrmiQuantumResources *resources);

/* The string of a type, NULL for a number of no type.  It stays as long as the process. */
const char *qi_type_string(QrmiResourceType type);
/* The number of a type that has this string; a new one gets the next number.  -1 for one that is
   empty, has 64 bytes or more, or finds no number. */
int qi_type_number(const char *text);

#endif
