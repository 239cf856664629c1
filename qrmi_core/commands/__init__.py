"""Tools for commands, on which `qrmi` and commands of other distributions are built.

`exits` maps errors to exit statuses and messages, `inputs` reads INPUT files, `output` prints
messages and tables, `results` prints and saves results, and `signals` turns SIGINT and SIGTERM into
exceptions.
"""
