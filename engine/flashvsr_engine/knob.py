"""One choice that a user has: its name, what it may be, what it does, and how its value is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from flashvsr_engine.errors import ConfigError
from flashvsr_engine.memory import parse_bytes

Kind = Literal["word", "flag", "integer", "number", "text", "size"]
Value = str | int | float | Path | None

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")


@dataclass(frozen=True, slots=True)
class Knob:
    """A choice.

    kind: word, one of `choices`; flag; integer or number, of `choices` or from `low` to `high`; text; size: bytes,
    "8GiB", "auto" or "none". picture, speed, memory: what it does to each, a sentence. theirs: the default of the
    community's tool where it is another. ours: the community's tool has no such knob. alias: a second name.
    spellings: lower-case words that stand for one of the choices.
    """

    name: str
    kind: Kind
    default: Value
    picture: str
    speed: str
    memory: str
    choices: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    theirs: Value = None
    ours: bool = False
    alias: str | None = None
    spellings: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def allowed(self) -> str:
        """What it may be, for people."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}" if self.kind == "number" else f"{self.low} to {self.high}"
        return {"flag": "true, false", "size": "a size such as 8GiB, auto, none"}.get(self.kind, "text")

    def read(self, value: object) -> Value:
        """The value that was meant; a command line's strings are read as what they say. ConfigError if not allowed."""
        if self.default is None and (value is None or value == ""):
            return None
        read = {"word": self._word, "flag": self._flag, "integer": self._integer, "number": self._number}
        read |= {"text": self._text, "size": self._size}
        meant = read[self.kind](value)
        if self.choices and meant not in self.choices:
            raise self._refusal(value)
        if self.low is not None and self.high is not None:
            assert isinstance(meant, int | float), "only numbers have a range"
            if not self.low <= meant <= self.high:  # nor is NaN
                raise self._refusal(value)
        return meant

    def _word(self, value: object) -> Value:
        text = str(value)
        return self.spellings.get(text.lower(), text)

    def _flag(self, value: object) -> Value:
        text = str(value).lower()
        if text not in _TRUE + _FALSE:
            raise self._refusal(value)
        return text in _TRUE

    def _integer(self, value: object) -> Value:
        try:
            if isinstance(value, int | str) and not isinstance(value, bool):
                return int(value)
        except ValueError as error:
            raise self._refusal(value) from error
        raise self._refusal(value)

    def _number(self, value: object) -> Value:
        try:
            if isinstance(value, int | float | str) and not isinstance(value, bool):
                return float(value)
        except ValueError as error:
            raise self._refusal(value) from error
        raise self._refusal(value)

    def _text(self, value: object) -> Value:
        if isinstance(value, str | Path) and str(value):
            return value
        raise self._refusal(value)

    def _size(self, value: object) -> Value:
        if value is None or str(value).lower() == "none":
            return None
        if str(value).lower() == "auto":
            return "auto"
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise self._refusal(value)
        return parse_bytes(value)

    def _refusal(self, value: object) -> ConfigError:
        default = str(self.default).lower() if isinstance(self.default, bool) else self.default
        return ConfigError(f"{self.name} is {value!r}; allowed: {self.allowed}; leave it out for {default}.")
