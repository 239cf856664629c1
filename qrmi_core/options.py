"""Options of a task that vendors have in common."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from qrmi_core.errors import InvalidArgumentError
from qrmi_core.values import Value


def _listed(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):  # an iterable too, of its letters
        raise InvalidArgumentError(f"tags must be a list of strings, not the string {tags!r}")
    return tuple(tags)


@attrs.frozen(eq=False, repr=False, kw_only=True)
class TaskOptions(Value):
    """Options of one task. A driver names those that it honours in `Driver.task_options`.

    Args:
        name: A name for people, in the vendor's list of tasks.
        tags: Words by which the vendor's list of tasks can be searched.
        max_seconds: The longest time that the task may execute, in seconds.

    Raises:
        InvalidArgumentError: A value is malformed.
    """

    name: str | None = None
    tags: tuple[str, ...] = attrs.field(default=(), converter=_listed)
    max_seconds: float | None = None

    def __attrs_post_init__(self) -> None:
        limit = self.max_seconds
        if self.name is not None and not (isinstance(self.name, str) and self.name.strip()):
            raise InvalidArgumentError(f"name must be text that is not blank, not {self.name!r}")
        if not all(isinstance(tag, str) and tag.strip() for tag in self.tags):
            raise InvalidArgumentError(f"tags must be strings that are not blank: {self.tags!r}")
        if limit is not None and not (
            isinstance(limit, int | float)
            and not isinstance(limit, bool)
            and 0 < limit < float("inf")
        ):
            raise InvalidArgumentError(
                f"max_seconds must be a number of seconds above 0, not {limit!r}"
            )

    def given(self) -> list[str]:
        """Return the names of the options that are set."""
        return [field.name for field in attrs.fields(TaskOptions) if getattr(self, field.name)]
