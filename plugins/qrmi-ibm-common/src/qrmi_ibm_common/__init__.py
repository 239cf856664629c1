"""What the plugins for IBM's services share: authentication, error bodies, answers, settings."""

from qrmi_core.errors import recast
from qrmi_ibm_common.answers import (
    is_number,
    job_path,
    member,
    segment,
    target_of,
    to_count,
    to_object,
    to_text,
    to_time,
)
from qrmi_ibm_common.client import ibm_client
from qrmi_ibm_common.errors import describe

__all__ = [
    "describe",
    "ibm_client",
    "is_number",
    "job_path",
    "member",
    "recast",
    "segment",
    "target_of",
    "to_count",
    "to_object",
    "to_text",
    "to_time",
]
