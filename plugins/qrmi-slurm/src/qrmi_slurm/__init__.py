"""QPUs as resources that Slurm schedules: `qrmi-slurm prolog | task-prolog | epilog | sweep`.

Slurm starts these programs for every job of the cluster, so each imports as little as possible: a
job without a QPU loads only `cli`, `keys`, `site`, `trust`, `variables` and `words`.
"""
