"""Random faults for a long time: ``python -m bench.chaos``."""
