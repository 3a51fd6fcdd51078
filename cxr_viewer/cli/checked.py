"""What the film check and the anatomy model say of a film, as plain values; places are in pixels of the stored film."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cxr_viewer.core.anatomy import Anatomy, Callipers
from cxr_viewer.core.filmcheck import FilmCheck
from cxr_viewer.core.findings import AnalysisResult, SiteCalibration, Withheld
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.image import Caution, PixelSpacing
from cxr_viewer.core.measuring import check_words, not_measured_words, ratio_words, widths_words

Facts = dict[str, Any]


def rectangle(rect: ImageRect) -> dict[str, float]:
    """A part of the film in image pixels."""
    return {"x": rect.x, "y": rect.y, "width": rect.width, "height": rect.height}


def cautions(found: Sequence[Caution]) -> list[dict[str, str]]:
    return [{"code": caution.code, "text": caution.text, "tag": caution.tag} for caution in found]


def check_facts(check: FilmCheck | None, turns: int) -> Facts | None:
    """The answer of the guard; None where none is installed."""
    if check is None:
        return None
    return {
        "kind": check.kind.name.lower().replace("_", "-"),
        "view": check.view.value,
        "view_source": check.view_source.name.lower(),
        "upright_turns": check.upright_turns,
        "signs": [
            {
                "code": sign.code,
                "severity": sign.severity.name.lower(),
                "text": sign.text,
                "hint": sign.hint,
                "share": round(sign.share, 4),
            }
            for sign in check.signs
        ],
        "sentence": f"{check_words(check, turns)}.",
        "model": _model(check),
    }


def anatomy_facts(anatomy: Anatomy | None, spacing: PixelSpacing | None) -> Facts | None:
    """Lungs, heart and cardiothoracic ratio; None where no anatomy model is installed."""
    if anatomy is None:
        return None
    callipers = anatomy.callipers
    return {
        "ctr": None if callipers is None else round(callipers.ratio(spacing), 4),
        "error": anatomy.ratio_error,
        "trusted": anatomy.trusted,
        "lungs": [rectangle(lung) for lung in anatomy.lungs],
        "heart": None if anatomy.heart is None else rectangle(anatomy.heart),
        "heart_side": anatomy.heart_side,
        "callipers": None if callipers is None else _ends(callipers),
        "cautions": cautions(anatomy.cautions),
        "sentence": _ratio_sentence(anatomy, spacing),
        "model": _model(anatomy),
    }


def calibration_facts(site: SiteCalibration | None) -> Facts:
    """Whose calibration the scores carry."""
    if site is None:
        return {"used": "as shipped"}
    return {
        "used": "site",
        "site": site.site,
        "made": site.made,
        "films": site.films,
        "patients": site.patients,
        "labels": [label.name for label in site.labels],
    }


def withheld_facts(withheld: Sequence[Withheld]) -> list[dict[str, str]]:
    return [{"label": one.label, "reason": one.reason} for one in withheld]


def result_facts(result: AnalysisResult, spacing: PixelSpacing | None) -> Facts:
    """All of it for a film that was scored."""
    return {
        "check": check_facts(result.check, result.turns),
        "anatomy": anatomy_facts(result.anatomy, spacing),
        "overridden": list(result.overridden),
        "turns": result.turns,
        "withheld": withheld_facts(result.withheld),
        "calibration": calibration_facts(result.site),
    }


def line(answer: Facts) -> str:
    """One line for a terminal from the facts of an answer; empty where neither model is installed."""
    check, anatomy = answer["check"], answer["anatomy"]
    words = []
    if check is not None:
        words.append(f"Film check: {check['sentence']}")
        words += [sign["text"] for sign in check["signs"] if sign["severity"] == "note"]
    if anatomy is not None:
        words.append(anatomy["sentence"])
    if answer["overridden"] and check is not None:
        passed = [sign["text"] for sign in check["signs"] if sign["code"] in answer["overridden"]]
        words.append(f"Scored all the same: {' '.join(passed)}")
    return " ".join(words)


def _ratio_sentence(anatomy: Anatomy, spacing: PixelSpacing | None) -> str:
    if anatomy.callipers is None:
        return f"No cardiothoracic ratio. {not_measured_words(anatomy)}"
    ratio = ratio_words(anatomy.callipers, anatomy, spacing, reader="you")
    told = " ".join(caution.text for caution in anatomy.cautions)
    return f"Cardiothoracic ratio {ratio}. {widths_words(anatomy.callipers, spacing)}. {told}".rstrip()


def _ends(callipers: Callipers) -> dict[str, list[list[float]]]:
    def both(ends: tuple[Point, Point]) -> list[list[float]]:
        return [[round(end.x, 2), round(end.y, 2)] for end in ends]

    return {"midline": both(callipers.midline), "heart": both(callipers.heart), "chest": both(callipers.chest)}


def _model(told: Anatomy | FilmCheck) -> dict[str, str]:
    return {"id": told.model_id, "version": told.model_version, "sha256": told.model_sha256}
