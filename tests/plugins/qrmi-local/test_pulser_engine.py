"""The Pulser engine: sequences that are simulated for real, and clear refusals."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pulser import Pulse, Register, Sequence
from pulser.devices import AnalogDevice, DigitalAnalogDevice, MockDevice
from pulser.json.abstract_repr.deserializer import deserialize_device

from qrmi_local.engines import EngineError, UnknownResource, pulser as engine

OMEGA = 2 * math.pi  # rad/us
PAYLOADS = Path(__file__).parents[3] / "docs" / "examples" / "payloads"
WHOLE: dict[str, Any] = {
    "version": "1",
    "register": [{"name": "q0", "x": 0.0, "y": 0.0}],
    "channels": {},
    "variables": {},
    "operations": [],
    "device": {},
}


def sequence(
    atoms: int = 1,
    *,
    device: Any = MockDevice,
    spacing: float = 6.0,
    area: float = math.pi,
    measure: bool = True,
) -> Sequence:
    """All atoms driven together, on resonance, by a pulse of this area in rad."""
    register = Register.rectangle(1, atoms, spacing=spacing, prefix="q")
    if device is not MockDevice:
        register = register.with_automatic_layout(device)
    made = Sequence(register, device)
    made.declare_channel("rydberg", "rydberg_global")
    duration = 4 * round(1000 * area / OMEGA / 4)
    made.add(Pulse.ConstantPulse(duration, OMEGA, 0.0, 0.0), "rydberg")
    if measure:
        made.measure("ground-rydberg")
    return made


def run(made: Sequence | bytes, runs: int = 1000, seed: int | None = 7) -> Counter[str]:
    text = made if isinstance(made, bytes) else made.to_abstract_repr().encode()
    result = json.loads(engine.run("EMU_FREE", str(runs), text, seed=seed))
    assert result.keys() == {"counter"}
    return Counter(result["counter"])


class TestResources:
    def test_emu_free_is_there_and_emu_mps_where_installed(self) -> None:
        pytest.importorskip("pulser_simulation")
        found = {resource.resource_id: resource for resource in engine.resources()}
        assert found["EMU_FREE"].num_qubits == 14
        assert found.keys() <= {"EMU_FREE", "EMU_MPS"}

    @pytest.mark.parametrize("resource_id", ["EMU_FREE", "emu_free"])
    def test_the_target_is_a_list_of_devices_that_pulser_reads(self, resource_id: str) -> None:
        listed = json.loads(engine.target(resource_id))
        assert [entry["device_type"] for entry in listed] == [
            deserialize_device(entry["specs"]).name for entry in listed
        ]
        assert deserialize_device(listed[0]["specs"]) == AnalogDevice

    def test_an_unknown_one_is_named(self) -> None:
        with pytest.raises(UnknownResource, match="EMU_TN"):
            engine.target("EMU_TN")
        with pytest.raises(UnknownResource, match="EMU_TN"):
            engine.run("EMU_TN", "1", b"{}")


class TestRun:
    def test_a_pi_pulse_excites_an_atom(self) -> None:
        assert run(sequence()) == {"1": 1000}

    @pytest.mark.parametrize("device", [AnalogDevice, DigitalAnalogDevice, MockDevice])
    def test_near_atoms_block_each_other_on_every_device(self, device: Any) -> None:
        counts = run(sequence(2, device=device, spacing=5.0, area=math.pi / math.sqrt(2)))
        assert counts["11"] < 30
        assert abs(counts["01"] - counts["10"]) < 160
        assert counts["01"] + counts["10"] > 950

    def test_far_atoms_do_not(self) -> None:
        assert run(sequence(2, spacing=40.0)) == {"11": 1000}

    def test_characters_are_in_the_order_of_the_register(self) -> None:
        made = Sequence(Register({"b": (0, 0), "a": (40, 0)}), MockDevice)
        made.declare_channel("local", "rydberg_local", initial_target="a")
        made.add(Pulse.ConstantPulse(500, OMEGA, 0.0, 0.0), "local")
        made.measure("ground-rydberg")
        assert run(made) == {"01": 1000}

    def test_the_digital_basis(self) -> None:
        made = Sequence(Register({"a": (0, 0), "b": (40, 0)}), DigitalAnalogDevice)
        made.declare_channel("raman", "raman_local", initial_target="a")
        made.add(Pulse.ConstantPulse(500, OMEGA, 0.0, 0.0), "raman")
        made.measure("digital")
        assert run(made) == {"10": 1000}

    @pytest.mark.parametrize(("basis", "expected"), [("ground-rydberg", "01"), ("digital", "10")])
    def test_both_bases_at_once(self, basis: str, expected: str) -> None:
        made = Sequence(Register({"a": (0, 0), "b": (40, 0)}), MockDevice)
        made.declare_channel("raman", "raman_local", initial_target="a")
        made.declare_channel("rydberg", "rydberg_local", initial_target="b")
        made.add(Pulse.ConstantPulse(500, OMEGA, 0.0, 0.0), "raman")
        made.add(Pulse.ConstantPulse(500, OMEGA, 0.0, 0.0), "rydberg")
        unmeasured = made.to_abstract_repr().encode()
        made.measure(basis)
        assert run(made) == {expected: 1000}
        with pytest.raises(EngineError, match=r"has no measurement.*add sequence\.measure"):
            run(unmeasured)

    @pytest.mark.parametrize("basis", ["ground-rydberg", "digital"])
    @pytest.mark.parametrize("amplitude", [0.0, OMEGA])
    def test_a_basis_without_pulses_is_measured_as_zeros(
        self, basis: str, amplitude: float
    ) -> None:
        made = Sequence(Register({"a": (0, 0), "b": (40, 0)}), MockDevice)
        made.declare_channel("raman", "raman_global")
        made.declare_channel("rydberg", "rydberg_global")
        other = "raman" if basis == "ground-rydberg" else "rydberg"
        made.add(Pulse.ConstantPulse(500, amplitude, 0.0, 0.0), other)
        made.measure(basis)
        assert run(made) == {"00": 1000}

    def test_the_xy_basis(self) -> None:
        made = Sequence(Register({"a": (0, 0), "b": (100, 0)}), MockDevice)
        made.declare_channel("microwave", "mw_global")
        made.add(Pulse.ConstantPulse(500, OMEGA, 0.0, 0.0), "microwave")
        made.measure("XY")
        assert run(made)["11"] > 990

    def test_a_measurement_is_added_where_one_basis_is_addressed(self) -> None:
        assert run(sequence(2, measure=False)) == run(sequence(2))

    def test_equal_seeds_give_equal_results_and_no_seed_new_ones(self) -> None:
        made = sequence(3, area=1.0)
        assert run(made, seed=3) == run(made, seed=3)
        assert len({str(run(made, seed=None)) for _ in range(4)}) > 1

    def test_the_documentation_s_payload(self) -> None:
        payload = json.loads((PAYLOADS / "rydberg_blockade.json").read_text())
        counts = run(payload["sequence"].encode(), payload["job_runs"])
        assert counts.total() == 1000
        assert counts["01"] + counts["10"] > 950

    def test_on_tensor_networks(self) -> None:
        pytest.importorskip("emu_mps")
        text = sequence(2, area=math.pi / math.sqrt(2), spacing=5.0).to_abstract_repr().encode()
        first, second = (engine.run("EMU_MPS", "1000", text, seed=3) for _ in range(2))
        assert first == second
        counts = Counter(json.loads(first)["counter"])
        assert counts["01"] + counts["10"] > 950


class TestRefusals:
    def test_of_too_many_atoms(self) -> None:
        with pytest.raises(EngineError, match=r"15 atoms .* EMU_FREE, which takes 14: .*EMU_MPS"):
            run(sequence(15))

    def test_of_a_parametrised_sequence(self) -> None:
        made = Sequence(Register({"a": (0, 0)}), MockDevice)
        made.declare_channel("rydberg", "rydberg_global")
        amplitude = made.declare_variable("amplitude")
        made.add(Pulse.ConstantPulse(100, amplitude, 0.0, 0.0), "rydberg")
        with pytest.raises(EngineError, match=r"variables without values \(amplitude\).*build"):
            run(made)
        assert run(made.build(amplitude=OMEGA).to_abstract_repr().encode())["1"] > 0

    def test_of_a_sequence_that_pulser_refuses(self) -> None:
        document = json.loads(sequence().to_abstract_repr())
        document["operations"][0]["amplitude"]["value"] = -1.0
        with pytest.raises(EngineError) as refusal:
            run(json.dumps(document).encode())
        assert "\n" not in str(refusal.value)
        with pytest.raises(EngineError) as refusal:
            run(json.dumps(WHOLE).encode())
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            (("operations", 0, "op"), "foo", r"operations\[0\].op 'foo': 'pulse' was expected"),
            (
                ("operations", 0, "amplitude", "kind"),
                "foo",
                r"operations\[0\].amplitude.kind 'foo'",
            ),
            (
                ("operations", 0, "phase"),
                "x",
                r"operations\[0\].phase: 'x' is not of type 'number'",
            ),
            (("device",), {}, "device: 'channels' is a required property"),
            (("device", "name"), 3, "device.name: 3 is not of type 'string'"),
            (("version",), "2", "version '2': '1' was expected"),
            (("register", 0, "x"), "a", r"register\[0\].x: 'a' is not of type 'number'"),
            (("operations",), "z" * 999, r"operations: 'zz.*is not of type 'array'"),
        ],
    )
    def test_say_what_is_wrong_where(self, path: tuple[Any, ...], value: Any, message: str) -> None:
        document = json.loads(sequence().to_abstract_repr())
        *way, last = path
        place = document
        for step in way:
            place = place[step]
        place[last] = value
        with pytest.raises(EngineError, match=f"^the sequence is not valid at {message}") as found:
            run(json.dumps(document).encode())
        assert len(str(found.value)) < 250


class TestCheck:
    @pytest.mark.parametrize("runs", [0, -1, 1.5, "+3", True, None, 10**9])
    def test_of_runs(self, runs: Any) -> None:
        with pytest.raises(EngineError, match="job_runs is not a whole number from 1 to"):
            engine.check(str(runs), json.dumps(WHOLE).encode())

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (b"{", "not JSON"),
            (b"\xff", "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b"[]", r"not what Sequence\.to_abstract_repr\(\) gives: it needs version"),
            (b'{"setup": {}, "hamiltonian": {}}', "it needs version, register"),
            (WHOLE | {"variables": {"a": {}, "b": {}}}, r"without values \(a, b\)"),
            (WHOLE | {"variables": [1]}, "without values"),
            (WHOLE | {"register": None}, "where each atom is"),
            (WHOLE | {"register": [{"qid": "q0"}]}, "where each atom is"),
            (WHOLE | {"register": []}, "register has no atoms"),
        ],
    )
    def test_refuses_in_words(self, text: Any, message: str) -> None:
        text = text if isinstance(text, bytes) else json.dumps(text).encode()
        with pytest.raises(EngineError, match=message):
            engine.check("1", text)

    def test_takes_what_runs(self) -> None:
        engine.check("1", sequence().to_abstract_repr().encode())

    @settings(deadline=None)
    @given(st.binary(), st.integers() | st.none() | st.text())
    def test_raises_nothing_else_on_bytes(self, text: bytes, runs: Any) -> None:
        self._only_refuses(text, runs)
        self._only_refuses(text, 1)

    @settings(deadline=None)
    @given(
        st.fixed_dictionaries(
            {},
            optional={
                name: st.recursive(
                    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                    lambda inner: (
                        st.lists(inner, max_size=4)
                        | st.dictionaries(st.sampled_from(["x", "y", "name", "\n"]), inner)
                    ),
                    max_leaves=8,
                )
                for name in WHOLE
            },
        )
    )
    def test_raises_nothing_else_on_json(self, document: Any) -> None:
        self._only_refuses(json.dumps(document).encode(), 1)
        self._only_refuses(json.dumps(WHOLE | document).encode(), 1)

    @staticmethod
    def _only_refuses(text: bytes, runs: Any) -> None:
        try:
            engine.check(str(runs), text)
        except EngineError as refusal:
            assert "\n" not in str(refusal)
