"""``cxr-viewer models prepare``: what a model does once per computer, done before the first film waits for it."""

from __future__ import annotations

from cxr_viewer.cli import parts
from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.jobs import CancelToken


def prepare(model_id: str | None) -> int:
    """Convert models for this computer and choose their engines.

    Args:
        model_id: which; all that are installed when None.

    Returns:
        0, or 1 where a model could not be prepared.

    Raises:
        CxrError: ``no-model`` or ``unknown-model``.
    """
    models = parts.catalog()
    cards = models.cards() if model_id is None else (parts.choose_card(models, model_id),)
    failed = False
    with parts.runner(models) as runner:
        for card in cards:
            try:
                runner.warm_up(card.model_id, "cpu")
                while runner.settle(CancelToken()):
                    pass
            except ModelError as error:
                print(f"{card.name}: {error.summary} {error.hint}".rstrip())
                failed = True
            else:
                print(f"{card.name}: ready.")
    return 1 if failed else 0
