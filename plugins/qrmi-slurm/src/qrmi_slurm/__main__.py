"""``python -I -m qrmi_slurm``, which is how the scripts that Slurm starts call it."""

from qrmi_slurm.cli import run

run()
