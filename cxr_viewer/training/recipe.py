"""A recipe: everything that decides what comes out of training, besides the films, in one TOML file.

Recipes that travel with the program lie in ``resources/recipes``. ``docs/training.md`` tells what every key means; an
unknown key is refused, because a setting that is silently passed over would make another model than the one asked for.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import InputSpec
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.denoise import DENOISES, STRENGTHS
from cxr_viewer.training.recipe_parts import CardText as CardText
from cxr_viewer.training.recipe_parts import Columns as Columns
from cxr_viewer.training.recipe_parts import FilmsConfig as FilmsConfig
from cxr_viewer.training.recipe_parts import LabelColumn as LabelColumn
from cxr_viewer.training.recipe_parts import LoopConfig as LoopConfig
from cxr_viewer.training.recipe_parts import SplitConfig as SplitConfig

Config = TypeVar("Config")

_KIND_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe as read.

    Attributes:
        lesson: kind of lesson, see :mod:`cxr_viewer.training.lessons`.
        network: name known to :mod:`cxr_viewer.inference.networks`.
        labels: what is learned; empty: every label that the index holds.
        tables: the tables that belong to the lesson, as they stand; read with :meth:`table`.
        origin: file name, for messages.
    """

    name: str
    lesson: str
    network: str
    labels: tuple[LabelColumn, ...]
    input: InputSpec
    films: FilmsConfig
    columns: Columns
    split: SplitConfig
    training: LoopConfig
    card: CardText
    tables: Mapping[str, Mapping[str, Any]]
    origin: str

    @property
    def film_px(self) -> int:
        """Side of the square at which films are kept in memory."""
        return self.films.size_px or self.input.size_px

    def table(self, name: str, kind: type[Config]) -> Config:
        """A table of the lesson as the dataclass ``kind``; all defaults where the recipe has none.

        Raises:
            CxrError: an unknown key or a value of the wrong kind, by name.
        """
        return filled(kind, self.tables.get(name, {}), name, self.origin)

    def check_tables(self, kinds: Mapping[str, type]) -> None:
        """Refuse tables that are none of the lesson's, and faulty values in those that are.

        Raises:
            CxrError: names the table or the key.
        """
        for name in self.tables:
            if name not in kinds:
                raise _fault(f"The recipe “{self.origin}” has an unknown key “{name}”.", known=(*_COMMON, *kinds))
            self.table(name, kinds[name])

    def settings(self) -> dict[str, Any]:
        """All that decides the result, flat: ``{"training.epochs": 20, ...}``; what two runs are compared by."""
        out: dict[str, Any] = {"lesson": self.lesson, "network": self.network}
        parts: dict[str, Any] = {
            name: dataclasses.asdict(getattr(self, name)) for name in ("input", "films", "columns", "split", "training")
        }
        parts["labels"] = {label.name: dataclasses.asdict(label) for label in self.labels}
        parts |= {name: dict(table) for name, table in self.tables.items()}
        _flatten(parts, "", out)
        return out


_COMMON = ("name", "lesson", "network", "labels", "input", "films", "columns", "split", "training", "card")


