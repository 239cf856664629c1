"""The options of the primitives, named as in qiskit-ibm-runtime and checked as they are set.

Unset options are not sent, so the resource's defaults apply. qiskit-ibm-runtime's own classes are
not used, since they move and change between releases and accept values that the service rejects.
Unknown options are sent unchanged and the resource decides about them, unless the name is a near
miss of a known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import attrs

from qrmi_core import InvalidArgumentError
from qrmi_qiskit import vendor
from qrmi_qiskit.checks import (
    FLAG,
    TEXT,
    Check,
    either,
    real,
    require,
    several,
    values_of,
    whole,
    word,
)


class _Unset:
    """The class of `Unset`."""

    def __repr__(self) -> str:
        return "Unset"

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self


Unset: Final = _Unset()
"""The value of an unset option, for which the resource's default applies."""

EXTRAPOLATORS: Final[Mapping[str, int]] = {
    **{"linear": 2, "exponential": 2, "double_exponential": 4, "fallback": 2},
    **{f"polynomial_degree_{degree}": degree + 1 for degree in range(1, 8)},
}
"""Number of noise factors that each extrapolator needs."""

_ELSEWHERE: Final = {
    "environment": "tags, log level and privacy are settings of the resource",
    "max_execution_time": "the limit of a task's time is a setting of the resource",
}
"""Options of qiskit-ibm-runtime outside a primitive's input, and their counterparts here."""


def _read_edges(value: Any) -> list[list[int]]:
    # A CouplingMap has edges; a list is already a list of edges.
    edges = value.get_edges() if hasattr(value, "get_edges") else value
    qubit = whole(0)
    pairs = [[qubit.read(each) for each in values_of(edge)] for edge in values_of(edges)]
    require(all(len(pair) == 2 for pair in pairs))
    return pairs


