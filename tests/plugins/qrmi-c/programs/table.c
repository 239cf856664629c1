/* Calls every function with NULL and with wrong arguments, and prints the codes. */
#define _GNU_SOURCE
#include "qrmi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODE(name, call) printf("%s: %d\n", name, (int)(call))
#define NULL_OF(name, call) printf("%s: %s\n", name, (call) == NULL ? "NULL" : "not NULL")

static int records;

static void count(const char *level, const char *target, const char *message)
{
    (void)target;
    if (strstr(message, "top-secret") != NULL)
        puts("a secret in a record");
    records += strcmp(level, "ERROR") == 0;
}

static void print_error(const char *name)
{
    char *reason = qrmi_get_last_error();
    printf("%s: %d %s\n", name, (int)qrmi_get_last_error_kind(), reason ? reason : "none");
    free(reason);
}

static void nulls(QrmiQuantumResource *one)
{
    bool flag;
    char *text;
    char **texts;
    size_t size;
    uint64_t number;
    QrmiResourceType type;
    QrmiTaskStatus task;
    QrmiPayload payload = {.tag = QRMI_PAYLOAD_OQTOPUS, .OQTOPUS = {NULL}};
    QrmiResourceStatus *status;
    QrmiResourceStatusCode code;
    QrmiResourceCapacity *capacity;
    QrmiResourceMetadata *metadata;
    QrmiQuantumResources resources;
    QrmiQuantumResource *found;
    CODE("log_callback_set()", qrmi_log_callback_set(NULL));
    CODE("string_free()", qrmi_string_free(NULL));
    CODE("string_array_free()", qrmi_string_array_free(0, NULL));
    NULL_OF("config_load()", qrmi_config_load(NULL));
    CODE("config_free()", qrmi_config_free(NULL));
    NULL_OF("config_resource_def_get()", qrmi_config_resource_def_get(NULL, "x"));
    CODE("config_resource_def_free()", qrmi_config_resource_def_free(NULL));
    CODE("config_resource_names_get()", qrmi_config_resource_names_get(NULL, &size, &texts));
    CODE("config_resource_type_from_str()", qrmi_config_resource_type_from_str(NULL, &type));
    CODE("config_resource_type_from_str(, NULL)", qrmi_config_resource_type_from_str("bench", NULL));
    NULL_OF("resource_new()", qrmi_resource_new(NULL, QRMI_RESOURCE_TYPE_PASQAL_CLOUD));
    CODE("resource_free()", qrmi_resource_free(NULL));
    CODE("is_accessible()", qrmi_resource_is_accessible(NULL, &flag));
    CODE("is_accessible(, NULL)", qrmi_resource_is_accessible(one, NULL));
    CODE("id()", qrmi_resource_id(NULL, &text));
    CODE("id(, NULL)", qrmi_resource_id(one, NULL));
    CODE("type()", qrmi_resource_type(NULL, &type));
    CODE("type(, NULL)", qrmi_resource_type(one, NULL));
    CODE("status()", qrmi_resource_status(NULL, &status));
    CODE("status(, NULL)", qrmi_resource_status(one, NULL));
    CODE("acquire()", qrmi_resource_acquire(NULL, &text));
    CODE("acquire(, NULL)", qrmi_resource_acquire(one, NULL));
    CODE("release()", qrmi_resource_release(NULL, "x"));
    CODE("release(, NULL)", qrmi_resource_release(one, NULL));
    CODE("target()", qrmi_resource_target(NULL, &text));
    CODE("metadata()", qrmi_resource_metadata(NULL, &metadata));
    CODE("metadata(, NULL)", qrmi_resource_metadata(one, NULL));
    CODE("metadata_free()", qrmi_resource_metadata_free(NULL));
    NULL_OF("metadata_value()", qrmi_resource_metadata_value(NULL, "x"));
    CODE("metadata_keys()", qrmi_resource_metadata_keys(NULL, &size, &texts));
    CODE("status_free()", qrmi_resource_status_free(NULL));
    CODE("status_code()", qrmi_resource_status_code(NULL, &code));
    NULL_OF("status_reason()", qrmi_resource_status_reason(NULL));
    CODE("status_healthy()", qrmi_resource_status_healthy(NULL, &flag));
    CODE("status_busy()", qrmi_resource_status_busy(NULL, &flag));
    CODE("status_pending_job_count()", qrmi_resource_status_pending_job_count(NULL, &number));
    CODE("status_capacity()", qrmi_resource_status_capacity(NULL, &capacity));
    CODE("capacity_free()", qrmi_resource_capacity_free(NULL));
    CODE("task_start()", qrmi_resource_task_start(NULL, &payload, &text));
    CODE("task_start(, NULL)", qrmi_resource_task_start(one, NULL, &text));
    CODE("task_start(, , NULL)", qrmi_resource_task_start(one, &payload, NULL));
    CODE("task_stop()", qrmi_resource_task_stop(NULL, "x"));
    CODE("task_stop(, NULL)", qrmi_resource_task_stop(one, NULL));
    CODE("task_status()", qrmi_resource_task_status(NULL, "x", &task));
    CODE("task_status(, NULL)", qrmi_resource_task_status(one, NULL, &task));
    CODE("task_result()", qrmi_resource_task_result(NULL, "x", &text));
    CODE("task_result(, NULL)", qrmi_resource_task_result(one, NULL, &text));
    CODE("task_logs()", qrmi_resource_task_logs(NULL, "x", &text));
    CODE("task_logs(, NULL)", qrmi_resource_task_logs(one, NULL, &text));
    CODE("provider_free()", qrmi_provider_free(NULL));
    CODE("provider_resources()", qrmi_provider_resources(NULL, NULL, &resources));
    CODE("provider_resources_free()", qrmi_provider_resources_free(NULL));
    CODE("provider_least_busy()", qrmi_provider_least_busy(NULL, NULL, &found));
    CODE("service_resources()", qrmi_service_resources(NULL));
    CODE("service_resources_free()", qrmi_service_resources_free(NULL));
    CODE("last_error_kind()", qrmi_get_last_error_kind());
    NULL_OF("last_error()", qrmi_get_last_error());
}