def read_recipe(which: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe called ``which`` among those that travel with the program, or the file at that path.

    Args:
        changes: ``key=value`` each, e.g. ``training.epochs=3``; the value as in TOML, or a plain text.

    Raises:
        CxrError: no such recipe, not TOML, an unknown key, a value of the wrong kind.
    """
    path = _found(which)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CxrError(
            f"The recipe “{path.name}” cannot be read: {error}.", hint="It has to be a TOML file.", code="recipe"
        ) from error
    for change in changes:
        _change(data, change)
    return recipe_from(data, path.name)


def recipe_from(data: Mapping[str, Any], origin: str) -> Recipe:
    """A recipe from its parsed TOML. Raises like :func:`read_recipe`."""
    for name in ("lesson", "network", "input"):
        if name not in data:
            raise _fault(f"The recipe “{origin}” lacks the key “{name}”.")

    def text(name: str, default: str = "") -> str:
        return str(_value(str, data.get(name, default), name, origin))

    def part(name: str, kind: type[Config]) -> Config:
        return filled(kind, _table(data.get(name, {}), name, origin), name, origin)

    tables = {name: _table(value, name, origin) for name, value in data.items() if name not in _COMMON}
    recipe = Recipe(
        name=text("name", Path(origin).stem),
        lesson=text("lesson"),
        network=text("network"),
        labels=_labels(data.get("labels", []), origin),
        input=part("input", InputSpec),
        films=part("films", FilmsConfig),
        columns=part("columns", Columns),
        split=part("split", SplitConfig),
        training=part("training", LoopConfig),
        card=part("card", CardText),
        tables=tables,
        origin=origin,
    )
    _check(recipe)
    return recipe


def filled(kind: type[Config], table: Mapping[str, Any], where: str, origin: str) -> Config:
    """The dataclass ``kind`` with the values of a table.

    Raises:
        CxrError: an unknown or missing key, or a value of the wrong kind.
    """
    hints = typing.get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in table:
        if name not in fields:
            raise _fault(f"The recipe “{origin}” has an unknown key “{where}.{name}”.", known=tuple(fields))
    for name, item in fields.items():
        needed = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if needed and name not in table:
            raise _fault(f"The recipe “{origin}” lacks the key “{where}.{name}”.")
    values = {name: _value(hints[name], value, f"{where}.{name}", origin) for name, value in table.items()}
    return kind(**values)


def _value(kind: Any, value: Any, where: str, origin: str) -> Any:
    """``value`` as ``kind``: a scalar, a tuple, an optional, a mapping of texts, or a dataclass."""
    origin_kind, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin_kind in (typing.Union, types.UnionType):
        return _value(next(one for one in inner if one is not type(None)), value, where, origin)
    if origin_kind is tuple:
        if isinstance(value, list | tuple) and ((len(inner) == 2 and inner[1] is Ellipsis) or len(value) == len(inner)):
            each = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
            return tuple(_value(one, item, where, origin) for one, item in zip(each, value, strict=True))
        raise _wrong(where, "a list" if inner[-1] is Ellipsis else f"a list of {len(inner)}", value, origin)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return filled(kind, _table(value, where, origin), where, origin)
    if origin_kind is not None:  # a mapping
        return {str(key): _value(inner[1], item, f"{where}.{key}", origin) for key, item in dict(value).items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in _KIND_WORDS and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise _wrong(where, _KIND_WORDS[kind], value, origin)
    return value


def _labels(given: Any, origin: str) -> tuple[LabelColumn, ...]:
    if not isinstance(given, list):
        raise _wrong("labels", "a list", given, origin)
    labels = tuple(
        LabelColumn(item)
        if isinstance(item, str)
        else filled(LabelColumn, _table(item, "labels", origin), "labels", origin)
        for item in given
    )
    names = [label.name for label in labels]
    if len(set(names)) < len(names):
        raise _fault(f"The recipe “{origin}” names a label twice.")
    return labels


def _check(recipe: Recipe) -> None:
    """Values that no film can make sense of."""
    training, split, (low, high) = recipe.training, recipe.split, STRENGTHS
    rules = [
        ("training.epochs", training.epochs >= 1, "at least 1"),
        ("training.batch", training.batch >= 1, "at least 1"),
        ("training.accumulate", 1 <= training.accumulate <= training.batch, "between 1 and training.batch"),
        ("training.patience", training.patience >= 1, "at least 1"),
        ("training.learning_rate", training.learning_rate > 0, "more than 0"),
        ("training.average", 0 <= training.average < 1, "at least 0 and less than 1"),
        ("training.optimizer", training.optimizer in ("adamw", "sgd"), "adamw or sgd"),
        ("split.validation_share", 0 < split.validation_share < 1, "between 0 and 1"),
        ("split.test_share", 0 < split.test_share < 1, "between 0 and 1"),
        ("split.shared", split.shared in ("stop", "leave-out", "keep"), "stop, leave-out or keep"),
        ("input.denoise", recipe.input.denoise in DENOISES, f"one of {', '.join(filter(None, DENOISES))}, or empty"),
        ("input.denoise_strength", low <= recipe.input.denoise_strength <= high, f"between {low:g} and {high:g}"),
        ("input.size_px", recipe.input.size_px >= 8, "at least 8"),
        ("card.ages", len(recipe.card.ages) in (0, 2), "empty or two numbers"),
        ("films.ages", len(recipe.films.ages) in (0, 2), "empty or two numbers"),
    ]
    for name, good, word in rules:
        if not good:
            raise _fault(f"“{name}” in the recipe “{recipe.origin}” has to be {word}.")


def _change(data: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise CxrError(f"“--set {change}” is not of the form key=value.", code="wrong-use")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    table: Any = data
    for name in names[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise CxrError(f"“--set {change}”: “{name}” is no table of the recipe.", code="wrong-use")
    table[names[-1]] = value


def _found(which: str) -> Path:
    folder = resources_dir() / "recipes"
    for path in (Path(which), folder / f"{which}.toml"):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in folder.glob("*.toml")))
    raise CxrError(f"There is no recipe “{which}”.", hint=f"Give a TOML file or one of: {known}.", code="wrong-use")


def _table(value: Any, where: str, origin: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, "a table", value, origin)
    return value


def _flatten(value: Any, name: str, out: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(item, f"{name}.{key}" if name else str(key), out)
    else:
        out[name] = list(value) if isinstance(value, tuple) else value


def _wrong(where: str, word: str, value: object, origin: str) -> CxrError:
    return _fault(f"“{where}” in the recipe “{origin}” has to be {word}, not “{value}”.")


def _fault(summary: str, known: Sequence[str] = ()) -> CxrError:
    return CxrError(summary, hint=f"Known here: {', '.join(known)}." if known else "", code="recipe")
