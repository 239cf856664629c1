"""The settings of a coin."""

from __future__ import annotations

import attrs

from qrmi_core.plugin import HttpSettings, setting, to_url


@attrs.frozen(kw_only=True)
class CoinSettings(HttpSettings):
    """Settings of a coin; time-outs, proxy and certificates are in the base class.

    Args:
        endpoint: Address of the service.
        token: Key for the service.
    """

    endpoint: str = setting("QRMI_COIN_ENDPOINT", help="Address of the service.", converter=to_url)
    token: str = setting("QRMI_COIN_TOKEN", help="Key for the service.", secret=True)
