"""Settings as values, checked when they are made."""

from flashvsr_client.config.access import DEFAULT_SERVER, SYSTEM_CA, TOKEN_VARIABLE, Access, RetryPolicy, Timeout
from flashvsr_client.config.jobs import MAX_OVERLAP, MAX_WARM_UP, JobOptions, Limits, Segmentation
from flashvsr_client.config.local import LocalOptions
from flashvsr_client.config.media import HDR_TREATMENTS, Encoding, Reading

__all__ = [
    "DEFAULT_SERVER",
    "HDR_TREATMENTS",
    "MAX_OVERLAP",
    "MAX_WARM_UP",
    "SYSTEM_CA",
    "TOKEN_VARIABLE",
    "Access",
    "Encoding",
    "JobOptions",
    "Limits",
    "LocalOptions",
    "Reading",
    "RetryPolicy",
    "Segmentation",
    "Timeout",
]