static void failures(QrmiQuantumResource *one, QrmiResourceType type)
{
    char *text = NULL;
    QrmiResourceType other;
    QrmiTaskStatus task;
    QrmiKeyValue bad[] = {{(char *)(uintptr_t) "BENCH_BYTES", (char *)(uintptr_t) "none"},
                          {(char *)(uintptr_t) "BENCH_FOLDER", (char *)(uintptr_t) "/"}};
    QrmiEnvironmentVariables none = {NULL, 0}, malformed = {bad, 2};
    QrmiQuantumResources resources;
    QrmiPayload wrong = {.tag = QRMI_PAYLOAD_OQTOPUS, .OQTOPUS = {(char *)(uintptr_t) "{}"}};
    QrmiPayload bytes = {.tag = QRMI_PAYLOAD_QISKIT_PRIMITIVE,
                         .QISKIT_PRIMITIVE = {(char *)(uintptr_t) "\xff", (char *)(uintptr_t) "x"}};
    qrmi_log_callback_set(count);
    CODE("unknown type", qrmi_config_resource_type_from_str("none", &other));
    print_error("unknown type");
    NULL_OF("a number of no type", qrmi_resource_new("x", (QrmiResourceType)900));
    print_error("a number of no type");
    NULL_OF("no plugin", qrmi_resource_new("x", QRMI_RESOURCE_TYPE_IQM_SERVER));
    CODE("no plugin", qrmi_get_last_error_kind());
    NULL_OF("no variables", qrmi_resource_new("x", QRMI_RESOURCE_TYPE_IBM_QUANTUM_SYSTEM));
    CODE("no variables", qrmi_get_last_error_kind());
    NULL_OF("no settings", qrmi_resource_new_from_config("x", type, &none));
    print_error("no settings");
    NULL_OF("malformed", qrmi_resource_new_from_config("x", type, &malformed));
    CODE("malformed", qrmi_get_last_error_kind());
    NULL_OF("no map", qrmi_resource_new_from_config("x", type, NULL));
    print_error("no map");
    NULL_OF("no file", qrmi_config_load("/nonexistent"));
    CODE("no file", qrmi_get_last_error_kind());
    CODE("logs", qrmi_resource_task_logs(one, "x", &text));
    CODE("payload", qrmi_resource_task_start(one, &wrong, &text));
    CODE("not UTF-8", qrmi_resource_task_start(one, &bytes, &text));
    CODE("task not UTF-8", qrmi_resource_task_status(one, "\xff", &task));
    CODE("queued", qrmi_resource_task_result(one, "queued", &text));
    CODE("failed", qrmi_resource_task_result(one, "failed", &text));
    CODE("unknown task", qrmi_resource_task_status(one, "unknown", &task));
    CODE("empty token", qrmi_resource_release(one, ""));
    CODE("no job", qrmi_service_resources(&resources));
    QrmiQuantumResource *busy = qrmi_resource_new("busy", type);
    CODE("busy", qrmi_resource_acquire(busy, &text));
    qrmi_resource_free(busy);
    QrmiResourceProvider *provider = qrmi_provider_new(type, &none);
    NULL_OF("provider", provider);
    CODE("provider", qrmi_get_last_error_kind());
    printf("records: %d\n", records);
}

