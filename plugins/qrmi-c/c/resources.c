/* What a resource is asked and told: state, acquisition, description. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct QrmiResourceStatus {
    char *texts[7]; /* code, reason, healthy, busy, available slots, slots, pending tasks; or NULL */
};

struct QrmiResourceMetadata {
    qi_reply pairs;
};

/* A token that this process acquired and has not released. */
struct token {
    char *text;
    struct token *next;
};

static struct token *tokens; /* under the lock */

static void remember(const char *text)
{
    struct token *token = malloc(sizeof *token);
    char *copy = token ? qi_copy(text) : NULL;
    if (copy == NULL) {
        free(token);
        return;
    }
    qi_lock();
    *token = (struct token){copy, tokens};
    tokens = token;
    qi_unlock();
}

/* Return true if this process acquired a token; forget it if that is asked for. */
static bool is_ours(const char *text, bool forget)
{
    struct token *found = NULL;
    qi_lock();
    struct token **place = &tokens;
    while (*place != NULL && strcmp((*place)->text, text) != 0)
        place = &(*place)->next;
    found = *place;
    if (found != NULL && forget)
        *place = found->next;
    qi_unlock();
    bool ours = found != NULL;
    if (ours && forget) {
        free(found->text);
        free(found);
    }
    return ours;
}

__attribute__((destructor)) static void forget_tokens(void)
{
    qi_lock();
    while (tokens != NULL) {
        struct token *token = tokens;
        tokens = token->next;
        free(token->text);
        free(token);
    }
    qi_unlock();
}

/* Let tasks run under an acquisition also after the helper was started again; NULL for none. */
static void hold(QrmiQuantumResource *resource, const char *token)
{
    qi_lock();
    qi_field *field = &resource->open.fields[QI_OPEN_TOKEN];
    free((void *)(uintptr_t)field->text);
    *field = qi_text(token ? qi_copy(token) : NULL);
    qi_unlock();
}

