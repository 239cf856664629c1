"""QPUs as scheduled resources of Slurm: `qrmi-slurm prolog | task-prolog | epilog | sweep`.

Slurm starts these programs for every job of the cluster, so that each imports as little as it can:
what a job without a QPU needs is in `cli`, `keys`, `site`, `variables` and `words`.
"""
