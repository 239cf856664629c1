/* Tasks. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Set the fields of a payload behind the number of the handle and the tag; return their number, 0 for
   a tag of no payload. */
static size_t payload_fields(const QrmiPayload *payload, qi_field *fields, char *number, size_t size)
{
    switch (payload->tag) {
    case QRMI_PAYLOAD_QISKIT_PRIMITIVE:
        fields[0] = qi_text(payload->QISKIT_PRIMITIVE.input);
        fields[1] = qi_text(payload->QISKIT_PRIMITIVE.program_id);
        return 2;
    case QRMI_PAYLOAD_PASQAL_CLOUD:
        snprintf(number, size, "%ld", (long)payload->PASQAL_CLOUD.job_runs);
        fields[0] = qi_text(payload->PASQAL_CLOUD.sequence);
        fields[1] = qi_text(number);
        return 2;
    case QRMI_PAYLOAD_ALICE_BOB_FELIS:
        fields[0] = qi_text(payload->ALICE_BOB_FELIS.human_qir);
        fields[1] = qi_text(payload->ALICE_BOB_FELIS.input_params);
        return 2;
    case QRMI_PAYLOAD_IQM_SERVER:
        fields[0] = qi_text(payload->IQM_SERVER.iqmjson);
        fields[1] = qi_text(payload->IQM_SERVER.job_type);
        fields[2] = qi_text(payload->IQM_SERVER.use_timeslot == 1 ? "1" : "0");
        fields[3] = qi_text(payload->IQM_SERVER.tag);
        return 4;
    case QRMI_PAYLOAD_OQTOPUS:
        fields[0] = qi_text(payload->OQTOPUS.job_spec);
        return 1;
    }
    return 0;
}

QrmiReturnCode qrmi_resource_task_start(QrmiQuantumResource *resource, const QrmiPayload *payload,
                                        char **task_id)
{
    if (resource == NULL || payload == NULL || task_id == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    char number[16];
    char tag[16];
    qi_field fields[6] = {qi_text(resource->number)};
    size_t more = payload_fields(payload, fields + 2, number, sizeof number);
    if (more == 0)
        return qi_fail(QRMI_RETURN_CODE_INVALID_INPUT_ERROR, "no payload has the tag %d",
                       (int)payload->tag);
    snprintf(tag, sizeof tag, "%d", (int)payload->tag);
    fields[1] = qi_text(tag);
    qi_reply reply;
    QrmiReturnCode code = qi_call(resource, QI_START, fields, 2 + more, &reply);
    if (code != QRMI_RETURN_CODE_SUCCESS)
        return code;
    *task_id = qi_reply_take(&reply);
    return *task_id ? QRMI_RETURN_CODE_SUCCESS : qi_fail_memory();
}

/* Carry out an operation on a task; its text goes to *outp, NULL if there is none. */
static QrmiReturnCode on_task(QrmiQuantumResource *resource, enum qi_operation operation,
                              const char *task_id, char **outp)
{
    qi_reply reply;
    qi_field fields[] = {qi_text(resource->number), qi_text(task_id)};
    QrmiReturnCode code = qi_call(resource, operation, fields, 2, &reply);
    if (code == QRMI_RETURN_CODE_SUCCESS)
        *outp = qi_reply_take(&reply);
    return code;
}

QrmiReturnCode qrmi_resource_task_stop(QrmiQuantumResource *resource, const char *task_id)
{
    if (resource == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    if (task_id == NULL)
        return QRMI_RETURN_CODE_ERROR;
    char *none = NULL;
    QrmiReturnCode code = on_task(resource, QI_STOP, task_id, &none);
    free(none);
    return code;
}

/* As on_task(), for a text that must be there. */
static QrmiReturnCode text_of_task(QrmiQuantumResource *resource, enum qi_operation operation,
                                   const char *task_id, char **outp)
{
    if (resource == NULL || outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    if (task_id == NULL)
        return QRMI_RETURN_CODE_ERROR;
    char *text = NULL;
    QrmiReturnCode code = on_task(resource, operation, task_id, &text);
    if (code == QRMI_RETURN_CODE_SUCCESS && text == NULL)
        return qi_fail(QRMI_RETURN_CODE_ERROR, "no text in the reply");
    if (code == QRMI_RETURN_CODE_SUCCESS)
        *outp = text;
    return code;
}

QrmiReturnCode qrmi_resource_task_status(QrmiQuantumResource *resource, const char *task_id,
                                         QrmiTaskStatus *outp)
{
    char *text = NULL;
    if (outp == NULL)
        return QRMI_RETURN_CODE_NULL_POINTER_ERROR;
    QrmiReturnCode code = text_of_task(resource, QI_TASK_STATUS, task_id, &text);
    if (code == QRMI_RETURN_CODE_SUCCESS)
        *outp = (QrmiTaskStatus)atoi(text);
    free(text);
    return code;
}

QrmiReturnCode qrmi_resource_task_result(QrmiQuantumResource *resource, const char *task_id,
                                         char **outp)
{
    return text_of_task(resource, QI_RESULT, task_id, outp);
}

QrmiReturnCode qrmi_resource_task_logs(QrmiQuantumResource *resource, const char *task_id, char **outp)
{
    return text_of_task(resource, QI_LOGS, task_id, outp);
}