QrmiReturnCode qrmi_resource_acquire(QrmiQuantumResource *resource, char **acquisition_token)
{
    if (resource == NULL || acquisition_token == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    qi_reply reply;
    qi_field field = qi_text(resource->number);
    QrmiReturnCode code = qi_call(resource, QI_ACQUIRE, &field, 1, &reply);
    if (code != QRMI_RETURN_CODE_SUCCESS)
        return code;
    /* The second text is there if the token is the scheduler's. */
    bool ours = reply.number == 2 && reply.texts[1] == NULL;
    *acquisition_token = reply.number == 2 && reply.texts[0] ? qi_copy(reply.texts[0]) : NULL;
    qi_reply_free(&reply);
    if (*acquisition_token == NULL)
        return qi_fail_memory();
    if (ours) {
        remember(*acquisition_token);
        hold(resource, *acquisition_token);
    }
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_resource_release(QrmiQuantumResource *resource, const char *acquisition_token)
{
    if (resource == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    if (acquisition_token == NULL)
        return QRMI_RETURN_CODE_ERROR;
    qi_reply reply;
    bool ours = is_ours(acquisition_token, false);
    qi_field fields[] = {qi_text(resource->number), qi_text(acquisition_token),
                         qi_text(ours ? "1" : "0")};
    QrmiReturnCode code = qi_call(resource, QI_RELEASE, fields, 3, &reply);
    if (code != QRMI_RETURN_CODE_SUCCESS)
        return code;
    qi_reply_free(&reply);
    if (ours)
        is_ours(acquisition_token, true);
    if (!is_ours(acquisition_token, false))
        hold(resource, NULL);
    return QRMI_RETURN_CODE_SUCCESS;
}

/* Carry out an operation whose reply is one text; freed by the caller. */
static QrmiReturnCode one_text(QrmiQuantumResource *resource, enum qi_operation operation, char **outp)
{
    qi_reply reply;
    qi_field field = qi_text(resource->number);
    QrmiReturnCode code = qi_call(resource, operation, &field, 1, &reply);
    if (code != QRMI_RETURN_CODE_SUCCESS)
        return code;
    *outp = qi_reply_take(&reply);
    return *outp ? QRMI_RETURN_CODE_SUCCESS : qi_fail(QRMI_RETURN_CODE_ERROR, "no text in the reply");
}

QrmiReturnCode qrmi_resource_is_accessible(QrmiQuantumResource *resource, bool *outp)
{
    if (resource == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    if (outp == NULL)
        return QRMI_RETURN_CODE_ERROR;
    char *text = NULL;
    QrmiReturnCode code = one_text(resource, QI_ACCESSIBLE, &text);
    if (code == QRMI_RETURN_CODE_SUCCESS)
        *outp = strcmp(text, "1") == 0;
    free(text);
    return code;
}

QrmiReturnCode qrmi_resource_target(QrmiQuantumResource *resource, char **outp)
{
    if (resource == NULL)
        return QRMI_RETURN_CODE_ERROR;
    if (outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    return one_text(resource, QI_TARGET, outp);
}

/* --- metadata --------------------------------------------------------------------------------- */

QrmiReturnCode qrmi_resource_metadata(QrmiQuantumResource *resource, QrmiResourceMetadata **metadata)
{
    if (resource == NULL || metadata == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    QrmiResourceMetadata *made = calloc(1, sizeof *made);
    if (made == NULL)
        return qi_fail_memory();
    qi_field field = qi_text(resource->number);
    QrmiReturnCode code = qi_call(resource, QI_METADATA, &field, 1, &made->pairs);
    if (code == QRMI_RETURN_CODE_SUCCESS)
        *metadata = made;
    else
        free(made);
    return code;
}

QrmiReturnCode qrmi_resource_metadata_free(QrmiResourceMetadata *metadata)
{
    if (metadata == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    qi_reply_free(&metadata->pairs);
    free(metadata);
    return QRMI_RETURN_CODE_SUCCESS;
}

char *qrmi_resource_metadata_value(QrmiResourceMetadata *metadata, const char *key)
{
    if (metadata == NULL || key == NULL)
        return NULL;
    for (size_t pair = 0; pair + 1 < metadata->pairs.number; pair += 2)
        if (strcmp(metadata->pairs.texts[pair], key) == 0)
            return qi_copy(metadata->pairs.texts[pair + 1]);
    return NULL;
}

QrmiReturnCode qrmi_resource_metadata_keys(QrmiResourceMetadata *metadata, size_t *size, char **keys[])
{
    if (metadata == NULL || size == NULL || keys == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    size_t number = metadata->pairs.number / 2;
    char **array = calloc(number + 1, sizeof *array);
    bool done = array != NULL;
    for (size_t pair = 0; done && pair < number; pair++)
        done = (array[pair] = qi_copy(metadata->pairs.texts[2 * pair])) != NULL;
    if (!done) {
        qrmi_string_array_free(number, array);
        return qi_fail_memory();
    }
    *size = number;
    *keys = array;
    return QRMI_RETURN_CODE_SUCCESS;
}

/* --- the state -------------------------------------------------------------------------------- */

QrmiReturnCode qrmi_resource_status(QrmiQuantumResource *resource, QrmiResourceStatus **outp)
{
    if (resource == NULL || outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    qi_reply reply;
    qi_field field = qi_text(resource->number);
    QrmiReturnCode code = qi_call(resource, QI_STATUS, &field, 1, &reply);
    if (code != QRMI_RETURN_CODE_SUCCESS)
        return code;
    QrmiResourceStatus *status = calloc(1, sizeof *status);
    bool done = status != NULL && reply.number == 7 && reply.texts[0] != NULL;
    for (size_t field_number = 0; done && field_number < 7; field_number++)
        if (reply.texts[field_number] != NULL)
            done = (status->texts[field_number] = qi_copy(reply.texts[field_number])) != NULL;
    qi_reply_free(&reply);
    if (!done) {
        if (status != NULL)
            qrmi_resource_status_free(status);
        return qi_fail_memory();
    }
    *outp = status;
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_resource_status_free(QrmiResourceStatus *status)
{
    if (status == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    for (size_t field = 0; field < 7; field++)
        free(status->texts[field]);
    free(status);
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_resource_status_code(QrmiResourceStatus *status, QrmiResourceStatusCode *outp)
{
    if (status == NULL || outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    *outp = (QrmiResourceStatusCode)atoi(status->texts[0]);
    return QRMI_RETURN_CODE_SUCCESS;
}

const char *qrmi_resource_status_code_to_string(QrmiResourceStatusCode code)
{
    switch (code) {
    case QRMI_RESOURCE_STATUS_CODE_ONLINE:
        return "online";
    case QRMI_RESOURCE_STATUS_CODE_OFFLINE:
        return "offline";
    case QRMI_RESOURCE_STATUS_CODE_PAUSED:
        return "paused";
    }
    return NULL;
}

char *qrmi_resource_status_reason(QrmiResourceStatus *status)
{
    return status == NULL || status->texts[1] == NULL ? NULL : qi_copy(status->texts[1]);
}

static QrmiReturnCode not_reported(const char *what)
{
    return qi_fail(QRMI_RETURN_CODE_UNSUPPORTED_FUNCTION_ERROR, "the resource does not report %s", what);
}

static QrmiReturnCode fact(QrmiResourceStatus *status, size_t field, bool *outp, const char *what)
{
    if (status == NULL || outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    if (status->texts[field] == NULL)
        return not_reported(what);
    *outp = strcmp(status->texts[field], "1") == 0;
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_resource_status_healthy(QrmiResourceStatus *status, bool *outp)
{
    return fact(status, 2, outp, "if it works as it should");
}

QrmiReturnCode qrmi_resource_status_busy(QrmiResourceStatus *status, bool *outp)
{
    return fact(status, 3, outp, "if it is busy");
}

QrmiReturnCode qrmi_resource_status_pending_job_count(QrmiResourceStatus *status, uint64_t *outp)
{
    if (status == NULL || outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    if (status->texts[6] == NULL)
        return not_reported("the number of tasks that wait");
    *outp = strtoull(status->texts[6], NULL, 10);
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_resource_status_capacity(QrmiResourceStatus *status, QrmiResourceCapacity **outp)
{
    if (status == NULL || outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    if (status->texts[4] == NULL || status->texts[5] == NULL)
        return not_reported("its capacity");
    QrmiResourceCapacity *capacity = malloc(sizeof *capacity);
    if (capacity == NULL)
        return qi_fail_memory();
    capacity->available_slots = strtoull(status->texts[4], NULL, 10);
    capacity->max_slots = strtoull(status->texts[5], NULL, 10);
    *outp = capacity;
    return QRMI_RETURN_CODE_SUCCESS;
}

QrmiReturnCode qrmi_resource_capacity_free(QrmiResourceCapacity *capacity)
{
    if (capacity == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    free(capacity);
    return QRMI_RETURN_CODE_SUCCESS;
}
