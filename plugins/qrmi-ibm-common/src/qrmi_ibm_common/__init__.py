"""Code shared by the plugins for IBM's services."""

from qrmi_ibm_common.client import ibm_client
from qrmi_ibm_common.errors import KINDS, describe

__all__ = ["KINDS", "describe", "ibm_client"]
