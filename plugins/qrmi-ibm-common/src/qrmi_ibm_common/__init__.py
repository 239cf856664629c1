"""What the plugins for IBM's services share: IAM authentication and error bodies."""

from qrmi_ibm_common.client import ibm_client
from qrmi_ibm_common.errors import describe, recast

__all__ = ["describe", "ibm_client", "recast"]