static void successes(QrmiQuantumResource *one, QrmiResourceType type)
{
    bool flag = false;
    char *text = NULL;
    uint64_t number = 0;
    QrmiResourceStatus *status = NULL;
    QrmiResourceCapacity *capacity = NULL;
    QrmiKeyValue pair = {(char *)(uintptr_t) "BENCH_FOLDER", getenv("BENCH_FOLDER")};
    QrmiEnvironmentVariables settings = {&pair, 1};
    QrmiQuantumResources found = {NULL, 0};
    QrmiQuantumResource *least = NULL;
    CODE("status", qrmi_resource_status(one, &status));
    text = qrmi_resource_status_reason(status);
    printf("reason: %s\n", text);
    free(text);
    CODE("healthy", qrmi_resource_status_healthy(status, &flag));
    CODE("busy", qrmi_resource_status_busy(status, &flag));
    CODE("capacity", qrmi_resource_status_capacity(status, &capacity));
    CODE("pending", qrmi_resource_status_pending_job_count(status, &number));
    printf("pending: %d\n", (int)number);
    qrmi_resource_status_free(status);
    QrmiResourceProvider *provider = qrmi_provider_new(type, &settings);
    CODE("resources", qrmi_provider_resources(provider, NULL, &found));
    for (size_t at = 0; at < found.length; at++) {
        qrmi_resource_id(found.resources[at], &text);
        printf("found: %s\n", text);
        free(text);
    }
    qrmi_provider_resources_free(&found);
    CODE("filter", qrmi_provider_resources(provider, "nonsense", &found));
    CODE("least busy", qrmi_provider_least_busy(provider, "name=s*", &least));
    qrmi_resource_id(least, &text);
    printf("least busy: %s\n", text);
    free(text);
    qrmi_resource_free(least);
    CODE("none", qrmi_provider_least_busy(provider, "name=none", &least));
    NULL_OF("none", least);
    qrmi_provider_free(provider);
    setenv("QRMI_JOB_QPU_RESOURCES", "one", 1);
    setenv("QRMI_JOB_QPU_TYPES", "bench", 1);
    CODE("service", qrmi_service_resources(&found));
    printf("service: %d\n", (int)found.length);
    qrmi_service_resources_free(&found);
    QrmiConfig *config = qrmi_config_load(getenv("BENCH_CONFIG"));
    QrmiResourceDef *entry = qrmi_config_resource_def_get(config, "entry");
    printf("entry: %s %d %d %s=%s\n", entry->name, entry->type == type, entry->is_dynamic,
           entry->environments.variables[0].key, entry->environments.variables[0].value);
    qrmi_config_resource_def_free(entry);
    NULL_OF("no entry", qrmi_config_resource_def_get(config, "none"));
    qrmi_config_free(config);
}

int main(void)
{
    QrmiResourceType type;
    if (qrmi_config_resource_type_from_str("bench", &type) != QRMI_RETURN_CODE_SUCCESS)
        return 1;
    QrmiQuantumResource *one = qrmi_resource_new("one", type);
    if (one == NULL)
        return 1;
    nulls(one);
    failures(one, type);
    successes(one, type);
    qrmi_resource_free(one);
    return 0;
}
