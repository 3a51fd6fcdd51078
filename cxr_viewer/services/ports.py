"""What the program needs from its adapters, as Protocols; ``app`` and ``cli`` supply the real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, ModelCard, SiteCalibration
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.offers import Damaged, InstallProgress, Offer
from cxr_viewer.core.report import Report
from cxr_viewer.core.study import ImageNode, LookUp, ScanBatch
from cxr_viewer.core.tags import TagList


class ImageReader(Protocol):
    """Reads pixels outside the window's process. Called on loader threads."""

    def read(
        self, node: ImageNode, cancel: CancelToken, preview: Callable[[Radiograph], None] | None = None
    ) -> Radiograph:
        """The whole frame with its grey chain.

        Args:
            preview: given a picture of lower resolution (``Radiograph.preview``) as soon as there is one, where the
                whole takes long to decode; may be called from another thread, at most once, before this returns.

        Raises:
            ReadError: with a sentence, whatever happened to the file or the worker.
            CancelledError: ``cancel`` was set.
        """
        ...

    def read_ahead(self, node: ImageNode, cancel: CancelToken) -> Radiograph:
        """A film nobody waits for; in nobody's way, over at once when ``cancel`` is set. Raises like :meth:`read`."""
        ...

    def thumbnail(self, node: ImageNode, side_px: int, cancel: CancelToken) -> bytes:
        """A PNG at most ``side_px`` on its long side, grey chain and default VOI applied. Raises like :meth:`read`."""
        ...

    def tags(self, node: ImageNode, cancel: CancelToken) -> TagList:
        """Every attribute of the file; empty for pictures that are not DICOM. Raises like :meth:`read`."""
        ...

    def unlock(self, archive: Path, password: str, cancel: CancelToken) -> bool:
        """Keep the password of a ZIP archive in memory until the program ends; False where it does not open it."""
        ...

    def close(self) -> None:
        """Stop the worker processes. Safe to call twice."""
        ...


class Scanner(Protocol):
    """Finds images in files, folders, DICOMDIRs. Called on a loader thread."""

    def scan(self, paths: Sequence[Path], cancel: CancelToken, known: LookUp | None = None) -> Iterator[ScanBatch]:
        """Yield batches as they are found (first within a moment, so that the browser fills while it runs).

        Args:
            known: asked about some hundred files at a time; those it knows are not read again.

        Raises:
            CancelledError: ``cancel`` was set; what was yielded before stays valid.
        """
        ...


class ModelRunner(Protocol):
    """Runs models. Built, used and closed on the inference thread only."""

    def analyse(self, request: AnalysisRequest, cancel: CancelToken, report: Callable[[str], None]) -> AnalysisResult:
        """Score and explain one film.

        Args:
            report: told the stage in words ("Loading the model", "Scoring", ...).

        Raises:
            RefusalError: the model does not look at such an image.
            ModelError: no such model, damaged weights, engine failed.
            CancelledError: ``cancel`` was set.
        """
        ...

    def warm_up(self, model_id: str, device: str) -> None:
        """Load a model before the first film asks for it. Raises ModelError like :meth:`analyse`."""
        ...

    def settle(self, cancel: CancelToken) -> bool:
        """Do one thing that was put off until nobody waits (measuring which engine is fastest here, say).

        Returns:
            whether something was done; call it again until it was not.

        Raises:
            CancelledError: ``cancel`` was set.
        """
        ...

    def forget_removed(self) -> None:
        """Give back what is held for models that are no longer installed."""
        ...

    def close(self) -> None: ...


class ModelCatalog(Protocol):
    """Knows the installed models without loading them. Any thread may ask."""

    def refresh(self) -> None:
        """Look again at the next question, after a model was installed or removed."""
        ...

    def cards(self) -> tuple[ModelCard, ...]:
        """Every readable card, sorted by name."""
        ...

    def problems(self) -> tuple[str, ...]:
        """One sentence for each bundle that cannot be used."""
        ...


class ModelStore(Protocol):
    """Installs, checks and removes models. Called on a loader thread."""

    def offers(self) -> tuple[Offer, ...]:
        """The published models this program knows, the recommended first."""
        ...

    def install(
        self,
        offer_id: str,
        cancel: CancelToken,
        report: Callable[[InstallProgress], None],
        *,
        file: Path | None = None,
        unproven: bool = False,
        changed: bool = False,
    ) -> ModelCard:
        """Fetch a published model (or take its published file from ``file``), convert it and prove it.

        Args:
            unproven: install also where the publisher prints no outputs to hold it against (else ``none-published``).
            changed: install also where the published file is not the one installed here first (else ``changed-file``).

        Raises:
            ModelError: with a sentence, whatever went wrong; nothing half-installed stays.
            CancelledError: ``cancel`` was set; what was downloaded is kept for the next time.
        """
        ...

    def add(self, folder: Path, cancel: CancelToken, report: Callable[[InstallProgress], None]) -> ModelCard:
        """Install a bundle (a folder with ``card.toml`` and weights) that lies somewhere. Raises like install."""
        ...

    def verify(self, model_id: str) -> str:
        """Check an installed model's weights against its card; a sentence that says it is whole. Raises ModelError."""
        ...

    def calibration(self, model_id: str) -> tuple[SiteCalibration | None, bool]:
        """The calibration made on this site's films, and whether it is in use."""
        ...

    def use_calibration(self, model_id: str, site: bool) -> None:
        """Score with the site's calibration or as shipped; both are kept.

        Raises:
            ModelError: there is none for these weights.
        """
        ...

    def damaged(self) -> tuple[Damaged, ...]:
        """The bundles in the user's own folder that cannot be used."""
        ...

    def own(self) -> frozenset[str]:
        """Ids of the models in use from the user's own folder; all others travel with the program."""
        ...

    def remove(self, model_id: str) -> None:
        """Remove an installed model, by its id or, where it cannot be used, the name of its folder.

        Raises:
            ModelError: also for a model that travels with the program.
        """
        ...

    def remove_damaged(self, folder: str) -> None:
        """Remove a bundle that cannot be used, by the name of its folder. Raises ModelError."""
        ...


class ReportWriter(Protocol):
    def write_png(self, report: Report, path: Path) -> None:
        """Write an annotated report, atomically.

        Raises:
            ExportError: the folder cannot be written, the disk is full, ...
        """
        ...
