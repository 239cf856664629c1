/* Configuration files and the types of resources. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const published[] = {
    "ibm-quantum-system", "qiskit-runtime-service", "ibm-quantum-compute-service",
    "pasqal-cloud",       "pasqal-local",           "alice-bob-felis",
    "iqm-server",         "oqtopus",
};
#define PUBLISHED ((int)(sizeof published / sizeof *published))
#define OTHERS (QRMI_RESOURCE_TYPE_OTHER_LAST - QRMI_RESOURCE_TYPE_OTHER + 1)

/* The types of other plugins, in the order in which the process met them; under the lock. */
static char others[OTHERS][64];

const char *qi_type_string(QrmiResourceType type)
{
    int number = (int)type;
    if (number >= 0 && number < PUBLISHED)
        return published[number];
    if (number < QRMI_RESOURCE_TYPE_OTHER || number > QRMI_RESOURCE_TYPE_OTHER_LAST)
        return NULL;
    qi_lock();
    const char *found = others[number - QRMI_RESOURCE_TYPE_OTHER];
    qi_unlock();
    return found[0] == '\0' ? NULL : found;
}

int qi_type_number(const char *text)
{
    for (int number = 0; number < PUBLISHED; number++)
        if (strcmp(published[number], text) == 0)
            return number;
    int found = -1;
    if (text[0] == '\0' || strlen(text) >= sizeof *others)
        return found;
    qi_lock();
    for (int number = 0; number < OTHERS && found < 0; number++) {
        if (others[number][0] == '\0')
            strcpy(others[number], text);
        if (strcmp(others[number], text) == 0)
            found = QRMI_RESOURCE_TYPE_OTHER + number;
    }
    qi_unlock();
    return found;
}

const char *qrmi_config_resource_type_to_str(QrmiResourceType type)
{
    const char *word = qi_type_string(type);
    if (word == NULL) {
        qi_fail(QRMI_RETURN_CODE_INVALID_INPUT_ERROR, "no resource type has the number %d", (int)type);
        return NULL;
    }
    const char *copy = qi_copy(word);
    if (copy == NULL)
        qi_fail_memory();
    return copy;
}

