/* One task on a simulator of this machine: acquire, submit, wait, print the result, release. */
#include <qrmi.h>

#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

static char input[] =
    "{\"version\": 2, \"support_qiskit\": false, \"pubs\": [[\"OPENQASM 3.0; include"
    " \\\"stdgates.inc\\\"; bit[2] c; qubit[2] q; h q[0]; cx q[0], q[1]; c = measure q;\","
    " null, 100]]}";
static char sampler[] = "sampler";

/* End the program if a call has failed. */
static void check(QrmiReturnCode code, const char *what)
{
    if (code != QRMI_RETURN_CODE_SUCCESS) {
        char *reason = qrmi_get_last_error();
        fprintf(stderr, "%s: %s (code %d)\n", what, reason ? reason : "a NULL argument", (int)code);
        exit(1);
    }
}

int main(int number, char **words)
{
    const char *name = number > 1 ? words[1] : "aer";
    const char *type_name = number > 2 ? words[2] : "local";
    QrmiResourceType type;
    check(qrmi_config_resource_type_from_str(type_name, &type), type_name);
    QrmiQuantumResource *qpu = qrmi_resource_new(name, type);
    if (qpu == NULL)
        check(qrmi_get_last_error_kind(), name);

    char *token = NULL;
    check(qrmi_resource_acquire(qpu, &token), "acquire");

    QrmiPayload payload = {.tag = QRMI_PAYLOAD_QISKIT_PRIMITIVE, .QISKIT_PRIMITIVE = {input, sampler}};
    char *task = NULL;
    check(qrmi_resource_task_start(qpu, &payload, &task), "task_start");

    QrmiTaskStatus status = QRMI_TASK_STATUS_QUEUED;
    while (status == QRMI_TASK_STATUS_QUEUED || status == QRMI_TASK_STATUS_RUNNING) {
        struct timespec pause = {0, 200000000};
        thrd_sleep(&pause, NULL);
        check(qrmi_resource_task_status(qpu, task, &status), "task_status");
    }

    char *result = NULL;
    check(qrmi_resource_task_result(qpu, task, &result), "task_result");
    printf("%s\n", result);

    check(qrmi_resource_task_stop(qpu, task), "task_stop");
    check(qrmi_resource_release(qpu, token), "release");
    qrmi_string_free(result);
    qrmi_string_free(task);
    qrmi_string_free(token);
    qrmi_resource_free(qpu);
    return 0;
}
