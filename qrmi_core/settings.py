"""Typed settings of a resource: declared once, read from a mapping or from the environment."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import attrs

from qrmi_core.errors import ConfigError, EnvVarNotSetError
from qrmi_core.folders import expand
from qrmi_core.urls import origin
from qrmi_core.values import Value

_log = logging.getLogger(__name__)

_KEY = "qrmi_setting"
SettingsT = TypeVar("SettingsT", bound="Settings")


class Declaration:
    """The keys and the properties of one setting.

    Args:
        names: The key's names without the resource's prefix, newest first; the newest that is
            set wins.
        help: One sentence for the table of settings.
        secret: Whether the value must never be printed.
        prefixed: Whether the environment variable begins with the resource's id.
        needed_by: The operations that need it; empty where it is optional or has a default.
        required: True without a default.
        converter: Makes the value of the text.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        help: str,
        secret: bool,
        prefixed: bool,
        needed_by: tuple[str, ...],
        required: bool,
        converter: Callable[[str], Any],
    ) -> None:
        self.names = names
        self.help = help
        self.secret = secret
        self.prefixed = prefixed
        self.needed_by = needed_by
        self.required = required
        self.converter = converter


def setting(
    *names: str,
    help: str,
    default: Any = attrs.NOTHING,
    converter: Callable[[str], Any] | None = None,
    secret: bool = False,
    prefixed: bool = True,
    needed_by: tuple[str, ...] = (),
    validator: Callable[[Any, attrs.Attribute[Any], Any], None] | None = None,
) -> Any:
    """Declare a setting as a field of a `Settings` class.

    Args:
        names: See `Declaration`.
        help: One sentence for the table of settings.
        default: The value when it is not set; a setting without one is required.
        converter: Makes the value of the text; it never sees the default. The message of a
            `ValueError` names a correct value, and is shown with the text; the message of a
            `ConfigError` is shown alone, for a text that may hold a secret.
        secret: See `Declaration`.
        prefixed: See `Declaration`.
        needed_by: See `Declaration`.
        validator: Called with the settings, the field and the value, also of the default.
    """
    required = default is attrs.NOTHING
    declaration = Declaration(names, help, secret, prefixed, needed_by, required, converter or str)
    return attrs.field(
        default=default,
        validator=validator,
        repr=(lambda value: repr(value) if value is None else "<secret>") if secret else True,
        metadata={_KEY: declaration},
    )


def declaration_of(field: attrs.Attribute[Any]) -> Declaration:
    """Return the declaration of a field that `setting` made."""
    found: Declaration = field.metadata[_KEY]
    return found


def to_seconds(text: str) -> float:
    """Convert a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise ValueError("a number of seconds above 0")
    return value


def to_count(text: str) -> int:
    """Convert a whole number of at least 1."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1:
        raise ValueError("a whole number of at least 1")
    return int(text)


def to_bool(text: str) -> bool:
    """Convert one of the usual words for yes and no."""
    match text.strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
    raise ValueError("true or false")


def to_url(text: str) -> str:
    """Convert the address of an API, and strip the slashes at its end.

    Raises:
        ConfigError: It is not a URL of http or https, or has a blank, a query, a fragment, a user
            or a password.
    """
    url = text.strip()
    origin(url)
    if re.search(r"[\s?#]", url):
        raise ConfigError(
            "the address has a blank, a query string or a fragment; leave out what begins there"
        )
    return url.rstrip("/")


def one_of(*words: str) -> Callable[[str], str]:
    """Return a converter of one of these words, in upper or lower case."""

    def convert(text: str) -> str:
        if text.lower() not in words:
            raise ValueError("one of " + ", ".join(words))
        return text.lower()

    return convert