QrmiReturnCode qrmi_config_resource_type_from_str(const char *text, QrmiResourceType *type)
{
    if (text == NULL || type == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    bool known = false;
    for (int number = 0; number < PUBLISHED && !known; number++)
        known = strcmp(published[number], text) == 0;
    if (!known) {
        qi_reply reply;
        qi_field field = qi_text(text);
        QrmiReturnCode code = qi_call(NULL, QI_HAS_TYPE, &field, 1, &reply);
        if (code != QRMI_RETURN_CODE_SUCCESS)
            return code;
        char *answer = qi_reply_take(&reply);
        known = answer != NULL && strcmp(answer, "1") == 0;
        free(answer);
    }
    if (!known)
        return qi_fail(QRMI_RETURN_CODE_INVALID_INPUT_ERROR, "unknown resource type: %s", text);
    int number = qi_type_number(text);
    if (number < 0)
        return qi_fail(QRMI_RETURN_CODE_INVALID_INPUT_ERROR, "too long, or one type too many: %s", text);
    *type = (QrmiResourceType)number;
    return QRMI_RETURN_CODE_SUCCESS;
}

/* --- files ------------------------------------------------------------------------------------ */

struct QrmiConfig {
    size_t length;
    QrmiResourceDef *entries;
};

static void clear_entry(QrmiResourceDef *entry)
{
    free(entry->name);
    for (size_t number = 0; number < entry->environments.length; number++) {
        free(entry->environments.variables[number].key);
        free(entry->environments.variables[number].value);
    }
    free(entry->environments.variables);
}

static bool fill_entry(QrmiResourceDef *entry, const char *name, QrmiResourceType type, bool dynamic,
                       size_t pairs)
{
    *entry = (QrmiResourceDef){.name = qi_copy(name), .type = type, .is_dynamic = dynamic};
    entry->environments.variables = calloc(pairs + 1, sizeof *entry->environments.variables);
    if (entry->environments.variables != NULL)
        entry->environments.length = pairs;
    return entry->name != NULL && entry->environments.variables != NULL;
}

static bool fill_pair(QrmiKeyValue *pair, const char *key, const char *value)
{
    pair->key = qi_copy(key);
    pair->value = qi_copy(value);
    return pair->key != NULL && pair->value != NULL;
}

/* Each entry has name, type, "1" if it is dynamic, the number of its pairs, and the pairs. */
static bool read_entries(QrmiConfig *config, const qi_reply *reply)
{
    config->entries = calloc(reply->number / 4 + 1, sizeof *config->entries);
    if (config->entries == NULL)
        return false;
    char **texts = reply->texts;
    for (size_t place = 0; place + 4 <= reply->number;) {
        size_t pairs = strtoul(texts[place + 3], NULL, 10);
        int type = qi_type_number(texts[place + 1]);
        QrmiResourceDef *entry = &config->entries[config->length++];
        if (!fill_entry(entry, texts[place], (QrmiResourceType)type,
                        strcmp(texts[place + 2], "1") == 0, pairs) ||
            type < 0)
            return false;
        place += 4;
        for (size_t pair = 0; pair < pairs; pair++, place += 2)
            if (!fill_pair(&entry->environments.variables[pair], texts[place], texts[place + 1]))
                return false;
    }
    return true;
}

/* Return the path from the root: the helper's working directory may be another. */
static char *from_root(const char *path)
{
    if (path[0] == '/')
        return qi_copy(path);
    char *folder = getcwd(NULL, 0);
    char *full = folder ? malloc(strlen(folder) + strlen(path) + 2) : NULL;
    if (full != NULL)
        sprintf(full, "%s/%s", folder, path);
    free(folder);
    return full;
}

QrmiConfig *qrmi_config_load(const char *filename)
{
    if (filename == NULL)
        return NULL;
    char *path = from_root(filename);
    QrmiConfig *config = calloc(1, sizeof *config);
    qi_reply reply = {.code = QRMI_RETURN_CODE_ERROR};
    if (path == NULL || config == NULL) {
        qi_fail_memory();
    } else {
        qi_field field = qi_text(path);
        reply.code = qi_call(NULL, QI_CONFIG, &field, 1, &reply);
    }
    free(path);
    if (reply.code == QRMI_RETURN_CODE_SUCCESS && config != NULL) {
        bool done = read_entries(config, &reply);
        qi_reply_free(&reply);
        if (done)
            return config;
        qi_fail_memory();
    }
    qrmi_config_free(config);
    return NULL;
}

QrmiReturnCode qrmi_config_free(QrmiConfig *config)
{
    if (config == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    for (size_t number = 0; number < config->length; number++)
        clear_entry(&config->entries[number]);
    free(config->entries);
    free(config);
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiResourceDef *qrmi_config_resource_def_get(QrmiConfig *config, const char *resource_id)
{
    const QrmiResourceDef *found = NULL;
    if (config == NULL || resource_id == NULL)
        return NULL;
    for (size_t number = 0; number < config->length; number++)
        if (strcmp(config->entries[number].name, resource_id) == 0)
            found = &config->entries[number];
    if (found == NULL)
        return NULL;
    QrmiResourceDef *copy = calloc(1, sizeof *copy);
    size_t pairs = found->environments.length;
    bool done = copy && fill_entry(copy, found->name, found->type, found->is_dynamic, pairs);
    for (size_t pair = 0; done && pair < pairs; pair++)
        done = fill_pair(&copy->environments.variables[pair],
                         found->environments.variables[pair].key,
                         found->environments.variables[pair].value);
    if (!done) {
        qrmi_config_resource_def_free(copy);
        qi_fail_memory();
        return NULL;
    }
    return copy;
}

QrmiReturnCode qrmi_config_resource_def_free(QrmiResourceDef *def)
{
    if (def == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    clear_entry(def);
    free(def);
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_config_resource_names_get(QrmiConfig *config, size_t *size, char **names[])
{
    if (config == NULL || size == NULL || names == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    char **array = calloc(config->length + 1, sizeof *array);
    bool done = array != NULL;
    for (size_t number = 0; done && number < config->length; number++)
        done = (array[number] = qi_copy(config->entries[number].name)) != NULL;
    if (!done) {
        qrmi_string_array_free(config->length, array);
        return qi_fail_memory();
    }
    *size = config->length;
    *names = array;
    return QRMI_RETURN_CODE_SUCCESS;
}
