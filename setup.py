"""What pyproject.toml cannot say: every folder of study and reports is found, and sweeps/ is installed as study_sweeps.

The grid files stay at the top of the repository, where `wandb sweep sweeps/digits.yaml` finds them, and are installed
as a package of their own, so that an installed study can find them from any folder.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["study", "study.*", "reports", "reports.*"]), "study_sweeps"],
    package_dir={"study_sweeps": "sweeps"},
)
