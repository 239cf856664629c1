"""Settings of a resource of Pasqal Cloud."""

from __future__ import annotations

import attrs

from qrmi_core.settings import HttpSettings


@attrs.frozen(kw_only=True)
class PasqalCloudSettings(HttpSettings):
    """Settings of a resource of Pasqal Cloud."""
