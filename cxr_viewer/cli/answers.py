"""What ``analyse`` answers about a file, and how it is written. Nothing here names a patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cxr_viewer.cli.checked import cautions, check_facts, line, rectangle, result_facts
from cxr_viewer.core.errors import ExportError
from cxr_viewer.core.findings import Heatmap, ModelCard, ModelChoice
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import Failure
from cxr_viewer.core.wording import finding_sentence
from cxr_viewer.outputs.files import check_writable, write_atomic
from cxr_viewer.services.state import AnalysisStatus, Pane, sorted_findings

Answer = dict[str, Any]


def answer_of(path: Path, pane: Pane, card: ModelCard | None) -> Answer:
    """The answer for a film that was read and put before the model; ``seconds`` is filled in by the caller."""
    if pane.analysis is AnalysisStatus.FAILED and pane.analysis_failure is not None:
        return failed(path, pane.analysis_failure, card, pane.image, pane.model)
    answer = _empty(path, card, pane.image, pane.model)
    if pane.analysis is AnalysisStatus.REFUSED and pane.refusal is not None:
        return answer | {
            "status": "refused",
            "code": pane.refusal.code,
            "reason": pane.refusal.summary,
            "hint": pane.refusal.hint,
            "check": check_facts(pane.refusal.check, pane.turns),
            "turns": pane.turns,
        }
    result = pane.result
    if result is None:
        raise ValueError("the model has not answered")
    maps = {heatmap.label: heatmap for heatmap in result.heatmaps}
    findings = [
        {
            "label": finding.label,
            "score": finding.score,
            "kind": finding.kind.value,
            "threshold": finding.threshold,
            "positive": finding.positive,
            "sentence": finding_sentence(finding),
            "map": _map_facts(maps.get(finding.label)),
        }
        for finding in sorted_findings(result)
    ]
    return (
        answer
        | {
            "status": "ok",
            "findings": findings,
            "seen": rectangle(result.seen),
            "limits": cautions(result.limits),
            "cautions": cautions(result.cautions),
            "device": result.device,
        }
        | result_facts(result, pane.image.spacing if pane.image is not None else None)
    )


def failed(
    path: Path,
    failure: Failure,
    card: ModelCard | None,
    image: Radiograph | None,
    choice: ModelChoice | None = None,
) -> Answer:
    """The answer for a file that could not be read or analysed; ``card`` is None where no model was chosen for it."""
    return _empty(path, card, image, choice) | {
        "status": "failed",
        "code": failure.code,
        "reason": failure.summary,
        "hint": failure.hint,
    }


def _empty(path: Path, card: ModelCard | None, image: Radiograph | None, choice: ModelChoice | None) -> Answer:
    return {
        "file": str(path),
        "member": "",
        "status": "",
        "code": "",
        "reason": "",
        "hint": "",
        "image": None if image is None else image_facts(image),
        "model": {
            "id": card.model_id if card else "",
            "name": card.name if card else "",
            "version": card.version if card else "",
            "sha256": card.sha256 if card else "",
            "intended_use": card.intended_use if card else "",
            "proof": card.proof.kind if card and card.proof else "",
            "reason": choice.reason if choice else "",
        },
        "check": None,
        "anatomy": None,
        "overridden": [],
        "turns": 0,
        "findings": [],
        "withheld": [],
        "calibration": None,
        "seen": None,
        "limits": [],
        "cautions": [],
        "device": "",
        "heatmaps": [],
        "seconds": 0.0,
    }


def _map_facts(heatmap: Heatmap | None) -> dict[str, str] | None:
    """How the heat map of a finding was made and how far it may be believed; None where the model gives none."""
    return None if heatmap is None else {"method": heatmap.method, "trust": heatmap.trust.value}


def image_facts(image: Radiograph) -> dict[str, Any]:
    """What is known of the film itself."""
    spacing = image.spacing
    return {
        "rows": image.rows,
        "columns": image.columns,
        "view": image.view.value,
        "photometric": image.photometric,
        "modality": image.modality,
        "spacing": None
        if spacing is None
        else {"row_mm": spacing.row_mm, "column_mm": spacing.column_mm, "source": spacing.source.value},
        "sha256": image.source_sha256,
        "cautions": cautions(image.cautions),
    }


# ---------------------------------------------------------------- writing


class JsonWriter:
    """JSON on standard output as it comes (``target`` is ``-``), or into a file at the end, whole or not at all.

    An array; one object per line where the file's name ends in ``.jsonl``. Answers that in the end do not fit on the
    disk go to standard output, so that no work is lost.

    Raises:
        ExportError: a file cannot be written there; raised before any work is done.
    """

    def __init__(self, target: str) -> None:
        self._path = None if target == "-" else Path(target)
        self._lines = self._path is not None and self._path.suffix.lower() == ".jsonl"
        self._texts: list[str] = []
        if self._path is not None:
            check_writable(self._path)

    def put(self, answer: Answer) -> None:
        text = json.dumps(answer, ensure_ascii=False, allow_nan=False, indent=None if self._lines else 2)
        if self._path is None:
            print("[" if not self._texts else ",", text, sep="\n", flush=True)
            self._texts.append("")
        else:
            self._texts.append(text)

    def close(self) -> None:
        """Raises ExportError when the file cannot be written."""
        if self._path is None:
            print("]" if self._texts else "[]", flush=True)
            return
        joined = "\n".join(self._texts) if self._lines else "[\n" + ",\n".join(self._texts) + "\n]"
        data = (joined + "\n").encode("utf-8", "surrogateescape")
        try:
            write_atomic(self._path, lambda file: file.write(data))
        except ExportError:
            print(joined.encode("utf-8", "backslashreplace").decode())
            raise


class LineWriter:
    """A line for each film for a person at a terminal, and one more for what was checked and measured on it."""

    def put(self, answer: Answer) -> None:
        name = answer["file"].encode("utf-8", "replace").decode()
        name += f" (film {answer['member']})" if answer["member"] else ""
        words = [finding["sentence"] for finding in answer["findings"]]
        if answer["status"] != "ok":
            words = [f"{answer['reason']} {answer['hint']}".rstrip()]
        site = answer["calibration"] or {}
        if site.get("used") == "site":
            words.append(f"Scores calibrated for {site['site']} ({site['films']} films, {site['made']}).")
        words += [f"{one['label']}: {one['reason']}" for one in answer["withheld"]]
        if answer["limits"]:
            words.append("The score does not hold for this film:")
            words += [limit["text"] for limit in answer["limits"]]
        if answer["cautions"]:  # that a model was never proven among them: it stands beside every score
            words.append("Caution:")
            words += [caution["text"] for caution in answer["cautions"]]
        model = answer["model"]
        who = f" {model['name']}: {model['reason']}" if model["reason"] else ""
        print(f"{name}: {answer['status']}. {' '.join(words)}{who}", flush=True)
        if found := line(answer):
            print(f"  {found}", flush=True)

    def close(self) -> None:
        """Nothing is left to write."""
