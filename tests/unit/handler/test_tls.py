"""A certificate is checked before anything starts, and reached under its own name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flashvsr_handler.serve.errors import Exit, ServeError
from flashvsr_handler.serve.tls import Certificate
from flashvsr_handler.settings import Settings

from tests.unit.handler.certificates import certificate


def test_no_certificate_is_no_tls() -> None:
    assert Certificate.of(Settings()) is None


def test_the_name_on_the_certificate_is_found(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "upscale.example")
    found = Certificate.of(replace(Settings(), tls_cert=str(cert), tls_key=str(key)))
    assert found == Certificate(cert.read_bytes(), "upscale.example")


def test_a_certificate_that_no_client_would_take_is_one_line(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path, "one")
    _, other = certificate(tmp_path, "other")
    for key, text in ((other, "KEY_VALUES_MISMATCH"), (tmp_path / "absent", "No such file")):
        with pytest.raises(ServeError, match=text) as caught:
            Certificate.of(replace(Settings(), tls_cert=str(cert), tls_key=str(key)))
        assert caught.value.exit_code is Exit.USAGE
