"""The configuration file that points a client at the emulator."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from qrmi_core.plugin import replace_file
from qrmi_emulator.face import Face

MARK: Final = "qrmi-emulator-"
"""The beginning of each face's secret, so that whoever finds one can see where it belongs."""


def document(
    faces: Sequence[Face], url: str, resources: Iterable[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Return a `qrmi_config.json` with one resource of each face, and further ones.

    Args:
        faces: The faces that are served.
        url: The emulator's address.
        resources: Types and ids of further resources.

    Raises:
        ValueError: No face has such a resource.
    """
    wanted = {(face.types[0], face.default_resource): face for face in faces}
    for resource_type, resource_id in resources:
        wanted[resource_type, resource_id] = _face(faces, resource_type, resource_id)
    return {
        "resources": [
            {
                "name": resource_id,
                "type": resource_type,
                "environment": face.environment(resource_type, url),
            }
            for (resource_type, resource_id), face in wanted.items()
        ]
    }


def write(path: Path, content: dict[str, Any], secrets: Collection[str]) -> None:
    """Write the file, readable for the user alone. It replaces only one of the same state.

    Args:
        path: The file.
        content: See `document`.
        secrets: The secrets of the state, by which its own file is recognized.

    Raises:
        FileExistsError: The file is not of an emulator with this state.
        OSError: It cannot be written.
    """
    try:
        if path.exists() and not _is_ours(path, secrets):
            raise FileExistsError(
                f"{path} was not made by the emulator of this state; "
                "name another file, or delete it"
            )
        replace_file(path, json.dumps(content, indent=2).encode() + b"\n")
    except FileExistsError:
        raise
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}") from error


def _face(faces: Sequence[Face], resource_type: str, resource_id: str) -> Face:
    for face in faces:
        if resource_type in face.types:
            if resource_id not in face.resources():
                raise ValueError(f"{face.name} has no resource {resource_id!r}")
            return face
    known = ", ".join(name for face in faces for name in face.types)
    raise ValueError(f"no vendor that is served has the type {resource_type!r}; there are: {known}")


def _is_ours(path: Path, secrets: Collection[str]) -> bool:
    try:
        resources = json.loads(path.read_text())["resources"]
        return bool(resources) and all(
            any(value in secrets for value in resource["environment"].values())
            for resource in resources
        )
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return False
