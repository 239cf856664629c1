"""One exchange with a vendor by HTTP: connections, limits, credentials, retries, failures.

Authors of drivers import from `qrmi_core.plugin`.
"""
