"""Qiskit's sampler on Pasqal's machines and emulators."""

from qrmi.primitives.pasqal.sampler import (
    QPPSamplerV2 as QPPSamplerV2,
    QRMIPasqalBackend as QRMIPasqalBackend,
    QRMIPasqalJob as QRMIPasqalJob,
)
from qrmi.primitives.pasqal.target import get_device as get_device, get_target as get_target

SamplerV2 = QPPSamplerV2
