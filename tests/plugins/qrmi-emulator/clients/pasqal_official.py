"""Pasqal Cloud with Pasqal's own client and Pulser. Arguments: base address, file with a sequence.

The user's name, password and project are in the environment.
"""

import json
import os
import pathlib
import sys
import warnings

import pulser
from pasqal_cloud.backends import RemoteEmuFreeBackend
from pasqal_cloud.endpoints import Endpoints, TokenProviderConf
from pasqal_cloud.job import CreateJob
from pasqal_cloud.pasqal_cloud_connection import PasqalCloudConnection
from pasqal_cloud.sdk import SDK
from pasqal_cloud.utils.filters import (
    BatchFilters,
    CancelJobFilters,
    PaginationParams,
    RebatchFilters,
)
from pulser import QPUBackend, Sequence
from pulser.backend.remote import BatchStatus

warnings.simplefilter("ignore")
base, file = sys.argv[1:]
account = {
    "username": os.environ["PASQAL_USERNAME"],
    "password": os.environ["PASQAL_PASSWORD"],
    "project_id": os.environ["PASQAL_PROJECT_ID"],
    "endpoints": Endpoints(core=base + "/core-fast", account=base + "/account"),
    "auth_config": TokenProviderConf(
        token_endpoint=base + "/oauth/token",
        public_client_id="cid",
        audience="aud",
        realm="pcs-users",
        grant_type="http://auth0.com/oauth/grant-type/password-realm",
    ),
}
connection = PasqalCloudConnection(**account)
sequence = Sequence.from_abstract_repr(pathlib.Path(file).read_text())


def counts(results):
    return [dict(each.final_bitstrings) for each in results]


remote = QPUBackend(sequence, connection).run([{"runs": 200}], wait=True)
assert remote.get_batch_status() is BatchStatus.DONE
found = {
    "devices": sorted(connection.fetch_available_devices()),
    "qpu": counts(remote.results),
    "again": counts(PasqalCloudConnection(**account).get_results(remote.batch_id).results),
}

emulated = RemoteEmuFreeBackend(sequence, connection)
found["emulator"] = counts(emulated.run([{"runs": 200}], wait=True).results)
found["default_runs"] = sum(counts(emulated.run(wait=True).results)[0].values())

backend = QPUBackend(sequence, connection)
with backend.open_batch():
    first = backend.run([{"runs": 10}])
    second = backend.run([{"runs": 20}, {"runs": 30}])
    found["open"] = first.batch_id == second.batch_id
    found["job_ids"] = [len(first.job_ids), len(second.job_ids)]

parametrised = Sequence(sequence.register, sequence.device)
parametrised.declare_channel("ryd", "rydberg_global")
amplitude = parametrised.declare_variable("amplitude", dtype=float)
parametrised.add(pulser.Pulse.ConstantPulse(400, amplitude, 0.0, 0.0), "ryd")
parametrised.measure("ground-rydberg")
results = RemoteEmuFreeBackend(parametrised, connection).run(
    [{"runs": 100, "variables": {"amplitude": value}} for value in (0.0, 6.0)], wait=True
)
found["parametrised"] = counts(results.results)

sdk = SDK(**account)
text = sequence.to_abstract_repr()
batch = sdk.create_batch(text, jobs=[CreateJob(runs=5)], device_type="EMU_FREE", tags=["kept"])
batch.set_tags(["kept", "new"])
listed = sdk.get_batches(filters=BatchFilters(tag="new"))
found["tagged"] = [each.id for each in listed.results] == [batch.id]
page = sdk.get_jobs(pagination_params=PaginationParams(offset=1, limit=2))
found["page"] = [page.total > 3, page.offset, len(page.results)]
batch = sdk.create_batch(text, jobs=[CreateJob(runs=5)], device_type="EMU_FREE", open=True)
batch.add_jobs([CreateJob(runs=6), CreateJob(runs=7)], wait=True)
found["runs"] = [job.runs for job in batch.ordered_jobs]
found["result"] = sum(batch.ordered_jobs[2].result.values())
batch.close()
found["closed"] = [batch.open, sdk.get_batch_status(batch.id).value]
again = sdk.rebatch(batch.id, RebatchFilters(min_runs=6))
found["rebatched"] = [again.parent_id == batch.id, len(again.ordered_jobs)]
batch = sdk.create_batch(text, jobs=[CreateJob(runs=5)], device_type="EMU_FREE", open=True)
sdk.cancel_jobs(batch.id, CancelJobFilters())
batch.cancel()
found["canceled"] = sdk.get_batch(batch.id).status
found["over"] = list(sdk.cancel_batches([batch.id]).errors.values())
found["projects"] = [project.id for project in sdk.get_all_projects()]
try:
    sdk.get_batch("00000000-0000-4000-8000-000000000000")
except BaseException as error:  # what the client raises is no Exception
    found["error"] = [type(error).__name__, str(error)]
print(json.dumps(found))
