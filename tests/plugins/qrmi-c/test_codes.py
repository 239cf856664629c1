"""Return codes and reasons of every function."""

from __future__ import annotations

import json
from pathlib import Path

from support.c_library import HERE, Build, runner

# The codes of the published library, but for NULL payloads, which end its programs.
NULLS = """
log_callback_set 0
string_free string_array_free 101
config_load NULL
config_free 101
config_resource_def_get NULL
config_resource_def_free config_resource_names_get config_resource_type_from_str 101
config_resource_type_from_str(,NULL) 101
resource_new NULL
resource_free is_accessible 101
is_accessible(,NULL) 100
id id(,NULL) type 101
type(,NULL) 100
status status(,NULL) acquire acquire(,NULL) release 101
release(,NULL) 100
target 100
metadata metadata(,NULL) metadata_free 101
metadata_value NULL
metadata_keys status_free status_code 101
status_reason NULL
status_healthy status_busy status_pending_job_count status_capacity capacity_free 101
task_start task_start(,NULL) task_start(,,NULL) task_stop 101
task_stop(,NULL) 100
task_status 101
task_status(,NULL) 100
task_result 101
task_result(,NULL) 100
task_logs 101
task_logs(,NULL) 100
provider_free provider_resources provider_resources_free provider_least_busy 101
service_resources service_resources_free 101
last_error_kind 100
last_error NULL
"""
REST = """
unknown type: 109
unknown type: 109 unknown resource type: none
a number of no type: NULL
a number of no type: 104 no resource type has the number 900
no plugin: NULL
no plugin: 104
no variables: NULL
no variables: 102
no settings: NULL
no settings: 108 settings: missing BENCH_FOLDER [resource x]
malformed: NULL
malformed: 103
no map: NULL
no map: 100 config is NULL
no file: NULL
no file: 114
logs: 105
payload: 106
not UTF-8: 109
task not UTF-8: 109
queued: 107
failed: 107
unknown task: 112
empty token: 0
no job: 102
busy: 100
provider: NULL
provider: 108
records: 18
status: 0
reason: on
healthy: 0
busy: 105
capacity: 105
pending: 0
pending: 7
resources: 0
found: free
found: slow
filter: 109
least busy: 0
least busy: slow
none: 0
none: NULL
service: 0
service: 1
entry: entry 1 0 BENCH_KEY=top-secret
no entry: NULL
"""


def test_every_function_returns_the_published_code(
    build: Build, environment: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "qrmi_config.json"
    entry = {"name": "entry", "type": "bench", "environment": {"BENCH_KEY": "top-secret"}}
    config.write_text(json.dumps({"resources": [entry]}))
    config.chmod(0o600)
    environment |= {"BENCH_CONFIG": str(config), "BENCH_KEY": "top-secret"}
    printed = runner(build.program(HERE / "programs/table.c"), environment)().stdout
    lines = []
    for line in NULLS.strip().splitlines():
        *names, code = line.split()
        for name in names:
            called = name.replace(",", ", ") if "(" in name else f"{name}()"
            lines.append(f"{called}: {code}")
    assert printed.splitlines() == [*lines, *REST.strip().splitlines()]
