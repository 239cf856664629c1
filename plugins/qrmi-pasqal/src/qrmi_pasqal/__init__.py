"""Quantum resources of Pasqal: the cloud service, and QPUs on premises behind Warden."""
