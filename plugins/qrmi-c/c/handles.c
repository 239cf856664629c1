/* Resources: making and freeing them, and what the handle itself knows. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

static atomic_uint_fast64_t handles;

void qi_texts_free(qi_texts *texts)
{
    for (size_t number = 0; number < texts->number; number++)
        free((void *)(uintptr_t)texts->fields[number].text);
    free(texts->fields);
    *texts = (qi_texts){0};
}

static bool texts_make(qi_texts *texts, size_t number)
{
    texts->fields = calloc(number + 1, sizeof *texts->fields);
    texts->number = texts->fields == NULL ? 0 : number;
    return texts->fields != NULL;
}

static bool texts_set(qi_texts *texts, size_t number, const char *text)
{
    texts->fields[number] = qi_text(text ? qi_copy(text) : NULL);
    return texts->fields[number].text != NULL;
}

bool qi_texts_copy(qi_texts *texts, size_t skipped, const qi_field *from, size_t number)
{
    bool done = texts_make(texts, skipped + number);
    for (size_t field = 0; done && field < number; field++)
        done = texts_set(texts, skipped + field, from[field].text);
    if (!done)
        qi_texts_free(texts);
    return done;
}

bool qi_pairs_copy(qi_texts *texts, size_t skipped, const QrmiEnvironmentVariables *pairs)
{
    bool done = texts_make(texts, skipped + 2 * pairs->length);
    for (size_t pair = 0; done && pair < pairs->length; pair++)
        done = texts_set(texts, skipped + 2 * pair, pairs->variables[pair].key) &&
               texts_set(texts, skipped + 2 * pair + 1, pairs->variables[pair].value);
    if (!done)
        qi_texts_free(texts);
    return done;
}

bool qi_environment_copy(qi_texts *texts, size_t skipped)
{
    size_t number = 0;
    while (environ != NULL && environ[number] != NULL)
        number++;
    bool done = texts_make(texts, skipped + number);
    for (size_t entry = 0; done && entry < number; entry++)
        done = texts_set(texts, skipped + entry, environ[entry]);
    if (!done)
        qi_texts_free(texts);
    return done;
}

static void discard(QrmiQuantumResource *resource)
{
    qi_texts_free(&resource->open);
    free(resource->id);
    free(resource);
}

QrmiQuantumResource *qi_resource_new(const char *id, QrmiResourceType type, const char *source,
                                     qi_texts *settings)
{
    const char *word = qi_type_string(type);
    if (word == NULL) {
        qi_texts_free(settings);
        qi_fail(QRMI_RETURN_CODE_UNSUPPORTED_RESOURCE_TYPE_ERROR, "no resource type has the number %d",
                (int)type);
        return NULL;
    }
    QrmiQuantumResource *resource = calloc(1, sizeof *resource);
    if (resource == NULL) {
        qi_texts_free(settings);
        qi_fail_memory();
        return NULL;
    }
    resource->open = *settings;
    resource->type = type;
    resource->id = qi_copy(id);
    snprintf(resource->number, sizeof resource->number, "%llu",
             (unsigned long long)atomic_fetch_add(&handles, 1) + 1);
    bool done = resource->id && texts_set(&resource->open, 0, resource->number) &&
                texts_set(&resource->open, 1, id) && texts_set(&resource->open, 2, word) &&
                texts_set(&resource->open, 3, source);
    if (!done)
        qi_fail_memory();
    qi_reply reply;
    if (done && qi_call(resource, QI_OPEN, NULL, 0, &reply) == QRMI_RETURN_CODE_SUCCESS) {
        qi_reply_free(&reply);
        return resource;
    }
    discard(resource);
    return NULL;
}

QrmiQuantumResource *qrmi_resource_new(const char *resource_id, QrmiResourceType type)
{
    if (resource_id == NULL)
        return NULL;
    qi_texts settings;
    if (!qi_environment_copy(&settings, QI_OPEN_SETTINGS)) {
        qi_fail_memory();
        return NULL;
    }
    return qi_resource_new(resource_id, type, "env", &settings);
}

QrmiQuantumResource *qrmi_resource_new_from_config(const char *resource_id, QrmiResourceType type,
                                                   const QrmiConfigMap *config)
{
    if (resource_id == NULL)
        return NULL;
    qi_texts settings;
    if (config == NULL || !qi_pairs_copy(&settings, QI_OPEN_SETTINGS, config)) {
        qi_fail(QRMI_RETURN_CODE_ERROR,
                config == NULL ? "config is NULL" : "a key or value is NULL, or out of memory");
        return NULL;
    }
    return qi_resource_new(resource_id, type, "map", &settings);
}

QrmiReturnCode qrmi_resource_free(QrmiQuantumResource *resource)
{
    if (resource == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    qi_forget(resource);
    discard(resource);
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qi_resources_free(QrmiQuantumResources *resources)
{
    if (resources == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    for (size_t number = 0; number < resources->length; number++)
        qrmi_resource_free(resources->resources[number]);
    free(resources->resources);
    *resources = (QrmiQuantumResources){0};
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_resource_id(QrmiQuantumResource *resource, char **outp)
{
    if (resource == NULL || outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    *outp = qi_copy(resource->id);
    return *outp == NULL ? qi_fail_memory() : QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_resource_type(QrmiQuantumResource *resource, QrmiResourceType *outp)
{
    if (resource == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    if (outp == NULL)
        return QRMI_RETURN_CODE_ERROR;
    *outp = resource->type;
    return QRMI_RETURN_CODE_SUCCESS;
}
