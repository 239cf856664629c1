/*
 * QRMI, the Quantum Resource Management Interface, for C and C++.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The functions, numbers and structures are those of the published library of the version below.
 *
 * Processes.  The first function that needs a driver starts one helper process, which runs Python
 * and the installed plugins; the program itself holds no Python.  The helper ends with the program,
 * and when it has been idle for a minute; the next call starts another one.
 *
 * Return codes.  A function that returns a QrmiReturnCode returns 0 if it succeeded.  A NULL handle
 * or a NULL place for a result is QRMI_RETURN_CODE_NULL_POINTER_ERROR, unless the function says
 * otherwise; such a call does nothing and leaves the last error alone.  After any other failure
 * qrmi_get_last_error() has the reason.  Any function that talks to the helper can return
 * QRMI_RETURN_CODE_ERROR, for an error of a vendor's service or of the helper; where the call may
 * nevertheless have taken effect the reason says so.
 *
 * Ownership.  What a function hands out belongs to the caller, who frees it with the function named;
 * every text is a block of malloc() and is freed with qrmi_string_free().  Arguments are copied
 * before the function returns.
 *
 * Threads.  Any function may be called from any thread at any time, and calls on one handle run side
 * by side.  Freeing is the exception: nobody may use what is freed, then or later.  The last error
 * belongs to the thread.
 *
 * Forks.  A forked child may use all handles; it gets a helper of its own.
 */
#ifndef QRMI_H
#define QRMI_H

