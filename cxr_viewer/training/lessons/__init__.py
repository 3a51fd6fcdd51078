"""The kinds of lessons a recipe may ask for.

A kind is a module with three functions:

- ``tables()``: the recipe's tables that belong to it, by name, each a dataclass;
- ``masks(recipe)``: whether the films' masks are to be read;
- ``build(recipe, parts)``: the :class:`~cxr_viewer.training.lesson.Lesson`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.lesson import Lesson
from cxr_viewer.training.parts import Parts
from cxr_viewer.training.recipe import Recipe

KINDS = ("classify", "guard", "segment")


@dataclass(frozen=True, slots=True)
class Kind:
    """What the module of a kind offers; see above."""

    tables: Callable[[], Mapping[str, type]]
    masks: Callable[[Recipe], bool]
    build: Callable[[Recipe, Parts], Lesson]


def kind_of(recipe: Recipe) -> Kind:
    """The kind of lesson that a recipe asks for, its tables checked.

    Raises:
        CxrError: no such kind, or a table or key that it does not know.
    """
    if recipe.lesson == "classify":
        from cxr_viewer.training.lessons import classify

        kind = Kind(classify.tables, classify.masks, classify.build)
    elif recipe.lesson == "guard":
        from cxr_viewer.training.lessons import guard

        kind = Kind(guard.tables, guard.masks, guard.build)
    elif recipe.lesson == "segment":
        from cxr_viewer.training.lessons import segment

        kind = Kind(segment.tables, segment.masks, segment.build)
    else:
        raise CxrError(
            f"The recipe “{recipe.origin}” asks for the lesson “{recipe.lesson}”, which is not known.",
            hint=f"Known: {', '.join(KINDS)}.",
            code="recipe",
        )
    recipe.check_tables(kind.tables())
    return kind
