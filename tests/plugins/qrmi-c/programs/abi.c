/* Prints sizes, offsets and values of qrmi.h. */
#include "qrmi.h"

#include <stdio.h>

#define SIZE(type) printf("%s %zu\n", #type, sizeof(type))
#define AT(type, member) printf("%s.%s %zu\n", #type, #member, offsetof(type, member))
#define IS(value) printf("%s %d\n", #value, (int)(value))

int main(void)
{
    SIZE(QrmiKeyValue), AT(QrmiKeyValue, key), AT(QrmiKeyValue, value);
    SIZE(QrmiEnvironmentVariables), AT(QrmiEnvironmentVariables, variables);
    AT(QrmiEnvironmentVariables, length), SIZE(QrmiConfigMap);
    SIZE(QrmiResourceDef), AT(QrmiResourceDef, name), AT(QrmiResourceDef, type);
    AT(QrmiResourceDef, is_dynamic), AT(QrmiResourceDef, environments);
    SIZE(QrmiPayload), AT(QrmiPayload, tag), AT(QrmiPayload, QISKIT_PRIMITIVE.input);
    AT(QrmiPayload, QISKIT_PRIMITIVE.program_id), AT(QrmiPayload, PASQAL_CLOUD.sequence);
    AT(QrmiPayload, PASQAL_CLOUD.job_runs), AT(QrmiPayload, ALICE_BOB_FELIS.human_qir);
    AT(QrmiPayload, ALICE_BOB_FELIS.input_params), AT(QrmiPayload, IQM_SERVER.iqmjson);
    AT(QrmiPayload, IQM_SERVER.job_type), AT(QrmiPayload, IQM_SERVER.use_timeslot);
    AT(QrmiPayload, IQM_SERVER.tag), AT(QrmiPayload, OQTOPUS.job_spec);
    SIZE(QrmiQuantumResources), AT(QrmiQuantumResources, resources), AT(QrmiQuantumResources, length);
    SIZE(QrmiResourceCapacity), AT(QrmiResourceCapacity, available_slots);
    AT(QrmiResourceCapacity, max_slots), SIZE(QrmiLogCallback);
    SIZE(QrmiReturnCode), SIZE(QrmiResourceType), SIZE(QrmiTaskStatus), SIZE(QrmiPayload_Tag);
    SIZE(QrmiResourceStatusCode);
    IS(QRMI_RETURN_CODE_SUCCESS), IS(QRMI_RETURN_CODE_ERROR), IS(QRMI_RETURN_CODE_NULL_POINTER_ERROR);
    IS(QRMI_RETURN_CODE_ENV_VAR_NOT_SET_ERROR), IS(QRMI_RETURN_CODE_PARSE_ERROR);
    IS(QRMI_RETURN_CODE_UNSUPPORTED_RESOURCE_TYPE_ERROR);
    IS(QRMI_RETURN_CODE_UNSUPPORTED_FUNCTION_ERROR), IS(QRMI_RETURN_CODE_UNSUPPORTED_PAYLOAD_ERROR);
    IS(QRMI_RETURN_CODE_TASK_NOT_READY_ERROR), IS(QRMI_RETURN_CODE_MISSING_CONFIG_KEY_ERROR);
    IS(QRMI_RETURN_CODE_INVALID_INPUT_ERROR), IS(QRMI_RETURN_CODE_RESOURCE_NOT_FOUND_ERROR);
    IS(QRMI_RETURN_CODE_TASK_NOT_FOUND_ERROR), IS(QRMI_RETURN_CODE_AUTHENTICATION_FAILED_ERROR);
    IS(QRMI_RETURN_CODE_INVALID_CONFIG_ERROR);
    IS(QRMI_RESOURCE_TYPE_IBM_QUANTUM_SYSTEM), IS(QRMI_RESOURCE_TYPE_QISKIT_RUNTIME_SERVICE);
    IS(QRMI_RESOURCE_TYPE_IBM_QUANTUM_COMPUTE_SERVICE), IS(QRMI_RESOURCE_TYPE_PASQAL_CLOUD);
    IS(QRMI_RESOURCE_TYPE_PASQAL_LOCAL), IS(QRMI_RESOURCE_TYPE_ALICE_BOB_FELIS);
    IS(QRMI_RESOURCE_TYPE_IQM_SERVER), IS(QRMI_RESOURCE_TYPE_OQTOPUS);
    IS(QRMI_RESOURCE_STATUS_CODE_ONLINE), IS(QRMI_RESOURCE_STATUS_CODE_OFFLINE);
    IS(QRMI_RESOURCE_STATUS_CODE_PAUSED);
    IS(QRMI_TASK_STATUS_QUEUED), IS(QRMI_TASK_STATUS_RUNNING), IS(QRMI_TASK_STATUS_COMPLETED);
    IS(QRMI_TASK_STATUS_FAILED), IS(QRMI_TASK_STATUS_CANCELLED);
    IS(QRMI_PAYLOAD_QISKIT_PRIMITIVE), IS(QRMI_PAYLOAD_PASQAL_CLOUD), IS(QRMI_PAYLOAD_ALICE_BOB_FELIS);
    IS(QRMI_PAYLOAD_IQM_SERVER), IS(QRMI_PAYLOAD_OQTOPUS);
    IS(QRMI_VERSION), IS(QRMI_VERSION_NUMERIC(1, 2, 3));
    return 0;
}
