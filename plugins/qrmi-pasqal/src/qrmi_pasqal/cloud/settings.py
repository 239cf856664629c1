"""Settings of a resource of Pasqal Cloud, also from the user's file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Self

import attrs

from qrmi_core.plugin import HttpSettings, Settings, setting, to_url
from qrmi_pasqal.cloud import profile

BASE_URL = "https://apis.pasqal.cloud"
AUTH_ENDPOINT = "https://authenticate.pasqal.cloud/oauth/token"
REALM = "pcs-users"
AUDIENCE = "https://apis.pasqal.cloud/account/api/v1"
PUBLIC_CLIENT_ID = "PeZvo7Atx7IVv3iel59asJSb4Ig7vuSB"
GRANT_TYPE = "http://auth0.com/oauth/grant-type/password-realm"

IN_THE_FILE = (
    "`.pasqal/config` in your home folder; where the settings are a mapping or an entry of "
    "qrmi_config.json, name that folder with PASQAL_CONFIG_ROOT (`~` is your home)"
)
"""The other place of a setting, for messages."""

_KEY = "qrmi_pasqal_key"


def to_base_url(text: str) -> str:
    """Convert an address in front of paths; without a scheme it is one of https."""
    return to_url(text if "://" in text else f"https://{text.strip()}")


def to_address(text: str) -> str:
    """Convert the same, and keep a slash at its end."""
    return to_base_url(text) + "/" * text.strip().endswith("/")


def _cloud(
    key: str,
    help: str,
    default: str | None = None,
    converter: Callable[[str], str] = str.strip,
    *,
    name: str = "",
    prefixed: bool = True,
    secret: bool = False,
    needed_by: tuple[str, ...] = (),
) -> Any:
    """Declare a setting that the user's file may have too, under `key`."""
    field = setting(
        name or f"QRMI_PASQAL_CLOUD_{key.upper()}",
        help=help,
        default=default,
        converter=converter,
        secret=secret,
        prefixed=prefixed,
        needed_by=needed_by,
    )
    field.metadata[_KEY] = key
    return field


@attrs.frozen(kw_only=True)
class PasqalCloudSettings(HttpSettings):
    """Settings of a resource of Pasqal Cloud; time-outs, proxy and the like are in the base class.

    Each is read by itself: first from the environment (or the mapping), then from the file
    ``.pasqal/config``. A value of blanks alone counts as not set.

    Args:
        project_id: The project that batches belong to.
        token: A bearer token, used as long as the service accepts it.
        username: Of the user, with `password`.
        password: Of the user.
        client_id: Of a service account, with `client_secret`.
        client_secret: Of a service account.
        auth_endpoint: Address that issues tokens.
        base_url: Address of the service.
        auth_realm: Realm that users log in to.
        auth_audience: API that tokens are for.
        auth_public_client_id: Client for which users log in.
        auth_grant_type: How users log in.
        config_root: Folder that holds ``.pasqal/config``.
    """

    project_id: str | None = _cloud(
        "project_id", "UUID of the project that tasks belong to.", needed_by=("task_start",)
    )
    token: str | None = _cloud(
        "token",
        "Bearer token, used before anything else while it is valid.",
        name="QRMI_PASQAL_CLOUD_AUTH_TOKEN",
        secret=True,
    )
    username: str | None = _cloud(
        "username",
        "User name; in the environment without prefix.",
        name="PASQAL_USERNAME",
        prefixed=False,
    )
    password: str | None = _cloud(
        "password",
        "Password; in the environment without prefix.",
        converter=str,
        name="PASQAL_PASSWORD",
        prefixed=False,
        secret=True,
    )
    client_id: str | None = _cloud("client_id", "Service account, where there is no user.")
    client_secret: str | None = _cloud(
        "client_secret", "Secret of the service account.", secret=True
    )
    auth_endpoint: str = _cloud(
        "auth_endpoint",
        f"Address that issues tokens, with its path; `{AUTH_ENDPOINT}` by default. "
        "`https://` is put before an address without it.",
        AUTH_ENDPOINT,
        to_address,
    )
    base_url: str = _cloud(
        "base_url", f"Address of the service; `{BASE_URL}` by default.", BASE_URL, to_base_url
    )
    auth_realm: str = _cloud("auth_realm", f"Realm of the users; `{REALM}` by default.", REALM)
    auth_audience: str = _cloud(
        "auth_audience", f"API that tokens are for; `{AUDIENCE}` by default.", AUDIENCE
    )
    auth_public_client_id: str = _cloud(
        "auth_public_client_id",
        "Client for which users log in; by default that of Pasqal's own clients.",
        PUBLIC_CLIENT_ID,
    )
    auth_grant_type: str = _cloud(
        "auth_grant_type",
        f"How users log in; `{GRANT_TYPE}` by default, `password` for Keycloak.",
        GRANT_TYPE,
    )
    config_root: str | None = setting(
        "PASQAL_CONFIG_ROOT",
        help="Folder that holds `.pasqal/config`; in the environment without prefix, or else with.",
        default=None,
        prefixed=False,
    )

    def are_all_default(self) -> bool:
        """Return True if no setting of Pasqal Cloud is set."""
        return all(
            getattr(self, field.name) == field.default
            for field in attrs.fields(type(self))
            if _KEY in field.metadata
        )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str], resource_id: str | None = None) -> Self:
        """Read as for every resource, then the file in ``PASQAL_CONFIG_ROOT`` or ``HOME``, if set.

        Raises:
            ConfigError: Names every malformed key.
        """
        source = _without_blanks(mapping)
        _add_file(cls, source, None, os.environ, home=source.get("HOME"))
        return super().from_mapping(source, resource_id)

    @classmethod
    def from_environment(
        cls, resource_id: str, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Read as for every resource, then the file in ``PASQAL_CONFIG_ROOT`` or the home folder.

        Raises:
            ConfigError: Names every malformed variable.
        """
        given = os.environ if environment is None else environment
        source = _without_blanks(given)
        _add_file(cls, source, cls.prefixes(resource_id), given, home=source.get("HOME"))
        return super().from_environment(resource_id, source)


def _add_file(
    cls: type[Settings],
    source: dict[str, str],
    prefixes: tuple[str, ...] | None,
    environment: Mapping[str, str],
    home: str | None,
) -> None:
    """Add the settings of the file that the source lacks, under the keys of the source."""

    def spellings(name: str, prefixed: bool) -> list[str]:
        if prefixes is None:
            return [name, name.lower()]
        return [prefix + name for prefix in (prefixes if prefixed else ("",))]

    names = [*spellings("PASQAL_CONFIG_ROOT", False), *spellings("PASQAL_CONFIG_ROOT", True)]
    root = next((source[name] for name in names if name in source), None)
    roots = [folder for folder in (root, home) if folder]
    keys = {
        field.metadata[_KEY]: field.name for field in attrs.fields(cls) if _KEY in field.metadata
    }
    declarations = cls.declarations()
    for key, value in profile.load(roots, environment, keys).items():
        declared = declarations[keys[key]]
        written = spellings(declared.names[0], declared.prefixed)
        if not any(name in source or f"{name}_FILE" in source for name in written):
            source[written[0]] = value


def _without_blanks(source: Mapping[str, str]) -> dict[str, str]:
    """Return the same without blank values, which count as not set."""
    return {
        key: value for key, value in source.items() if not isinstance(value, str) or value.strip()
    }
