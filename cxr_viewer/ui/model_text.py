"""The card of a model, and the offer of one, as rich text. Everything in it is escaped: cards are foreign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from cxr_viewer.core.findings import InputSpec, LabelSpec, MapEvidence, Metric, ModelCard, Proof, ScoreKind, Task
from cxr_viewer.core.offers import InstallProgress, Offer
from cxr_viewer.core.suitability import population_text
from cxr_viewer.core.wording import score_text
from cxr_viewer.ui import theme

STYLE = f"""
h2 {{ font-size: 13pt; margin-bottom: 2px; }}
p.head {{ color: {theme.MUTED}; font-weight: 600; margin-top: 12px; }}
p {{ margin-top: 2px; margin-bottom: 2px; }}
td, th {{ padding-right: 14px; padding-bottom: 2px; }}
th {{ color: {theme.MUTED}; font-weight: normal; text-align: left; }}
.muted {{ color: {theme.MUTED}; }}
.caution {{ color: {theme.CAUTION}; }}
.error {{ color: {theme.ERROR}; }}
"""
_FIT = {
    "pad": "padded to a square",
    "crop": "its middle square",
    "stretch": "squeezed to a square",
}
_PROOFS = {
    "published-outputs": "The outputs its publisher prints were reproduced on this computer",
    "own-outputs": "The outputs that came with it were reproduced on this computer",
}
UNPROVEN = "Its publisher prints no outputs to hold it against: only the form of its weights could be checked."


_SERVING = {"anatomy": "anatomy", "guard": "film check"}


def serving_text(card: ModelCard, *, idle: bool = False) -> str:
    """What the program itself uses a model for: ``"Used beside every findings model: film check"``; or, where another
    one does that, ``"Film check, not in use: another one works in its place"``.
    """
    use = _SERVING.get(card.serves, card.serves)
    if idle:
        return f"{_first_upper(use)}, not in use: another one works in its place"
    return f"Used beside every findings model: {use}"


def size_text(count: int | None) -> str:
    """A number of bytes to be read: ``"28.6 MB"``; ``"size not known"``."""
    if count is None:
        return "size not known"
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if count >= unit:
            return f"{count / unit:.1f}\N{NO-BREAK SPACE}{name}"
    return f"{count}\N{NO-BREAK SPACE}bytes"


def progress_text(progress: InstallProgress) -> str:
    """``"Downloading: 12.0 MB of 28.6 MB"``."""
    if not progress.done:
        return progress.stage
    of = f" of {size_text(progress.total)}" if progress.total else ""
    return f"{progress.stage}: {size_text(progress.done)}{of}"


def offer_html(offer: Offer) -> str:
    """What is known of a model before it is installed."""
    marks = " <span class='muted'>(recommended)</span>" if offer.recommended else ""
    proof = (
        "Its publisher prints outputs; the installation is held against them before the model may be used."
        if offer.proven
        else UNPROVEN
    )
    return _page(
        f"<h2>{escape(offer.name)}{marks}</h2>",
        _p(offer.summary),
        _section("Published figures, not measured here", _list(offer.figures) or _p("None.")),
        _section("Download", _p(f"{size_text(offer.size_bytes)}, {offer.file_name}"), _p(offer.address, "muted")),
        _section("Licence of the weights", _p(offer.licence)),
        _section("Proof", _p(proof, "" if offer.proven else "caution")),
        _p("Nothing is fetched before you press Install.", "muted"),
    )


def problem_html(sentence: str) -> str:
    """A bundle that cannot be used."""
    return _page("<h2>A model that cannot be used</h2>", _p(sentence, "error"))


def card_html(card: ModelCard, state: str = "", *, whole: bool | None = None, serving: str = "") -> str:
    """The card of an installed model.

    Args:
        state: what checking its weights said.
        whole: what that amounts to; None while it was not checked.
        serving: of a model that the program itself uses, whether it does and what can be done about it.
    """
    who = population_text(card) or "any film; its card names no ages and no views"
    role = "error" if whole is False else "muted"
    return _page(
        f"<h2>{escape(card.name)}</h2>",
        _p(f"Version {card.version}, licence {card.licence}", "muted"),
        _p(state, role),
        _p(serving) if serving else "",
        _section("For whom", _p(_first_upper(who) + "."), _p(card.intended_use)),
        _section(*_labels(card)),
        _section("Operating points", _points(card)) if any(label.points for label in card.labels) else "",
        _section("Tried and not offered", _list(f"{one.name}: {one.reason}" for one in card.tried))
        if card.tried
        else "",
        _section("Cardiothoracic ratio", _p(_ratio(card))) if card.ratio_error else "",
        _section("Measured", _metrics(card.metrics) or _p("Its card holds no figures.", "caution")),
        _section("Where its maps point", _evidence(card.map_evidence)) if card.map_evidence else "",
        _section("Limits", _list(card.cautions)) if card.cautions else "",
        _section("What it is given", _p(_input(card.input))),
        _section("Trained on", _p(card.trained_on)),
        _section("Where it comes from", _p(card.source)) if card.source else "",
        _section("Proof", _proof(card.proof)),
        _section("Hash of the weights", _p(f"sha256 {card.sha256}", "muted")),
    )


def _labels(card: ModelCard) -> tuple[str, str]:
    if card.task is Task.SEGMENT:
        return "Structures it outlines", _p(", ".join(label.name for label in card.labels))
    rows = []
    for label in card.labels:
        if card.score_kind is ScoreKind.OPERATING_POINT:
            point = f"0.50 (its own {label.threshold:.3g})"
        else:
            point = score_text(label.threshold, card.kind_of(label))
        told = label.description != f"Published as “{label.name}”."  # the publisher's word, where it is another one
        ratio = "Goes by the cardiothoracic ratio, too." if label.ratio is not None else ""
        below = " ".join(part for part in (label.description if told else "", ratio, _view_terms(label)) if part)
        rows.append((f"{label.name}\n{below}".strip(), point))
    kinds = dict.fromkeys(card.kind_of(label).value for label in card.labels)
    return f"Findings ({', '.join(kinds)})", _table(("Finding", "Operating point"), rows)


def _view_terms(label: LabelSpec) -> str:
    """``"On AP films its logit is changed by -0.60; where the view is not known it is not."``."""
    shifts = " and ".join(
        f"on {term.view} films its logit is changed by {term.shift:+.2f}" for term in label.view_terms
    )
    return f"{_first_upper(shifts)}; where the view is not known it is not." if shifts else ""


def _points(card: ModelCard) -> str:
    rows = []
    for label in card.labels:
        for point in label.points:
            threshold = score_text(point.threshold, card.kind_of(label))
            used = " (in use)" if point.name == label.point else ""
            rates = f"{point.sensitivity:.2f}", f"{point.specificity:.2f}"
            rows.append((label.name, f"{point.name}{used}\n{point.data}".strip(), threshold, *rates))
    return _table(("Finding", "Point", "Threshold", "Sensitivity", "Specificity"), rows)


def _ratio(card: ModelCard) -> str:
    said = "Of 100 ratios measured on films it had not seen, 95 lay within"
    if not card.view_ratio_errors:
        return f"{said} {card.ratio_error:.2f} of the given ones where it was sure of the heart."
    views = (
        f"{one.sure:.2f} of the given ones on {one.view} films ({one.unsure:.2f} where it was less sure of the heart)"
        for one in card.view_ratio_errors
    )
    return f"{said} {' and '.join(views)}."


def _metrics(metrics: Sequence[Metric]) -> str:
    rows = [
        (metric.name, f"{metric.value:.3f}", _interval(metric.low, metric.high), _data(metric.data, metric.count))
        for metric in metrics
    ]
    return _table(("Figure", "Value", "95 %", "Data"), rows) if rows else ""


def _evidence(evidence: Sequence[MapEvidence]) -> str:
    words = (
        "Hits: share of boxes drawn by people that the hottest point of the map lies in; beside it the one fixed point "
        "that lies in most boxes of other films. Overlap: of map and box, and of the mean box."
    )
    parts = [_p(words, "muted")]
    for data in dict.fromkeys(found.data for found in evidence):
        rows = [
            (
                f"{found.label}\n{found.method}",
                f"{found.pointing:.2f} of {found.count:,}\n{_interval(found.low, found.high)}",
                f"{found.fixed_point:.2f}",
                f"{found.iou:.2f}\n{found.fixed_iou:.2f}",
                "better than the fixed point" if found.beats_fixed else "map not reliable",
            )
            for found in evidence
            if found.data == data
        ]
        parts += [_p(data), _table(("Finding, method", "Hits, 95 %", "Fixed point", "Overlap", ""), rows)]
    return "".join(parts)


def _input(spec: InputSpec) -> str:
    cut = "The film without its empty border" if spec.crop_border else "The whole film"
    if spec.crop == "lungs":
        cut = f"Only the box around both lungs, widened by {spec.margin:g} of its side"
    greys = {
        "stretched": "greys stretched from the darkest to the brightest of the exposed area",
        "presented": "greys as the file wants them presented",
    }.get(spec.intensity, spec.intensity)
    fit = _FIT.get(spec.fit, spec.fit)
    noise = f", noise taken from the film first ({spec.denoise.replace('-', ' ')})" if spec.denoise else ""
    return f"{cut}{noise}, {fit}, {spec.size_px} x {spec.size_px} pixels, {greys}; bone bright."


def _proof(proof: Proof | None) -> str:
    if proof is None:
        return _p("It came without outputs to be held against.", "muted")
    if proof.kind not in _PROOFS:
        return _p(UNPROVEN, "caution")
    film = f" on {proof.film}" if proof.film else ""
    return _p(f"{_PROOFS[proof.kind]}{film}; no score differed by more than {proof.worst:.2g}.")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _data(data: str, count: int | None) -> str:
    return data if count is None else f"{data}, n = {count:,}"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---------------------------------------------------------------- pieces


def _page(*parts: str) -> str:
    return "".join(parts)


def _p(text: str, role: str = "") -> str:
    style = f" class='{role}'" if role else ""
    return f"<p{style}>{escape(text)}</p>" if text else ""


def _section(title: str, *parts: str) -> str:
    return _p(title, "head") + "".join(parts)


def _list(lines: Iterable[str]) -> str:
    return "".join(f"<p>\N{BULLET} {escape(line)}</p>" for line in lines)


def _cell(text: str) -> str:
    """The first line as it is, what follows it muted below."""
    first, _, rest = text.partition("\n")
    return escape(first) + (f"<br><span class='muted'>{escape(rest)}</span>" if rest else "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    used = [column for column in range(len(heads)) if any(row[column] for row in rows)]
    head = "".join(f"<th>{escape(heads[column])}</th>" for column in used)
    body = "".join("<tr>" + "".join(f"<td>{_cell(row[column])}</td>" for column in used) + "</tr>" for row in rows)
    return f"<table cellspacing='0' width='99%'><tr>{head}</tr>{body}</table>"


def unproven_question(name: str) -> str:
    """Whether a model of this name is wanted though nothing proves it."""
    return (
        f"{name}: its publisher prints no outputs to hold it against, so nobody can tell whether it works here as it "
        "does there. It will be marked as unproven. Install it all the same?"
    )


def changed_question(name: str) -> str:
    """Whether a model of this name is wanted though its published file is another one than before."""
    return (
        f"{name}: the published file is not the one that was installed on this computer first. Its publisher may have "
        "replaced it, or somebody else may have. Install it only if you know why it has changed; later files are then "
        "held against this one."
    )


def remove_question(card: ModelCard) -> str:
    """Whether the files of an installed model shall go."""
    gone = f"Remove {card.name}? Its files are deleted from this computer"
    if card.serves:
        return f"{gone}; the program's own, or another one installed for the same use, works again on all films."
    return f"{gone}; films it has scored are asked about anew."


def remove_folder_question(folder: str) -> str:
    """Whether a bundle that cannot be used shall go."""
    return f"Remove the folder {folder} from the models folder? All that is in it is deleted from this computer."


PROXY_QUESTION = (
    "Address of the proxy for downloads, as http://host:port; empty for the system's own. It is kept in the settings "
    "file of this program."
)