def _read_noise(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {"__type__": "NoiseModel", "__value__": dict(value)}
    require(type(value).__name__ == "NoiseModel")
    return value


def _read_mapping(value: Any) -> dict[str, Any]:
    require(isinstance(value, Mapping) and all(isinstance(key, str) for key in value))
    return dict(value)


def _read_layer_noise(value: Any) -> Any:
    require(not isinstance(value, str | bytes | int | float | Mapping))
    return list(value) if isinstance(value, Sequence) else value


_AUTO = word("auto")
_MAPPING = Check("a mapping", _read_mapping)
_FORM = "qrmi_form"
_GROUP = "qrmi_group"


def _option(check: Check, *, null: bool = False) -> Any:
    """Return the attribute of an option.

    Args:
        check: The check of its value.
        null: True if None is a value to send; otherwise None means unset.
    """
    if null:
        check = attrs.evolve(check, form=f"{check.form}, or None")

    def convert(value: Any, section: Any, field: Any) -> Any:
        if value is Unset or (value is None and not null):
            return Unset
        if value is None:
            return None
        return check(f"option `{section.name_of(field.name)}`", value)

    return attrs.field(
        default=Unset,
        converter=attrs.Converter(convert, takes_self=True, takes_field=True),
        metadata={_FORM: check.form},
    )


def _section(kind: type[_Section]) -> Any:
    """Return the attribute of an option group, set by an instance or by a mapping."""

    def convert(value: Any, section: Any, field: Any) -> Any:
        if isinstance(value, kind):
            return value
        if value is None or value is Unset:
            return kind()
        if isinstance(value, Mapping):
            return kind.from_mapping(value)
        raise InvalidArgumentError(
            f"option `{section.name_of(field.name)}` must be a mapping or {kind.__name__}, "
            f"not {value!r:.80}"
        )

    return attrs.field(
        factory=kind,
        converter=attrs.Converter(convert, takes_self=True, takes_field=True),
        metadata={_GROUP: kind},
    )


@attrs.define(kw_only=True)
class _Section:
    """Options that can be set as attributes, by `update` and from a mapping.

    Unknown options in a mapping or in `update` are kept unchanged.
    """

    _path: ClassVar[str] = ""

    _others: dict[str, Any] = attrs.field(factory=dict, alias="_others", repr=False)

    @classmethod
    def name_of(cls, name: str) -> str:
        """Return the full name of an option, for messages."""
        return f"{cls._path}.{name}" if cls._path else name

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Return the options in a mapping.

        Raises:
            InvalidArgumentError: A name is a near miss of a known one, or a value is wrong.
        """
        options = cls()
        options.update(**values)
        return options

    @classmethod
    def described(cls) -> Iterator[tuple[str, str]]:
        """Yield the full name and the requirement of every option."""
        for name, field in _known(cls).items():
            if _GROUP in field.metadata:
                yield from field.metadata[_GROUP].described()
            else:
                yield cls.name_of(name), field.metadata[_FORM]

    def update(self, **values: Any) -> None:
        """Set some options, and keep the others.

        Raises:
            InvalidArgumentError: A name is a near miss of a known one, or a value is wrong; then
                nothing is set.
        """
        known = list(_known(type(self)))
        new: dict[str, Any] = {}
        others = dict(self._others)
        for name, value in values.items():
            if name not in known:
                self._refuse_mistake(name, known)
                others[name] = Unset if value is None else value
                continue
            now = getattr(self, name)
            if isinstance(now, _Section) and isinstance(value, Mapping):
                # Use a copy, so that an error leaves everything unchanged.
                group = attrs.evolve(now)
                group.update(**value)
                value = group
            new[name] = value
        new["_others"] = {name: value for name, value in others.items() if value is not Unset}
        checked = attrs.evolve(self, **new)
        for name in new:
            setattr(self, name, getattr(checked, name))

    def to_dict(self) -> dict[str, Any]:
        """Return the options that are set, nested as in the payload.

        Raises:
            InvalidArgumentError: Options contradict one another.
        """
        self._check()
        found = dict(self._others)
        for name in _known(type(self)):
            value = getattr(self, name)
            if isinstance(value, _Section):
                value = value.to_dict() or Unset
            if value is not Unset:
                found[name] = value
        return found

    def _check(self) -> None:
        """Check that the options of the group do not contradict each other."""

    def _refuse_mistake(self, name: str, known: list[str]) -> None:
        """Raise if an unknown option is a near miss of a known one, or belongs elsewhere."""
        full = self.name_of(name)
        if not self._path and name in _ELSEWHERE:
            raise InvalidArgumentError(f"option `{full}` does not exist here: {_ELSEWHERE[name]}")
        near = difflib.get_close_matches(name, known, n=1)
        near += [each for each in known if name in each.split("_")]
        of_another = any(f"{each}.".startswith(f"{full}.") for each in _names())
        if of_another or (near and not vendor.has_option(full)):
            meant = f"; did you mean `{self.name_of(near[0])}`?" if near else ""
            raise InvalidArgumentError(
                f"option `{full}` is unknown{meant} (known there: {', '.join(known)})"
            )


def _known(kind: type[_Section]) -> dict[str, Any]:
    """Return the option fields of a class, by name."""
    return {
        name: field
        for name, field in attrs.fields_dict(kind).items()
        if not field.metadata.keys().isdisjoint((_FORM, _GROUP))
    }


def _names() -> Iterator[str]:
    """Yield the full names of the options of any primitive."""
    for options in (SamplerOptions, EstimatorOptions):
        yield from (name for name, _ in options.described())


@attrs.define(kw_only=True)
class DynamicalDecouplingOptions(_Section):
    """Gate sequences that protect idle qubits."""

    _path: ClassVar[str] = "dynamical_decoupling"

    enable: bool | _Unset = _option(FLAG)
    sequence_type: str | _Unset = _option(word("XX", "XpXm", "XY4"))
    extra_slack_distribution: str | _Unset = _option(word("middle", "edges"))
    scheduling_method: str | _Unset = _option(word("alap", "asap"))
    skip_reset_qubits: bool | _Unset = _option(FLAG)


@attrs.define(kw_only=True)
class ExecutionOptions(_Section):
    """Options for the repetition of circuits; `rep_delay` is in seconds."""

    _path: ClassVar[str] = "execution"

    init_qubits: bool | _Unset = _option(FLAG)
    rep_delay: float | _Unset = _option(real(0))


@attrs.define(kw_only=True)
class SamplerExecutionOptions(ExecutionOptions):
    """The sampler's options for the repetition of circuits and the type of its results."""

    meas_type: str | _Unset = _option(word("classified", "kerneled", "avg_kerneled"))


@attrs.define(kw_only=True)
class TwirlingOptions(_Section):
    """Averaging over randomised, equivalent circuits."""

    _path: ClassVar[str] = "twirling"

    enable_gates: bool | _Unset = _option(FLAG)
    enable_measure: bool | _Unset = _option(FLAG)
    num_randomizations: int | str | _Unset = _option(either(whole(1), _AUTO))
    shots_per_randomization: int | str | _Unset = _option(either(whole(1), _AUTO))
    strategy: str | _Unset = _option(word("active", "active-accum", "active-circuit", "all"))

    @property
    def shots(self) -> int | None:
        """The number of shots per circuit that these options imply, or None."""
        if isinstance(self.num_randomizations, int) and isinstance(
            self.shots_per_randomization, int
        ):
            return self.num_randomizations * self.shots_per_randomization
        return None


@attrs.define(kw_only=True)
class SimulatorOptions(_Section):
    """Options for simulators only."""

    _path: ClassVar[str] = "simulator"

    noise_model: Any = _option(Check("an Aer NoiseModel or its dictionary", _read_noise))
    seed_simulator: int | _Unset = _option(whole(0))
    coupling_map: list[list[int]] | _Unset = _option(
        Check("a CouplingMap or a list of pairs of qubits", _read_edges)
    )
    basis_gates: list[str] | _Unset = _option(several(TEXT, "a list of names"))


@attrs.define(kw_only=True)
class MeasureNoiseLearningOptions(_Section):
    """Options for learning measurement errors."""

    _path: ClassVar[str] = "resilience.measure_noise_learning"

    num_randomizations: int | _Unset = _option(whole(1))
    shots_per_randomization: int | str | _Unset = _option(either(whole(1), _AUTO))


@attrs.define(kw_only=True)
class ZneOptions(_Section):
    """Zero-noise extrapolation."""

    _path: ClassVar[str] = "resilience.zne"

    amplifier: str | _Unset = _option(
        word("gate_folding", "gate_folding_front", "gate_folding_back", "pea")
    )
    noise_factors: list[float] | _Unset = _option(
        several(real(1), "a list of finite numbers of at least 1")
    )
    extrapolator: str | list[str] | _Unset = _option(
        either(
            word(*EXTRAPOLATORS),
            several(word(*EXTRAPOLATORS), "a list of them"),
        )
    )
    extrapolated_noise_factors: list[float] | _Unset = _option(
        several(real(0), "a list of finite numbers of at least 0")
    )

    def _check(self) -> None:
        factors = self.noise_factors if isinstance(self.noise_factors, list) else [1, 3, 5]
        names: list[str] = []
        match self.extrapolator:
            case str(name):
                names = [name]
            case list(several_names):
                names = several_names
        for name in names:
            if len(factors) < EXTRAPOLATORS[name]:
                raise InvalidArgumentError(
                    f"option `{self.name_of('extrapolator')}`: {name} needs at least "
                    f"{EXTRAPOLATORS[name]} noise factors, and there are {len(factors)}"
                )


@attrs.define(kw_only=True)
class PecOptions(_Section):
    """Probabilistic error cancellation; `max_overhead` of None means no limit."""

    _path: ClassVar[str] = "resilience.pec"

    max_overhead: float | _Unset | None = _option(real(0, above=True), null=True)
    noise_gain: float | str | _Unset = _option(either(real(0), _AUTO))


@attrs.define(kw_only=True)
class LayerNoiseLearningOptions(_Section):
    """Options for learning the errors of layers; `max_layers_to_learn` of None means all."""

    _path: ClassVar[str] = "resilience.layer_noise_learning"

    max_layers_to_learn: int | _Unset | None = _option(whole(0), null=True)
    shots_per_randomization: int | _Unset = _option(whole(1))
    num_randomizations: int | _Unset = _option(whole(1))
    layer_pair_depths: list[int] | _Unset = _option(
        several(whole(0), "a list of whole numbers of at least 0")
    )


@attrs.define(kw_only=True)
class ResilienceOptions(_Section):
    """Options for error mitigation."""

    _path: ClassVar[str] = "resilience"

    measure_mitigation: bool | _Unset = _option(FLAG)
    measure_noise_learning: MeasureNoiseLearningOptions = _section(MeasureNoiseLearningOptions)
    zne_mitigation: bool | _Unset = _option(FLAG)
    zne: ZneOptions = _section(ZneOptions)
    pec_mitigation: bool | _Unset = _option(FLAG)
    pec: PecOptions = _section(PecOptions)
    layer_noise_learning: LayerNoiseLearningOptions = _section(LayerNoiseLearningOptions)
    layer_noise_model: Any = _option(
        Check("a NoiseLearnerResult or a list of LayerError", _read_layer_noise)
    )

    def _check(self) -> None:
        if self.pec_mitigation is True and self.zne_mitigation is True:
            raise InvalidArgumentError(
                "options `resilience.pec_mitigation` and `resilience.zne_mitigation` exclude "
                "each other: set one of them to False"
            )


@attrs.define(kw_only=True)
class SamplerOptions(_Section):
    """The options of `SamplerV2`."""

    default_shots: int | _Unset = _option(whole(1))
    dynamical_decoupling: DynamicalDecouplingOptions = _section(DynamicalDecouplingOptions)
    execution: SamplerExecutionOptions = _section(SamplerExecutionOptions)
    twirling: TwirlingOptions = _section(TwirlingOptions)
    simulator: SimulatorOptions = _section(SimulatorOptions)
    experimental: dict[str, Any] | _Unset = _option(_MAPPING)


@attrs.define(kw_only=True)
class EstimatorOptions(_Section):
    """The options of `EstimatorV2`."""

    default_precision: float | _Unset = _option(real(0, above=True))
    default_shots: int | _Unset = _option(whole(1))
    resilience_level: int | _Unset = _option(whole(0, 2))
    seed_estimator: int | _Unset = _option(whole(0))
    dynamical_decoupling: DynamicalDecouplingOptions = _section(DynamicalDecouplingOptions)
    resilience: ResilienceOptions = _section(ResilienceOptions)
    execution: ExecutionOptions = _section(ExecutionOptions)
    twirling: TwirlingOptions = _section(TwirlingOptions)
    simulator: SimulatorOptions = _section(SimulatorOptions)
    experimental: dict[str, Any] | _Unset = _option(_MAPPING)
