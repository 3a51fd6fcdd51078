"""For whom a model is meant, held against what a film says of itself. Pure; nothing is loaded."""

from __future__ import annotations

import re
import unicodedata

from cxr_viewer.core.filmcheck import FilmCheck, ViewSource
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.image import Caution, Radiograph, View
from cxr_viewer.core.wording import plain

_VIEWS = {
    View.PA: "a PA film",
    View.AP: "an AP film",
    View.LATERAL: "a lateral film",
    View.OTHER: "another view",
}
_OLDEST = 150
CHEST = re.compile(r"CHEST|THORA|TORAX|TORACE|LUNG|PULMO|POUMON|BRUSTKORB|RIB|HEART|CARDIA|MEDIASTIN")
"""Names of the chest in the languages that files are written in, against :func:`code_letters`."""


def limits(card: ModelCard, image: Radiograph, check: FilmCheck | None = None) -> tuple[Caution, ...]:
    """Why the model's score does not hold for this film; empty where nothing speaks against it.

    Args:
        check: what the film looks like, where that was asked: it names a view that the file does not.
    """
    found = [_age_limit(card, image), _view_limit(card, image, check), _body_part_limit(image)]
    return tuple(limit for limit in found if limit is not None)


def population_text(card: ModelCard) -> str:
    """For whom the card says it is meant: ``"children of 1 to 5 years, PA and AP films"``; empty for any film."""
    ages = "" if card.intended_ages is None else _people(card.intended_ages)
    views = f"{views_text(card)} films" if card.intended_views else ""
    return ", ".join(part for part in (ages, views) if part)


def _age_limit(card: ModelCard, image: Radiograph) -> Caution | None:
    if card.intended_ages is None:
        return None
    tag = "PatientAge (0010,1010)"
    age = image.patient.age_years
    trained = f"Trained on {_people(card.intended_ages)}"
    if age is None or not 0 <= age <= _OLDEST:
        return Caution("age-unknown", f"{trained}; the age of this patient is not known.", tag)
    youngest, oldest = card.intended_ages
    if youngest <= age < oldest + 1:
        return None
    return Caution("age-outside", f"{trained}; this patient is {_age(age)}.", tag)


def _people(ages: tuple[float, float]) -> str:
    youngest, oldest = ages
    who = "children" if oldest < 18 else "adults" if youngest >= 18 else "patients"
    return f"{who} of {youngest:g} to {oldest:g} years"


def _age(years: float) -> str:
    """Age in words; exact ages above 89 may identify a person (45 CFR 164.514(b)(2)(i)(C))."""
    if years >= 90:
        return "90 or older"
    if years < 2:
        months = int(years * 12 + 1e-6)
        if months < 1:
            return "less than a month old"
        return f"{months} month{'' if months == 1 else 's'} old"
    return str(int(years))


def view_of(image: Radiograph, check: FilmCheck | None = None) -> View:
    """The view to go by: the file's, or where it is silent what the film check is sure of."""
    return image.view if check is None or image.view is not View.UNKNOWN else check.view


def view_words(view: View, check: FilmCheck | None = None) -> str:
    """``"an AP film"``, ``"a lateral film by its looks (the file does not say)"``; not for ``UNKNOWN``."""
    looks = check is not None and check.view_source is ViewSource.NETWORK and check.view is view
    return f"{_VIEWS[view]}{' by its looks (the file does not say)' if looks else ''}"


def _view_limit(card: ModelCard, image: Radiograph, check: FilmCheck | None) -> Caution | None:
    view = view_of(image, check)
    if not card.intended_views or view is View.UNKNOWN or view.value in card.intended_views:
        return None
    text = f"Trained on {views_text(card)} films; this is {view_words(view, check)}."
    return Caution("view-outside", text, "ViewPosition (0018,5101)")


def views_text(card: ModelCard) -> str:
    views = [view.lower() if view in ("LATERAL", "OTHER") else view for view in card.intended_views]
    return views[0] if len(views) == 1 else f"{', '.join(views[:-1])} and {views[-1]}"


def _body_part_limit(image: Radiograph) -> Caution | None:
    part = code_letters(image.body_part)
    if not part or CHEST.search(part):
        return None
    text = f"The file says it shows {part_text(image)}, which this program does not know to be the chest."
    return Caution("body-part-unknown", text, "BodyPartExamined (0018,0015)")


def part_text(image: Radiograph) -> str:
    return f"“{plain(image.body_part)[:32]}”"


def code_letters(text: str) -> str:
    """Upper-case letters and digits of a code, without accents, spaces and punctuation."""
    bare = unicodedata.normalize("NFKD", text)
    return "".join(c for c in bare.upper() if c.isalnum())
