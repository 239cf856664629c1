"""The driver of Pasqal Cloud: what the core asks, in the service's words."""

from __future__ import annotations
