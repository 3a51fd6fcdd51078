"""Masks of lungs and heart for films that have none: drawn by the anatomy model, as an aid in learning other things."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tqdm import tqdm

from cxr_viewer.core.anatomy import HEART, LUNGS
from cxr_viewer.core.errors import CxrError, ModelError
from cxr_viewer.core.findings import ModelCard, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.inference.cards import read_card, verify_weights
from cxr_viewer.inference.networks import SegmentNetwork, load_segmenter
from cxr_viewer.inference.preprocess import ModelInput, see
from cxr_viewer.training.films import FilmReader
from cxr_viewer.training.index import FilmRecord, Index

LUNGS_VALUE, HEART_VALUE = 1, 2
_BATCH = 16
_MARK = "anatomy.json"


def outlined(index: Index, bundle: Path, folder: Path, *, quiet: bool = False) -> Index:
    """The index with a mask for every film that is not for testing: its own, or else one by the anatomy model.

    The masks are pictures in ``folder`` (0, 1 lungs, 2 heart, as large as the film); those that are there already are
    not made again, unless they come from other weights. A film that cannot be read keeps no mask: that it cannot be
    read is told where the films are.

    Args:
        bundle: folder of the anatomy model.

    Raises:
        ModelError: the bundle is no anatomy model that outlines lungs and heart, or damaged.
    """
    card = read_card(bundle)
    names = [label.name for label in card.labels]
    if card.task is not Task.SEGMENT or LUNGS not in names or HEART not in names:
        raise ModelError(
            f"The model “{card.name}” does not outline lungs and heart.",
            hint="Give the anatomy model with --set films.anatomy=FOLDER.",
            code="no-anatomy-model",
        )
    _begin(folder, card)
    wanted = [i for i, record in enumerate(index.records) if record.mask is None and record.split != "test"]
    places = {i: folder / f"{i:06d}-{index.records[i].path.stem}.png" for i in wanted}
    missing = [i for i in wanted if not places[i].is_file()]
    if missing:
        network = load_segmenter(card.network, len(names), load_file(verify_weights(bundle, card)))
        rows = (names.index(LUNGS), names.index(HEART))
        _draw([index.records[i] for i in missing], [places[i] for i in missing], network, card, rows, quiet)
    records = list(index.records)
    for i, place in places.items():
        if place.is_file():
            records[i] = replace(records[i], mask=place)
    return replace(index, records=tuple(records))


def mask_of(outlines: NDArray[np.bool_], seen: ImageRect, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Outlines on the network's square as a mask on the film.

    Args:
        outlines: bool (2, side, side), lungs and heart.
        seen: the part of the film that the square covers, in image pixels.
        shape: rows and columns of the film.
    """
    side = outlines.shape[1]
    mask = np.zeros(shape, dtype=np.uint8)
    along, across = side / seen.height, side / seen.width
    # From pixel centres of the film to pixel centres of the square.
    matrix = np.array([[across, 0.0, (0.5 - seen.x) * across - 0.5], [0.0, along, (0.5 - seen.y) * along - 0.5]])
    for outline, value in zip(outlines, (LUNGS_VALUE, HEART_VALUE), strict=True):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        covered = cv2.warpAffine(outline.astype(np.float32), matrix, (shape[1], shape[0]), flags=flags)
        mask[covered > 0.5] = value
    return mask


def _begin(folder: Path, card: ModelCard) -> None:
    """Throw away masks of other weights. Raises CxrError: the folder cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _MARK
    try:
        same = mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == card.sha256
    except ValueError:
        same = False
    if not same:
        for old in folder.glob("*.png"):
            old.unlink()
        mark.write_text(json.dumps(card.sha256), encoding="utf-8")


def _draw(
    records: Sequence[FilmRecord],
    places: Sequence[Path],
    network: SegmentNetwork,
    card: ModelCard,
    rows: tuple[int, int],
    quiet: bool,
) -> None:
    network = network.to(memory_format=torch.channels_last)
    bar = tqdm(total=len(records), desc="Outlining lungs and heart", unit="film", disable=quiet or None, leave=False)
    with FilmReader() as reader, torch.inference_mode(), bar:
        for start in range(0, len(records), _BATCH):
            batch: list[tuple[Path, ModelInput, tuple[int, int]]] = []
            for record, place in zip(records[start : start + _BATCH], places[start : start + _BATCH], strict=True):
                bar.update()
                try:
                    image = reader.read(record.path)
                    batch.append((place, see(image, card.input), (image.stored.shape[0], image.stored.shape[1])))
                except CxrError:
                    continue  # told by line where the films are read
            if not batch:
                continue
            films = torch.from_numpy(np.stack([given.film for _, given, _ in batch]))
            with torch.autocast("cpu", torch.bfloat16, enabled=_halves()):
                logits = network(films.contiguous(memory_format=torch.channels_last)).float().numpy()
            for (place, given, shape), one in zip(batch, logits, strict=True):
                _write(place, mask_of(one[list(rows)] > 0, given.seen, shape))


def _halves() -> bool:
    """Whether this processor multiplies bfloat16 by itself; as an aid in learning the masks are good enough so."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _write(place: Path, mask: NDArray[np.uint8]) -> None:
    partial = place.with_suffix(f".{os.getpid()}")
    partial.write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    partial.replace(place)  # never half a picture
