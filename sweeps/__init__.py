"""The grid files of the study, one per exhibit of the paper; installed as the package ``study_sweeps``."""
