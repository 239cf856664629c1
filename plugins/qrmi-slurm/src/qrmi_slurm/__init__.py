"""QPUs as scheduled resources of Slurm: `qrmi-slurm prolog | task-prolog | epilog | sweep`.

Slurm starts these programs for every job of the cluster, so that each imports as little as it can:
the modules for a job without a QPU are `cli`, `keys`, `site`, `trust`, `variables`
and `words`.
"""
