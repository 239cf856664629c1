"""Programs that were compiled against the published header fit this library."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from support.c_library import HERE, SOURCES, STRICT, Build

LAYOUT = """
QrmiKeyValue 16, .key 0, .value 8
QrmiEnvironmentVariables 16, .variables 0, .length 8
QrmiConfigMap 16
QrmiResourceDef 32, .name 0, .type 8, .is_dynamic 12, .environments 16
QrmiPayload 40, .tag 0, .QISKIT_PRIMITIVE.input 8, .QISKIT_PRIMITIVE.program_id 16
QrmiPayload 40, .PASQAL_CLOUD.sequence 8, .PASQAL_CLOUD.job_runs 16
QrmiPayload 40, .ALICE_BOB_FELIS.human_qir 8, .ALICE_BOB_FELIS.input_params 16
QrmiPayload 40, .IQM_SERVER.iqmjson 8, .IQM_SERVER.job_type 16, .IQM_SERVER.use_timeslot 24
QrmiPayload 40, .IQM_SERVER.tag 32, .OQTOPUS.job_spec 8
QrmiQuantumResources 16, .resources 0, .length 8
QrmiResourceCapacity 16, .available_slots 0, .max_slots 8
QrmiLogCallback 8
QrmiReturnCode 4
QrmiResourceType 4
QrmiTaskStatus 4
QrmiPayload_Tag 4
QrmiResourceStatusCode 4
"""
VALUES = """
QRMI_RETURN_CODE_ SUCCESS=0 ERROR=100 NULL_POINTER_ERROR=101 ENV_VAR_NOT_SET_ERROR=102
QRMI_RETURN_CODE_ PARSE_ERROR=103 UNSUPPORTED_RESOURCE_TYPE_ERROR=104
QRMI_RETURN_CODE_ UNSUPPORTED_FUNCTION_ERROR=105 UNSUPPORTED_PAYLOAD_ERROR=106
QRMI_RETURN_CODE_ TASK_NOT_READY_ERROR=107 MISSING_CONFIG_KEY_ERROR=108 INVALID_INPUT_ERROR=109
QRMI_RETURN_CODE_ RESOURCE_NOT_FOUND_ERROR=111 TASK_NOT_FOUND_ERROR=112
QRMI_RETURN_CODE_ AUTHENTICATION_FAILED_ERROR=113 INVALID_CONFIG_ERROR=114
QRMI_RESOURCE_TYPE_ IBM_QUANTUM_SYSTEM=0 QISKIT_RUNTIME_SERVICE=1 IBM_QUANTUM_COMPUTE_SERVICE=2
QRMI_RESOURCE_TYPE_ PASQAL_CLOUD=3 PASQAL_LOCAL=4 ALICE_BOB_FELIS=5 IQM_SERVER=6 OQTOPUS=7
QRMI_RESOURCE_STATUS_CODE_ ONLINE=0 OFFLINE=1 PAUSED=2
QRMI_TASK_STATUS_ QUEUED=0 RUNNING=1 COMPLETED=2 FAILED=3 CANCELLED=4
QRMI_PAYLOAD_ QISKIT_PRIMITIVE=0 PASQAL_CLOUD=1 ALICE_BOB_FELIS=2 IQM_SERVER=3 OQTOPUS=4
"""
FUNCTIONS = """
config_free config_load config_resource_def_free config_resource_def_get config_resource_names_get
config_resource_type_from_str config_resource_type_to_str get_last_error get_last_error_kind
log_callback_set provider_free provider_least_busy provider_new provider_resources
provider_resources_free resource_acquire resource_capacity_free resource_free resource_id
resource_is_accessible resource_metadata resource_metadata_free resource_metadata_keys
resource_metadata_value resource_new resource_new_from_config resource_release resource_status
resource_status_busy resource_status_capacity resource_status_code resource_status_code_to_string
resource_status_free resource_status_healthy resource_status_pending_job_count
resource_status_reason resource_target resource_task_logs resource_task_result
resource_task_start resource_task_status resource_task_stop resource_type service_resources
service_resources_free string_array_free string_free
"""


def test_sizes_offsets_and_values_are_those_published(build: Build) -> None:
    program = build.program(HERE / "programs/abi.c")
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    found = dict(line.rsplit(" ", 1) for line in printed.splitlines())
    expected = {"QRMI_VERSION": f"{26 << 8 | 4}", "QRMI_VERSION_NUMERIC(1, 2, 3)": "66051"}
    for line in LAYOUT.strip().splitlines():
        kind, *members = line.split(",")
        name, size = kind.split()
        expected[name] = size
        for member in members:
            where, place = member.split()
            expected[name + where] = place
    for line in VALUES.strip().splitlines():
        prefix, *pairs = line.split()
        for pair in pairs:
            word, _, value = pair.partition("=")
            expected[prefix + word] = value
    assert found == expected


def test_the_library_exports_the_published_functions_and_nothing_else(build: Build) -> None:
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", build.library()], capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[2] for line in listed.splitlines()} == {
        f"qrmi_{name}" for name in FUNCTIONS.split()
    }


def test_the_library_needs_no_newer_glibc_than_its_wheel_says(build: Build) -> None:
    listed = subprocess.run(
        ["objdump", "-T", build.library()], capture_output=True, text=True, check=True
    ).stdout
    versions = {tuple(map(int, text.split("."))) for text in re.findall(r"GLIBC_([\d.]+)", listed)}
    assert versions
    assert max(versions) <= (2, 17)


@pytest.mark.parametrize(("compiler", "language"), [("cc", "c11"), ("c++", "c++17")])
def test_the_header_compiles_without_a_warning(build: Build, compiler: str, language: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    source = build.folder / "header.c"
    source.write_text('#include "qrmi.h"\n')
    kind = ("-x", "c++") if compiler == "c++" else ()
    build.cc(*kind, f"-std={language}", *STRICT, "-fsyntax-only", source, compiler=compiler)


@pytest.mark.slow
def test_the_library_builds_with_musl(build: Build) -> None:
    if shutil.which("musl-gcc") is None:
        pytest.skip("musl-tools is not installed")
    build.library("libqrmi-musl.so", compiler="musl-gcc")


def test_every_function_says_in_the_header_what_it_does() -> None:
    text = (SOURCES / "include/qrmi.h").read_text(encoding="utf-8")
    documented = re.findall(r"\*/\n[^/;{]*?\b(qrmi_\w+)\(", text)
    assert sorted(documented) == sorted(f"qrmi_{name}" for name in FUNCTIONS.split())
