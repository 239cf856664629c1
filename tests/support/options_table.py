"""The table of options in qrmi-qiskit's README, generated from the option classes."""

from __future__ import annotations

from qrmi_qiskit import EstimatorOptions, SamplerOptions


def options_table() -> str:
    """Return a row for every option, with the primitives that have it."""
    sampler, estimator = (
        dict(options.described()) for options in (SamplerOptions, EstimatorOptions)
    )
    rows = ["| option | sampler | estimator | value |", "| --- | --- | --- | --- |"]
    for name in dict.fromkeys([*sampler, *estimator]):
        form = (sampler.get(name) or estimator[name]).replace('"', "`")
        there = ("yes" if name in options else "" for options in (sampler, estimator))
        rows.append(f"| `{name}` | {' | '.join(there)} | {form} |")
    return "\n".join(rows)
