"""The published back end for IQM's servers, which no plugin supports."""

raise ModuleNotFoundError(
    "qrmi-compat has no qrmi.qiskit_iqm, since no plugin here reaches IQM's servers (iqm-server): "
    "use IQM's own iqm-client[qiskit], or the published package qrmi in an environment of its own",
    name=__name__,
)
