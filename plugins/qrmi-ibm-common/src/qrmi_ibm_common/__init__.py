"""What the plugins for IBM's services share: IAM authentication and error bodies."""

from qrmi_core.errors import recast
from qrmi_ibm_common.client import ibm_client
from qrmi_ibm_common.errors import describe

__all__ = ["describe", "ibm_client", "recast"]
