"""Typed access to the tables of a TOML file that was written by somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Reader:
    """Typed access to a TOML table that notes faults instead of stopping at the first.

    Attributes:
        faults: shared with the readers of inner tables, in the order in which they were found.
    """

    def __init__(self, table: Mapping[str, Any], faults: list[str] | None = None, prefix: str = "") -> None:
        self.table = table
        self.faults: list[str] = faults if faults is not None else []
        self._prefix = prefix
        self._asked: set[str] = set()

    def fault(self, text: str) -> None:
        self.faults.append(f"{self._prefix}{text}")

    def text(self, name: str) -> str:
        value = self._value(name)
        if isinstance(value, str) and value.strip():
            return value
        self.fault(f"{name} is missing or not a text")
        return ""

    def optional_text(self, name: str, absent: str = "") -> str:
        value = self._value(name)
        if value is None or isinstance(value, str):
            return absent if value is None else value
        self.fault(f"{name} is not a text")
        return absent

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._value(name)
        if value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            return tuple(value or ())
        self.fault(f"{name} is not a list of texts")
        return ()

    def number(self, name: str) -> float:
        value = self._value(name)
        if _is_number(value):
            return float(value)
        self.fault(f"{name} is missing or not a number")
        return 0.0

    def optional_number(self, name: str) -> float | None:
        return self.number(name) if name in self.table else None

    def numbers(self, name: str) -> tuple[float, ...]:
        value = self._value(name)
        if value is None or (isinstance(value, list) and all(_is_number(item) for item in value)):
            return tuple(float(item) for item in value or ())
        self.fault(f"{name} is not a list of numbers")
        return ()

    def whole(self, name: str) -> int:
        value = self._value(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self.fault(f"{name} is missing or not a whole number")
        return 0

    def whole_numbers(self, name: str) -> tuple[int, ...]:
        found = self.numbers(name)
        if all(item.is_integer() for item in found):
            return tuple(int(item) for item in found)
        self.fault(f"{name} is not a list of whole numbers")
        return ()

    def flag(self, name: str) -> bool:
        value = self._value(name)
        if isinstance(value, bool):
            return value
        self.fault(f"{name} is missing or neither true nor false")
        return False

    def choice(self, name: str, choices: Mapping[str, T], absent: T) -> T:
        word = self.text(name)
        if word in choices:
            return choices[word]
        self.fault(f"{name} is {word!r}, not one of {', '.join(choices)}")
        return absent

    def inner(self, name: str) -> Reader:
        """The section ``[name]``."""
        value = self._value(name)
        if isinstance(value, Mapping):
            return Reader(value, self.faults, f"{name}.")
        self.faults.append(f"the section [{name}] is missing")
        return Reader({}, self.faults, f"{name}.")

    def items(self, name: str) -> list[Reader]:
        """The tables ``[[name]]``."""
        value = self._value(name)
        if value is None or (isinstance(value, list) and all(isinstance(item, Mapping) for item in value)):
            return [Reader(item, self.faults, f"{name}.") for item in value or ()]
        self.faults.append(f"[[{name}]] is not a list of tables")
        return []

    def no_others(self) -> None:
        """Note every entry that nobody asked for: a misspelt one would quietly leave its default in force."""
        for name in self.table:
            if name not in self._asked:
                self.fault(f"{name} is not an entry this program knows")

    def _value(self, name: str) -> Any:
        self._asked.add(name)
        return self.table.get(name)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 1 << 53  # TOML sets whole numbers no limit, float64 does