def _job_timeout(text: str) -> int | None:
    # Slurm writes its NO_VAL (32 bit) where a job has no time limit.
    return None if text == "4294967295" else to_count(text)


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Settings(Value):
    """Settings that every resource has; a driver derives its own class.

    Args:
        acquisition_token: Set by the scheduler that has acquired the resource for this job.
        job_timeout_seconds: The scheduler's time limit for the job, None without one.
    """

    acquisition_token: str | None = setting(
        "QRMI_JOB_ACQUISITION_TOKEN",
        help="Acquisition made by the scheduler for this job; it is used and never released.",
        default=None,
        secret=True,
    )
    job_timeout_seconds: int | None = setting(
        "QRMI_JOB_TIMEOUT_SECONDS",
        help="Time limit of the scheduler's job in seconds; 4294967295 means none.",
        default=None,
        converter=_job_timeout,
    )

    @classmethod
    def declarations(cls) -> dict[str, Declaration]:
        """Return the declared settings by field name."""
        return {
            field.name: declaration_of(field)
            for field in attrs.fields(cls)
            if _KEY in field.metadata
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str], resource_id: str | None = None) -> Self:
        """Read from unprefixed keys, in upper or lower case; the environment is not looked at.

        Raises:
            ConfigError: Names every missing and malformed key.
        """
        wrong = sorted(
            str(key)
            for key, value in mapping.items()
            if not (isinstance(key, str) and isinstance(value, str))
        )
        if wrong:
            raise ConfigError(
                f"settings must be strings: {', '.join(wrong)}", resource_id=resource_id
            )
        return _read(cls, _upper(mapping), ("",), resource_id)

    @classmethod
    def from_environment(
        cls, resource_id: str, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Read from the environment, ``<resource_id>_<KEY>``.

        A character of the id outside ``[A-Za-z0-9_]`` may be written ``_``; the literal form wins.

        Raises:
            EnvVarNotSetError: Names every missing variable, where nothing else is wrong.
            ConfigError: Names every missing and malformed variable.
        """
        source = os.environ if environment is None else environment
        return _read(cls, source, cls.prefixes(resource_id), resource_id)

    @classmethod
    def prefixes(cls, resource_id: str) -> tuple[str, ...]:
        """Return the beginnings of the resource's environment variables, the preferred one first.

        A class whose resource ids carry more than the prefix, such as a part behind a colon,
        overrides this.
        """
        return prefixes(resource_id)

    def secrets(self) -> list[str]:
        """Return the values of the secret settings, for a `Redactor`.

        Errors may name an acquisition, and of the URL of a proxy only the credentials are secret.
        """
        names = {name for name, declared in self.declarations().items() if declared.secret}
        values = [getattr(self, name) for name in names - {"acquisition_token", "proxy"}]
        return [str(value) for value in values if value is not None]

    @classmethod
    def absent(cls, mapping: Mapping[str, str]) -> dict[str, Declaration]:
        """Return the settings that a mapping of unprefixed keys lacks, by field."""
        given = {key.removesuffix("_FILE") for key, value in _upper(mapping).items() if value}
        return {
            field: declaration
            for field, declaration in cls.declarations().items()
            if given.isdisjoint(declaration.names)
        }

    @classmethod
    def malformed(cls, mapping: Mapping[str, str]) -> list[str]:
        """Return the problems of the values of a mapping of unprefixed keys, missing keys aside."""
        _, _, problems = _collected(cls, _upper(mapping), ("",))
        return problems

    @classmethod
    def known_keys(cls) -> frozenset[str]:
        """Every key that a mapping may have for this class, ``_FILE`` forms included."""
        names = {name for item in cls.declarations().values() for name in item.names}
        return frozenset(names | {f"{name}_FILE" for name in names})


def prefixes(resource_id: str) -> tuple[str, ...]:
    """Return the prefixes of a resource's environment variables, the literal form first."""
    escaped = re.sub(r"[^A-Za-z0-9_]", "_", resource_id)
    return tuple(dict.fromkeys((f"{resource_id}_", f"{escaped}_")))


def _upper(mapping: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping with its lower-case keys in upper case too, where these are not set."""
    lower = {key.upper(): value for key, value in mapping.items() if key.islower()}
    return lower | {key: value for key, value in mapping.items() if value}


def _value_of(key: str, source: Mapping[str, str]) -> str | None:
    """Return the value of a key, or of the file that ``<key>_FILE`` names; None without either.

    Raises:
        ConfigError: Both are set, or the file cannot be read.
    """
    # An empty variable counts as unset, as it does for the shell's ${VAR:-default}.
    value, file = source.get(key) or None, source.get(f"{key}_FILE")
    if not file:
        return value
    if value is not None:
        raise ConfigError(f"both {key} and {key}_FILE are set; keep one")
    try:
        return expand(file).read_text(encoding="utf-8").rstrip("\r\n") or None
    except ConfigError as error:
        raise ConfigError(f"{key}_FILE: {error}") from error
    except OSError as error:
        raise ConfigError(f"{key}_FILE: cannot read {file}: {error.strerror}") from error
    except ValueError:
        raise ConfigError(f"{key}_FILE: {file} is not UTF-8 text") from None


def _converted(declaration: Declaration, key: str, text: str) -> Any:
    """Return the value that a text stands for.

    Raises:
        ConfigError: The text is malformed; the message names the key.
    """
    try:
        return declaration.converter(text)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error.message}") from None
    except ValueError as error:
        shown = "the value" if declaration.secret else repr(text)
        raise ConfigError(f"{key}: {shown} is not {error}") from None


def _keys(declaration: Declaration, prefixes: tuple[str, ...]) -> list[str]:
    """Return the keys of a declaration, preferred first."""
    used = prefixes if declaration.prefixed else ("",)
    return [f"{prefix}{name}" for name in declaration.names for prefix in used]


def _collected(
    cls: type[Settings], source: Mapping[str, str], prefixes: tuple[str, ...]
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the values by field, the missing required keys, and the problems."""
    values: dict[str, Any] = {}
    missing: list[str] = []
    problems: list[str] = []
    for name, declaration in cls.declarations().items():
        keys = _keys(declaration, prefixes)
        try:
            texts = ((key, _value_of(key, source)) for key in keys)
            key, text = next(((key, text) for key, text in texts if text is not None), ("", ""))
            if key:
                values[name] = _converted(declaration, key, text)
            elif declaration.required:
                missing.append(" or ".join(_keys(declaration, prefixes[:1])))
        except ConfigError as problem:
            problems.append(problem.message)
        else:
            if older := [other for other in keys if other != key and source.get(other)]:
                _log.info("%s is used, and not %s, which is set too", key, ", ".join(older))
    return values, missing, problems


def _read(
    cls: type[SettingsT],
    source: Mapping[str, str],
    prefixes: tuple[str, ...],
    resource_id: str | None,
) -> SettingsT:
    values, missing, problems = _collected(cls, source, prefixes)
    if missing or problems:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += problems
        if missing and (lookalikes := _lookalikes(cls, source, prefixes)):
            parts.append(f"set, but for another type or generation: {', '.join(lookalikes)}")
        error_class = ConfigError if problems or prefixes == ("",) else EnvVarNotSetError
        raise error_class("settings: " + "; ".join(parts), resource_id=resource_id)
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"settings: {error}", resource_id=resource_id) from None


_VENDOR_KEY = r"QRMI_[A-Z]+_[A-Z]+_(.+)"


def _lookalikes(
    cls: type[Settings], source: Mapping[str, str], prefixes: tuple[str, ...]
) -> list[str]:
    """Keys in the source that end like one of ours under another vendor's or generation's word."""
    known = cls.known_keys()
    endings = {match[1] for key in known if (match := re.fullmatch(_VENDOR_KEY, key))}
    return sorted(
        key
        for key in source
        for prefix in prefixes
        if key.startswith(prefix)
        and (bare := key.removeprefix(prefix)) not in known
        and (match := re.fullmatch(_VENDOR_KEY, bare))
        and match[1] in endings
    )
