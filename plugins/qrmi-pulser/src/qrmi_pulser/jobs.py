"""The jobs of a batch: their sequences and parameters, all checked before submission."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from qrmi_core import InvalidArgumentError, InvalidResponseError
from qrmi_core.plugin import PasqalCloud
from qrmi_pulser.errors import in_short

if TYPE_CHECKING:
    from pulser import Sequence
    from pulser.backend import EmulationConfig


END: Final = [1.0]
"""The relative time at which bit strings are counted."""


@attrs.frozen
class Program:
    """The properties of a sequence that its results need.

    Args:
        atom_order: The atoms, in the order of the bit strings.
        total_duration: Duration in nanoseconds.
    """

    atom_order: tuple[str, ...]
    total_duration: int


def program_of(sequence: Sequence) -> Program:
    """Return the properties of a sequence without variables."""
    return Program(tuple(map(str, sequence.register.qubit_ids)), sequence.get_duration())


def read_program(text: str) -> Program:
    """Return the properties of a sequence in its abstract representation.

    Raises:
        InvalidResponseError: The text is something else, or the sequence has variables.
    """
    from pulser import Sequence

    try:
        return program_of(Sequence.from_abstract_repr(text))
    except Exception as error:
        raise InvalidResponseError(f"the sequence cannot be read: {in_short(error)}") from error


def make_jobs(
    sequence: Sequence, job_params: object, default_runs: int | None, max_runs: int | None
) -> list[tuple[PasqalCloud, Program]]:
    """Build the sequence of each job.

    Args:
        sequence: A measured sequence, which may have variables or a mappable register.
        job_params: As in Pulser, a list of ``{"runs": ..., "variables": {...}}``.
        default_runs: Default number of runs; None if each job must set it.
        max_runs: Maximum number of runs on the device; None for no limit.

    Raises:
        InvalidArgumentError: The parameters are wrong, or do not fit the sequence.
    """
    if not isinstance(job_params, list | tuple) or not job_params:
        given = "None" if job_params is None else repr(job_params)[:60]
        raise InvalidArgumentError(
            f"job_params must be a list with the parameters of at least one job, not {given}: "
            "run(job_params=[{'runs': 100}])"
        )
    return [
        _make_job(sequence, params, f"job {number} of job_params", default_runs, max_runs)
        for number, params in enumerate(job_params)
    ]


def _make_job(
    sequence: Sequence, params: object, job: str, default_runs: int | None, max_runs: int | None
) -> tuple[PasqalCloud, Program]:
    if not isinstance(params, Mapping):
        raise InvalidArgumentError(f"{job} must be a mapping, not {type(params).__name__}")
    if unknown := params.keys() - {"runs", "variables"}:
        names = ", ".join(sorted(map(str, unknown)))
        raise InvalidArgumentError(f"{job}: {names} is unknown (known: runs, variables)")
    runs = _runs(params.get("runs", default_runs), job, max_runs)
    built = _build(sequence, params.get("variables"), job)
    payload = PasqalCloud(sequence=built.to_abstract_repr(), job_runs=runs)
    return payload, program_of(built)


def _runs(runs: Any, job: str, max_runs: int | None) -> int:
    if runs is None:
        raise InvalidArgumentError(f"{job} sets no number of runs: add 'runs'")
    if isinstance(runs, bool) or not hasattr(runs, "__index__") or runs < 1:
        raise InvalidArgumentError(
            f"{job}: runs must be a whole number of at least 1, not {runs!r:.40}"
        )
    if max_runs is not None and runs > max_runs:
        raise InvalidArgumentError(f"{job}: runs is {runs}, but the device does at most {max_runs}")
    return int(runs)


def _build(sequence: Sequence, variables: Any, job: str) -> Sequence:
    # Published examples pass an empty list instead of variables.
    if variables and not isinstance(variables, Mapping):
        raise InvalidArgumentError(f"{job}: variables must be a mapping of names to values")
    if sequence.is_parametrized() or sequence.is_register_mappable():
        try:
            return sequence.build(**(variables or {}))
        except Exception as error:
            raise InvalidArgumentError(
                f"{job}: the sequence cannot be built with these variables: {in_short(error)}"
            ) from error
    if variables:
        raise InvalidArgumentError(
            f"{job} has variables ({', '.join(map(str, variables))}), and the sequence has none"
        )
    return sequence


def default_runs_of(configuration: EmulationConfig | None) -> int | None:
    """Return the default number of runs in the configuration of an emulator's backend.

    Raises:
        InvalidArgumentError: The configuration has settings that cannot be sent with a sequence.
    """
    if configuration is None:
        return None
    from pulser import NoiseModel
    from pulser.backend import BitStrings

    # A backend's own configuration has all fields; a plain one has only some.
    options: dict[str, Any] = {
        name: getattr(configuration, name, None)
        for name in (
            *("observables", "callbacks", "initial_state", "with_modulation"),
            *("interaction_matrix", "prefer_device_noise_model", "noise_model"),
        )
    }
    observables = options.pop("observables") or ()
    refused = [f"observable {each.tag}" for each in observables if type(each) is not BitStrings]
    default_times = getattr(configuration, "default_evaluation_times", END)
    for each in observables:
        times = default_times if each.evaluation_times is None else each.evaluation_times
        if list(times) != END:
            refused.append(f"evaluation times of {each.tag}")
    if options["noise_model"] == NoiseModel():
        del options["noise_model"]
    for name, value in options.items():
        if value is not None and value is not False and (name != "callbacks" or value):
            refused.append(name)
    if refused:
        raise InvalidArgumentError(
            f"the backend's config asks for {', '.join(refused)}, which a task cannot carry: the "
            "resource runs the sequence and counts the bit strings at its end"
        )
    with warnings.catch_warnings():
        # Reading the attribute warns that its default has changed.
        warnings.simplefilter("ignore", RuntimeWarning)
        shots = next((each.num_shots for each in observables), None)
    runs: int | None = shots or getattr(configuration, "default_num_shots", None)
    return runs
