"""``python -I -m qrmi_slurm``, as called by the scripts that Slurm starts."""

from qrmi_slurm.cli import run

run()