/* Programs for the published header rely on what it includes, stdarg.h and stdlib.h among it. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define QRMI_VERSION_MAJOR 0
#define QRMI_VERSION_MINOR 26
#define QRMI_VERSION_PATCH 4
/** The number of a version, which may be compared. */
#define QRMI_VERSION_NUMERIC(M, m, p) ((M) << 16 | (m) << 8 | (p))
/** The number of this version. */
#define QRMI_VERSION \
    QRMI_VERSION_NUMERIC(QRMI_VERSION_MAJOR, QRMI_VERSION_MINOR, QRMI_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/* --- values ---------------------------------------------------------------------------------- */

/** The result of a call. */
typedef enum QrmiReturnCode {
    QRMI_RETURN_CODE_SUCCESS = 0,
    /** The call failed, for a reason that has no code of its own. */
    QRMI_RETURN_CODE_ERROR = 100,
    /** A handle or an argument is NULL. */
    QRMI_RETURN_CODE_NULL_POINTER_ERROR = 101,
    /** Environment variables are not set; the reason names all of them. */
    QRMI_RETURN_CODE_ENV_VAR_NOT_SET_ERROR = 102,
    /** A setting is malformed. */
    QRMI_RETURN_CODE_PARSE_ERROR = 103,
    /** No installed plugin has this resource type, or it cannot discover resources. */
    QRMI_RETURN_CODE_UNSUPPORTED_RESOURCE_TYPE_ERROR = 104,
    /** The resource does not have this function, or does not report this value. */
    QRMI_RETURN_CODE_UNSUPPORTED_FUNCTION_ERROR = 105,
    /** The resource does not accept this kind of payload. */
    QRMI_RETURN_CODE_UNSUPPORTED_PAYLOAD_ERROR = 106,
    /** The task has no result: not yet, or it failed or was cancelled. */
    QRMI_RETURN_CODE_TASK_NOT_READY_ERROR = 107,
    /** Settings are missing in a mapping; the reason names all of them. */
    QRMI_RETURN_CODE_MISSING_CONFIG_KEY_ERROR = 108,
    /** An argument, a payload or a filter is wrong. */
    QRMI_RETURN_CODE_INVALID_INPUT_ERROR = 109,
    /** The vendor has no such resource. */
    QRMI_RETURN_CODE_RESOURCE_NOT_FOUND_ERROR = 111,
    /** The vendor has no such task. */
    QRMI_RETURN_CODE_TASK_NOT_FOUND_ERROR = 112,
    /** The vendor refused the credential. */
    QRMI_RETURN_CODE_AUTHENTICATION_FAILED_ERROR = 113,
    /** A configuration file, or settings taken together, are wrong. */
    QRMI_RETURN_CODE_INVALID_CONFIG_ERROR = 114
} QrmiReturnCode;

/**
 * The type of a resource.  Types of plugins that are not published have numbers from
 * QRMI_RESOURCE_TYPE_OTHER up, which hold within one process; use their strings elsewhere.
 */
typedef enum QrmiResourceType {
    QRMI_RESOURCE_TYPE_IBM_QUANTUM_SYSTEM = 0,
    QRMI_RESOURCE_TYPE_QISKIT_RUNTIME_SERVICE = 1,
    QRMI_RESOURCE_TYPE_IBM_QUANTUM_COMPUTE_SERVICE = 2,
    QRMI_RESOURCE_TYPE_PASQAL_CLOUD = 3,
    QRMI_RESOURCE_TYPE_PASQAL_LOCAL = 4,
    QRMI_RESOURCE_TYPE_ALICE_BOB_FELIS = 5,
    QRMI_RESOURCE_TYPE_IQM_SERVER = 6,
    QRMI_RESOURCE_TYPE_OQTOPUS = 7,
    /** The first number of other types. */
    QRMI_RESOURCE_TYPE_OTHER = 512,
    /** The last number of other types. */
    QRMI_RESOURCE_TYPE_OTHER_LAST = 1023
} QrmiResourceType;

/** The availability of a resource. */
typedef enum QrmiResourceStatusCode {
    /** It runs tasks. */
    QRMI_RESOURCE_STATUS_CODE_ONLINE = 0,
    /** It cannot be reached, or is retired. */
    QRMI_RESOURCE_STATUS_CODE_OFFLINE = 1,
    /** It can be reached, but does not run tasks for now. */
    QRMI_RESOURCE_STATUS_CODE_PAUSED = 2
} QrmiResourceStatusCode;

/** The state of a task. */
typedef enum QrmiTaskStatus {
    QRMI_TASK_STATUS_QUEUED = 0,
    QRMI_TASK_STATUS_RUNNING = 1,
    /** Ended with a result. */
    QRMI_TASK_STATUS_COMPLETED = 2,
    /** Ended without a result. */
    QRMI_TASK_STATUS_FAILED = 3,
    /** Ended because somebody stopped it. */
    QRMI_TASK_STATUS_CANCELLED = 4
} QrmiTaskStatus;

/** A configuration file that has been read. */
typedef struct QrmiConfig QrmiConfig;
/** A quantum resource. */
typedef struct QrmiQuantumResource QrmiQuantumResource;
/** Facts about a resource, by their keys. */
typedef struct QrmiResourceMetadata QrmiResourceMetadata;
/** The resources that one account reaches. */
typedef struct QrmiResourceProvider QrmiResourceProvider;
/** The present state of a resource. */
typedef struct QrmiResourceStatus QrmiResourceStatus;

/** One setting. */
typedef struct QrmiKeyValue {
    char *key;
    char *value;
} QrmiKeyValue;

/** Settings with unprefixed keys, such as QRMI_IBM_QCS_ENDPOINT. */
typedef struct QrmiEnvironmentVariables {
    QrmiKeyValue *variables;
    size_t length;
} QrmiEnvironmentVariables;

/** The same, for qrmi_resource_new_from_config(). */
typedef QrmiEnvironmentVariables QrmiConfigMap;

/** One entry of a configuration file. */
typedef struct QrmiResourceDef {
    /** The name of the resource. */
    char *name;
    QrmiResourceType type;
    /** True if the entry is not a resource but the settings for discovery. */
    bool is_dynamic;
    QrmiEnvironmentVariables environments;
} QrmiResourceDef;

/** How many tasks a resource takes at the same time. */
typedef struct QrmiResourceCapacity {
    /** The slots that are free. */
    uint64_t available_slots;
    /** The slots that there are. */
    uint64_t max_slots;
} QrmiResourceCapacity;

/** The resources found; the array and the handles in it belong together. */
typedef struct QrmiQuantumResources {
    QrmiQuantumResource **resources;
    size_t length;
} QrmiQuantumResources;

/** Which member of a payload is set. */
typedef enum QrmiPayload_Tag {
    QRMI_PAYLOAD_QISKIT_PRIMITIVE = 0,
    QRMI_PAYLOAD_PASQAL_CLOUD = 1,
    QRMI_PAYLOAD_ALICE_BOB_FELIS = 2,
    QRMI_PAYLOAD_IQM_SERVER = 3,
    QRMI_PAYLOAD_OQTOPUS = 4
} QrmiPayload_Tag;

/** The input of a Qiskit primitive. */
typedef struct QrmiPayload_QiskitPrimitive_Body {
    /** The primitive's parameters, JSON. */
    char *input;
    /** The primitive: "sampler" or "estimator". */
    char *program_id;
} QrmiPayload_QiskitPrimitive_Body;

/** A Pulser sequence. */
typedef struct QrmiPayload_PasqalCloud_Body {
    /** The sequence in Pulser's abstract representation, JSON. */
    char *sequence;
    /** How often to run it, at least 1. */
    int32_t job_runs;
} QrmiPayload_PasqalCloud_Body;

/** A program for Alice & Bob's Felis. */
typedef struct QrmiPayload_AliceBobFelis_Body {
    /** The program in QIR. */
    char *human_qir;
    /** The target's parameters, JSON. */
    char *input_params;
} QrmiPayload_AliceBobFelis_Body;

/** A job for an IQM server. */
typedef struct QrmiPayload_IQMServer_Body {
    /** The body of the request, JSON. */
    char *iqmjson;
    /** The type of the job, such as "circuit". */
    char *job_type;
    /** 1 to use the account's timeslot queue. */
    int use_timeslot;
    /** A label, or NULL. */
    char *tag;
} QrmiPayload_IQMServer_Body;

/** A job for OQTOPUS. */
typedef struct QrmiPayload_Oqtopus_Body {
    /** The description of the job, JSON. */
    char *job_spec;
} QrmiPayload_Oqtopus_Body;

/** The program of a task. */
typedef struct QrmiPayload {
    QrmiPayload_Tag tag;
    union {
        QrmiPayload_QiskitPrimitive_Body QISKIT_PRIMITIVE;
        QrmiPayload_PasqalCloud_Body PASQAL_CLOUD;
        QrmiPayload_AliceBobFelis_Body ALICE_BOB_FELIS;
        QrmiPayload_IQMServer_Body IQM_SERVER;
        QrmiPayload_Oqtopus_Body OQTOPUS;
    };
} QrmiPayload;

/**
 * Takes a log record.  It is called on the thread whose call made the record, and may be called on
 * several at the same time; the texts end with the call.  It must not call a function of QRMI on a
 * handle that the same thread is using.
 *
 * @param level    "ERROR", "WARN", "INFO", "DEBUG" or "TRACE"
 * @param target   the module that made the record
 * @param message  the text
 */
typedef void (*QrmiLogCallback)(const char *level, const char *target, const char *message);

/* --- errors, log, texts ---------------------------------------------------------------------- */

/**
 * Send log records to a function in place of standard error.
 *
 * The variable RUST_LOG chooses the records: a level ("error", "warn", "info", "debug", "trace",
 * "off"; by default "warn"), or module=level, several joined by commas.  Each error of a function
 * is a record of level ERROR, too.
 *
 * @param callback  the function, for the whole process; NULL for standard error again
 * @return 0 always
 */
QrmiReturnCode qrmi_log_callback_set(QrmiLogCallback callback);

/**
 * Return the reason of the last failure on this thread.
 *
 * It is not cleared by a success.
 *
 * @return a new copy each time, freed with qrmi_string_free(); NULL if there was no failure
 */
char *qrmi_get_last_error(void);

/**
 * Return the code of the last failure on this thread.
 *
 * @return a code of QrmiReturnCode; 100 if there was no failure, or one without a code of its own
 */
QrmiReturnCode qrmi_get_last_error_kind(void);

/**
 * Free a text.
 *
 * @param ptr  a text that a function handed out, or any other block of malloc()
 */
QrmiReturnCode qrmi_string_free(char *ptr);

/**
 * Free an array of texts, and the texts.
 *
 * @param size   the number of texts
 * @param array  an array that a function handed out
 */
QrmiReturnCode qrmi_string_array_free(size_t size, char *array[]);

/* --- configuration files --------------------------------------------------------------------- */

/**
 * Read a configuration file, and check it as a whole.
 *
 * @param filename  the path, absolute or relative to the working directory
 * @return a handle, freed with qrmi_config_free(); NULL after a failure (114: the file cannot be
 *         read, is malformed, or has a type of no plugin)
 */
QrmiConfig *qrmi_config_load(const char *filename);

/** Free a configuration; entries that were copied from it stay. */
QrmiReturnCode qrmi_config_free(QrmiConfig *config);

/**
 * Return a copy of one entry.
 *
 * @param config       the configuration
 * @param resource_id  the name of the entry
 * @return the copy, freed with qrmi_config_resource_def_free(); NULL if there is no such entry,
 *         which leaves the last error alone
 */
QrmiResourceDef *qrmi_config_resource_def_get(QrmiConfig *config, const char *resource_id);

/** Free a copy of an entry, with its name and settings. */
QrmiReturnCode qrmi_config_resource_def_free(QrmiResourceDef *def);

/**
 * Return the names of all entries, in the order of the file.
 *
 * @param config  the configuration
 * @param size    gets the number of names
 * @param names   gets the array, freed with qrmi_string_array_free()
 */
QrmiReturnCode qrmi_config_resource_names_get(QrmiConfig *config, size_t *size, char **names[]);

/**
 * Return the string of a resource type, as configuration files have it.
 *
 * @return the string, freed with qrmi_string_free() in spite of const; NULL for a number of no type
 */
const char *qrmi_config_resource_type_to_str(QrmiResourceType type);

/**
 * Return the resource type of a string, that of any installed plugin included.
 *
 * @param text  the string, such as "pasqal-cloud"
 * @param type  gets the type
 * @return 109 if no type has this string
 */
QrmiReturnCode qrmi_config_resource_type_from_str(const char *text, QrmiResourceType *type);

/* --- resources ------------------------------------------------------------------------------- */

/**
 * Make a resource with settings from the environment, ID_KEY or KEY; contacts no service.
 *
 * The environment is read now, as it is at this moment.
 *
 * @param resource_id  the vendor's name of the resource
 * @param type         its type
 * @return a handle, freed with qrmi_resource_free(); NULL after a failure (102: variables are not
 *         set; 103: malformed; 104: no plugin has this type)
 */
QrmiQuantumResource *qrmi_resource_new(const char *resource_id, QrmiResourceType type);

/**
 * Make a resource with settings from a mapping; the environment is not read for them.
 *
 * @param resource_id  the vendor's name of the resource
 * @param type         its type
 * @param config       settings with unprefixed keys, such as those of an entry of a file
 * @return as qrmi_resource_new(), with 108 for settings that are missing
 */
QrmiQuantumResource *qrmi_resource_new_from_config(const char *resource_id, QrmiResourceType type,
                                                   const QrmiConfigMap *config);

/** Free a resource.  It is not released. */
QrmiReturnCode qrmi_resource_free(QrmiQuantumResource *resource);

/**
 * Return true if the resource runs tasks now: one request.  Deprecated: use qrmi_resource_status().
 *
 * @param resource  the resource
 * @param outp      gets the value; false is no failure
 * @return 100 if outp is NULL
 */
QrmiReturnCode qrmi_resource_is_accessible(QrmiQuantumResource *resource, bool *outp);

/**
 * Return the id of the resource, as given; no request.
 *
 * @param resource  the resource
 * @param outp      gets the id, freed with qrmi_string_free()
 */
QrmiReturnCode qrmi_resource_id(QrmiQuantumResource *resource, char **outp);

/**
 * Return the type of the resource; no request.
 *
 * @param resource  the resource
 * @param outp      gets the type
 * @return 100 if outp is NULL
 */
QrmiReturnCode qrmi_resource_type(QrmiQuantumResource *resource, QrmiResourceType *outp);

/**
 * Return the present state of the resource: one request.
 *
 * @param resource  the resource
 * @param outp      gets the state, freed with qrmi_resource_status_free()
 */
QrmiReturnCode qrmi_resource_status(QrmiQuantumResource *resource, QrmiResourceStatus **outp);

/**
 * Reserve the resource, without waiting for one that is busy.
 *
 * In a job of a scheduler that has reserved it this is the scheduler's token.  Where the resource
 * cannot be reserved it is a token that stands for nothing.  A reservation that the service ties to
 * a process ends when the program does.
 *
 * @param resource           the resource
 * @param acquisition_token  gets the token, freed with qrmi_string_free()
 * @return 100 if the resource is busy; also if the helper ended, and the resource may be reserved
 */
QrmiReturnCode qrmi_resource_acquire(QrmiQuantumResource *resource, char **acquisition_token);

/**
 * End a reservation.
 *
 * A token that this program acquired is released, also through another handle and also if the
 * program has passed it on as ID_QRMI_JOB_ACQUISITION_TOKEN; the token of a scheduler is left alone.
 * A token that has ended, is unknown or is empty is no failure.
 *
 * @param resource           the resource
 * @param acquisition_token  the token
 * @return 100 if acquisition_token is NULL; also if the helper ended, and it is not known whether
 *         the reservation has ended (it may be released again)
 */
QrmiReturnCode qrmi_resource_release(QrmiQuantumResource *resource, const char *acquisition_token);

/**
 * Return the description of the device for compilers, as the vendor sends it.
 *
 * @param resource  the resource
 * @param outp      gets the text, freed with qrmi_string_free()
 * @return 100 if resource is NULL; 105 if the vendor has none
 */
QrmiReturnCode qrmi_resource_target(QrmiQuantumResource *resource, char **outp);

/**
 * Return facts about the resource that need no request.
 *
 * @param resource  the resource
 * @param metadata  gets the facts, freed with qrmi_resource_metadata_free()
 */
QrmiReturnCode qrmi_resource_metadata(QrmiQuantumResource *resource,
                                      QrmiResourceMetadata **metadata);

/** Free facts about a resource. */
QrmiReturnCode qrmi_resource_metadata_free(QrmiResourceMetadata *metadata);

/**
 * Return one fact.
 *
 * @param metadata  the facts
 * @param key       its key
 * @return the value, freed with qrmi_string_free(); NULL if there is no such key
 */
char *qrmi_resource_metadata_value(QrmiResourceMetadata *metadata, const char *key);

/**
 * Return the keys of all facts.
 *
 * @param metadata  the facts
 * @param size      gets the number of keys
 * @param keys      gets the array, freed with qrmi_string_array_free()
 */
QrmiReturnCode qrmi_resource_metadata_keys(QrmiResourceMetadata *metadata, size_t *size,
                                           char **keys[]);

/* --- the state of a resource ----------------------------------------------------------------- */

/** Free a state. */
QrmiReturnCode qrmi_resource_status_free(QrmiResourceStatus *status);

/**
 * Return the availability.
 *
 * @param status  the state
 * @param outp    gets it
 */
QrmiReturnCode qrmi_resource_status_code(QrmiResourceStatus *status, QrmiResourceStatusCode *outp);

/**
 * Return the word for an availability, such as "online".
 *
 * @return a constant text, which is not freed; NULL for a number of no availability
 */
const char *qrmi_resource_status_code_to_string(QrmiResourceStatusCode code);

/**
 * Return the vendor's reason for the state.
 *
 * @return the text, freed with qrmi_string_free(); NULL if the vendor gives none
 */
char *qrmi_resource_status_reason(QrmiResourceStatus *status);

/**
 * Return true if the device works as it should.
 *
 * @param status  the state
 * @param outp    gets the value
 * @return 105 if the vendor does not report it
 */
QrmiReturnCode qrmi_resource_status_healthy(QrmiResourceStatus *status, bool *outp);

/**
 * Return true if the device is busy.
 *
 * @param status  the state
 * @param outp    gets the value
 * @return 105 if the vendor does not report it
 */
QrmiReturnCode qrmi_resource_status_busy(QrmiResourceStatus *status, bool *outp);

/**
 * Return the number of tasks that wait.
 *
 * @param status  the state
 * @param outp    gets the number
 * @return 105 if the vendor does not report it
 */
QrmiReturnCode qrmi_resource_status_pending_job_count(QrmiResourceStatus *status, uint64_t *outp);

/**
 * Return how many tasks the resource takes at the same time.
 *
 * @param status  the state
 * @param outp    gets the structure, freed with qrmi_resource_capacity_free()
 * @return 105 if the vendor does not report it
 */
QrmiReturnCode qrmi_resource_status_capacity(QrmiResourceStatus *status,
                                             QrmiResourceCapacity **outp);

/** Free a capacity. */
QrmiReturnCode qrmi_resource_capacity_free(QrmiResourceCapacity *capacity);

/* --- tasks ----------------------------------------------------------------------------------- */

/**
 * Submit a task, exactly once.
 *
 * @param resource  the resource
 * @param payload   the program
 * @param task_id   gets the id, freed with qrmi_string_free()
 * @return 106 or 109 for a wrong payload.  After any code but 100 no task was created; after 100
 *         none was either unless the reason says that it is not known
 */
QrmiReturnCode qrmi_resource_task_start(QrmiQuantumResource *resource, const QrmiPayload *payload,
                                        char **task_id);

/**
 * Ask to stop a task.
 *
 * @param resource  the resource
 * @param task_id   the task
 * @return 0 if the vendor has accepted the request; 100 if task_id is NULL; 112 for an unknown task
 */
QrmiReturnCode qrmi_resource_task_stop(QrmiQuantumResource *resource, const char *task_id);

/**
 * Poll a task once.
 *
 * @param resource  the resource
 * @param task_id   the task
 * @param outp      gets the state
 * @return 100 if task_id is NULL; 112 for an unknown task
 */
QrmiReturnCode qrmi_resource_task_status(QrmiQuantumResource *resource, const char *task_id,
                                         QrmiTaskStatus *outp);

/**
 * Return the result of a task that has completed, without waiting.
 *
 * @param resource  the resource
 * @param task_id   the task
 * @param outp      gets the result as the vendor sent it, freed with qrmi_string_free()
 * @return 100 if task_id is NULL; 107 if the task goes on, failed or was cancelled; 112 for an
 *         unknown task
 */
QrmiReturnCode qrmi_resource_task_result(QrmiQuantumResource *resource, const char *task_id,
                                         char **outp);

/**
 * Return the logs of a task.
 *
 * @param resource  the resource
 * @param task_id   the task
 * @param outp      gets the text, freed with qrmi_string_free()
 * @return 100 if task_id is NULL; 105 if the vendor has none; 112 for an unknown task
 */
QrmiReturnCode qrmi_resource_task_logs(QrmiQuantumResource *resource, const char *task_id,
                                       char **outp);

/* --- discovery ------------------------------------------------------------------------------- */

/**
 * Make the provider of the resources that one account reaches; contacts no service.
 *
 * @param type          the type of the resources
 * @param environments  settings with unprefixed keys
 * @return a handle, freed with qrmi_provider_free(); NULL after a failure (104: resources of this
 *         type cannot be discovered; 108: settings are missing)
 */
QrmiResourceProvider *qrmi_provider_new(QrmiResourceType type,
                                        const QrmiEnvironmentVariables *environments);

/** Free a provider; resources that it found stay. */
QrmiReturnCode qrmi_provider_free(QrmiResourceProvider *provider);

/**
 * Return the resources, the least busy first.
 *
 * @param provider  the provider
 * @param filters   key=value joined by &, such as "num_qubits=100&status=online"; NULL for all
 * @param outp      gets the resources, freed with qrmi_provider_resources_free()
 * @return 109 for a malformed filter
 */
QrmiReturnCode qrmi_provider_resources(QrmiResourceProvider *provider, const char *filters,
                                       QrmiQuantumResources *outp);

/** Free resources, with their handles, and set the structure to zero. */
QrmiReturnCode qrmi_provider_resources_free(QrmiQuantumResources *resources);

/**
 * Return the least busy resource.
 *
 * @param provider  the provider
 * @param filters   as for qrmi_provider_resources()
 * @param outp      gets the resource, freed with qrmi_resource_free(); NULL if none matches
 * @return 109 for a malformed filter
 */
QrmiReturnCode qrmi_provider_least_busy(QrmiResourceProvider *provider, const char *filters,
                                        QrmiQuantumResource **outp);

/**
 * Return the resources of this job that are online, in the order of QRMI_JOB_QPU_RESOURCES.
 *
 * @param outp  gets the resources, freed with qrmi_service_resources_free()
 * @return 102 outside of a job with quantum resources
 */
QrmiReturnCode qrmi_service_resources(QrmiQuantumResources *outp);

/** Free resources, with their handles, and set the structure to zero. */
QrmiReturnCode qrmi_service_resources_free(QrmiQuantumResources *resources);

#ifdef __cplusplus
}
#endif

#endif
