"""Fetching the published weights; needs the extra `flashvsr-engine[fetch]`."""
