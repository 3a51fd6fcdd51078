"""Reading and writing ``card.toml``, the paper a model comes with.

A bundle is a folder with ``card.toml``, ``weights.safetensors`` (or ``weights.onnx``) and ``README.md``. The card names
the digest of the weights: scores, operating points and calibration hold for these weights only.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.inference.cardfaults import card_faults
from cxr_viewer.inference.cardreader import Reader
from cxr_viewer.inference.cardtables import ONNX, SCHEMA, card_from_reader, card_to_dict

__all__ = [
    "CARD_NAME",
    "LARGEST_REFERENCE_BYTES",
    "ONNX_NAME",
    "REFERENCE_NAME",
    "SCHEMA",
    "WEIGHTS_NAME",
    "card_faults",
    "card_from_dict",
    "card_to_dict",
    "file_sha256",
    "read_card",
    "read_weights",
    "verify_weights",
    "weights_name",
    "write_card",
]

CARD_NAME = "card.toml"
WEIGHTS_NAME = "weights.safetensors"
ONNX_NAME = "weights.onnx"
REFERENCE_NAME = "reference.safetensors"
"""What the training films look like to the model; see ``inference.distance``."""
LARGEST_REFERENCE_BYTES = 64 << 20
_LARGEST_CARD_BYTES = 1_000_000
LARGEST_WEIGHTS_BYTES = 4 << 30


def weights_name(card: ModelCard) -> str:
    """Name of the file in the bundle that holds the weights."""
    return ONNX_NAME if card.network == ONNX else WEIGHTS_NAME


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_weights(folder: Path, card: ModelCard) -> Path:
    """The weights of a bundle, once their digest was found to be the card's.

    Raises:
        ModelError: the weights are missing or are not those of the card (code ``weights-damaged``).
    """
    path = folder / weights_name(card)
    try:
        if path.stat().st_size > LARGEST_WEIGHTS_BYTES:  # to read it through would take hours
            raise OSError(f"{path.name} has more than {LARGEST_WEIGHTS_BYTES} bytes")
        digest = file_sha256(path)
    except OSError as error:
        raise _missing(card, error) from error
    _check_digest(card, digest)
    return path


def read_weights(folder: Path, card: ModelCard) -> bytes:
    """The very bytes whose digest is the card's: a bundle may be replaced at any moment, by another window of the
    program too, and weights of one version must not run under the card of another. Raises like :func:`verify_weights`.
    """
    try:
        data = (folder / weights_name(card)).read_bytes()
    except OSError as error:
        raise _missing(card, error) from error
    _check_digest(card, hashlib.sha256(data).hexdigest())
    return data


def _missing(card: ModelCard, error: OSError) -> ModelError:
    return ModelError(
        f"The weights of the model “{card.name}” cannot be read.",
        hint="Install the model again.",
        detail=str(error),
        code="weights-missing",
    )


def _check_digest(card: ModelCard, digest: str) -> None:
    if digest != card.sha256:
        raise ModelError(
            f"The weights of the model “{card.name}” are damaged or belong to another version.",
            hint="Install the model again; until then it gives no scores.",
            detail=f"expected sha256 {card.sha256}, found {digest}",
            code="weights-damaged",
        )


def read_card(path: Path) -> ModelCard:
    """Read ``card.toml`` (or the card in the bundle folder ``path``).

    Raises:
        ModelError: unreadable, not TOML, or a fault in a value; the summary names the first fault, ``detail`` all.
    """
    path = path / CARD_NAME if path.is_dir() else path
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a plain file")  # to open a pipe would be to wait for ever
        with path.open("rb") as file:
            raw = file.read(_LARGEST_CARD_BYTES + 1)
        if len(raw) > _LARGEST_CARD_BYTES:
            fault = f"it holds more than {_LARGEST_CARD_BYTES} bytes"
            raise _card_error(path, "The model's card is too long", [fault], "card-damaged")
        data = tomllib.loads(raw.decode("utf-8"))
    except OSError as error:
        raise _card_error(path, "The model's card cannot be read", [str(error)], "card-missing") from error
    except (ValueError, RecursionError) as error:
        raise _card_error(path, "The model's card is not valid TOML", [str(error)], "card-damaged") from error
    return card_from_dict(data, path)


def card_from_dict(data: Mapping[str, Any], path: Path = Path(CARD_NAME)) -> ModelCard:
    """A card from parsed TOML.

    Raises:
        ModelError: see :func:`read_card`.
    """
    if data.get("schema") != SCHEMA:
        fault = f"schema is {data.get('schema')!r}, this program reads {SCHEMA}"
        raise _card_error(path, "The model's card has another schema", [fault], "card-schema")
    reader = Reader(data)
    reader.whole("schema")
    card = card_from_reader(reader)
    faults = reader.faults or card_faults(card)
    if faults:
        raise _card_error(path, "The model's card has a fault", faults, "card-invalid")
    return card


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card so that :func:`read_card` gives the same one back.

    Raises:
        ModelError: the card has a fault.
        OSError: the file cannot be written.
    """
    faults = card_faults(card)
    if faults:
        raise _card_error(path, "The model's card has a fault", faults, "card-invalid")
    path.write_bytes(tomli_w.dumps(card_to_dict(card)).encode("utf-8"))


def _card_error(path: Path, what: str, faults: list[str], code: str) -> ModelError:
    bundle = path.parent.name or path.name
    return ModelError(
        f"{what} ({bundle}: {faults[0]}).",
        hint="Install the model again, or mend the named line of card.toml.",
        detail="\n".join(faults),
        code=code,
    )
