"""What may go wrong with installing a model, in sentences."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from cxr_viewer.core.errors import ModelError

_OTHER_FILE = "Fetch the file again from its publisher; nothing was installed."


def no_such_offer(offer_id: str, known: Sequence[str]) -> ModelError:
    return ModelError(
        f"There is no model “{offer_id}” to install.", hint=f"There are: {', '.join(known)}.", code="unknown-offer"
    )


def none_published(name: str) -> ModelError:
    return ModelError(
        f"The publisher of “{name}” prints no outputs that the installation could be held against.",
        hint="It can be installed unproven if you say so (in a terminal: --unproven); its scores then carry a caution.",
        code="none-published",
    )


def changed_file(name: str, first: str, found: str) -> ModelError:
    return ModelError(
        f"The published file of “{name}” is not the one that was installed here first.",
        hint="Its publisher has replaced it, or somebody else has. Find out why before you install it (in a terminal: "
        "--changed).",
        detail=f"sha256 at the first installation {first}, now {found}",
        code="changed-file",
    )


def not_reproduced(name: str, label: str, expected: float, found: float) -> ModelError:
    return ModelError(
        f"“{name}” does not give the outputs its publisher prints: for {label} {found:.5f} instead of {expected:.5f}.",
        hint="It was not installed, because its scores could not be believed.",
        code="not-reproduced",
    )


def foreign(what: str) -> ModelError:
    return ModelError(
        f"The published file holds something that is not part of a model ({what}), so it was not read.",
        hint="Do not use this file; fetch it from its publisher.",
        code="foreign-content",
    )


def no_model(why: str, detail: str = "") -> ModelError:
    return ModelError(f"The file is no published model: {why}.", hint=_OTHER_FILE, detail=detail, code="not-a-model")


def cut_off(detail: str) -> ModelError:
    return ModelError("The published file is cut off.", hint=_OTHER_FILE, detail=detail, code="cut-off")


def replaced() -> ModelError:
    return ModelError("The published file was replaced while it was looked at.", hint=_OTHER_FILE, code="replaced")


def too_large(detail: str) -> ModelError:
    return ModelError(
        "The published file is larger than this model can be, so it was not read.",
        hint=_OTHER_FILE,
        detail=detail,
        code="too-large",
    )


def no_numbers(name: str) -> ModelError:
    return ModelError(
        "The published weights hold values that are no numbers.",
        hint=_OTHER_FILE,
        detail=f"tensor {name}",
        code="weights-damaged",
    )


def travels(model_id: str) -> ModelError:
    return ModelError(
        f"The model “{model_id}” travels with the program and cannot be removed.",
        hint="Choose another model instead.",
        code="travels-with-program",
    )


def not_damaged(folder: str) -> ModelError:
    return ModelError(
        f"There is no damaged model in a folder “{folder}”.",
        hint="Look at the list again; it may be gone.",
        code="unknown-model",
    )


def no_weights(name: str) -> ModelError:
    return ModelError(f"The model “{name}” has no weights.", hint="Fetch the folder again.", code="weights-missing")


def bad_folder(why: str, detail: str = "") -> ModelError:
    return ModelError(
        f"The folder is not a model that can be added: {why}.",
        hint="A model's folder holds card.toml, weights.safetensors or weights.onnx, README.md and pictures, no more.",
        detail=detail,
        code="bad-bundle",
    )


def no_such_file(detail: str) -> ModelError:
    return ModelError("There is no such file.", hint="Check its name.", detail=detail, code="no-such-file")


def unreadable(detail: str) -> ModelError:
    return ModelError(
        "The published file cannot be read.", hint="Check that you may read it.", detail=detail, code="unreadable"
    )


def disk(error: OSError) -> ModelError:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG):
        return ModelError(
            "The disk is full, so the model was not installed.",
            hint="Make room and try again; what was downloaded is kept.",
            detail=str(error),
            code="disk-full",
        )
    return ModelError(
        f"The models folder cannot be written ({error.strerror or error}).",
        hint="Check that you may write to the program's data folder.",
        detail=repr(error),
        code="folder-closed",
    )
