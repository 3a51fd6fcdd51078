"""``cxr-viewer models``: which models are installed, and what their cards say."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cxr_viewer.cli import parts
from cxr_viewer.core.findings import Metric, ModelCard
from cxr_viewer.core.wording import score_text

if TYPE_CHECKING:
    from collections.abc import Callable

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> Callable[[argparse.Namespace], int]:
    parser = subparsers.add_parser("models", help="list the installed models, or show the card of one")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="one line for each installed model")
    info = actions.add_parser("info", help="the card of one model")
    info.add_argument("model", nargs="?", metavar="ID", help="default: the first installed")
    return run


def run(arguments: argparse.Namespace) -> int:
    """Run ``models``. Raises CxrError."""
    models = parts.catalog()
    if arguments.action == "info":
        print(card_text(parts.choose_card(models, arguments.model)))
        return 0
    for card in models.cards():
        print(f"{card.model_id}  {card.version}  {card.name}: {', '.join(label.name for label in card.labels)}")
    for problem in models.problems():
        print(f"cxr-viewer: {problem}", file=sys.stderr)
    if not models.cards():
        parts.choose_card(models, None)
    return 1 if models.problems() else 0


def card_text(card: ModelCard) -> str:
    """The card as plain lines."""
    ages = "any" if card.intended_ages is None else f"{card.intended_ages[0]:g} to {card.intended_ages[1]:g} years"
    lines = [
        f"{card.name} ({card.model_id}), version {card.version}",
        f"Intended use: {card.intended_use}",
        f"Ages:         {ages}",
        f"Views:        {', '.join(card.intended_views) or 'any'}",
        f"Trained on:   {card.trained_on}",
        f"Network:      {card.network}, input {card.input.size_px} x {card.input.size_px} px",
        f"Scores:       {card.score_kind.value}",
        f"Weights:      sha256 {card.sha256}",
        f"Licence:      {card.licence}",
        "Findings:",
    ]
    for label in card.labels:
        point = score_text(label.threshold, card.score_kind)
        lines.append(f"  {label.name}, operating point {point}. {label.description}".rstrip())
    if card.metrics:
        lines += ["Measured:", *(f"  {metric_text(metric)}" for metric in card.metrics)]
    if card.cautions:
        lines += ["Cautions:", *(f"  {caution}" for caution in card.cautions)]
    return "\n".join(lines)


def metric_text(metric: Metric) -> str:
    """A figure with its interval, the data it was measured on and their number."""
    interval = "" if metric.low is None or metric.high is None else f" ({metric.low:.3f} to {metric.high:.3f})"
    count = "" if metric.count is None else f", n = {metric.count}"
    return f"{metric.name} {metric.value:.3f}{interval}, {metric.data}{count}"
