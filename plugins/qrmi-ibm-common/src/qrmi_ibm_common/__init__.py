"""Code shared by the plugins for IBM's services."""

from qrmi_ibm_common.client import KINDS, describe, ibm_client

__all__ = ["KINDS", "describe", "ibm_client"]
