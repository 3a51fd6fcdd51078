"""The promise of the manual: every transfer syntax gives the stored values that dcmtk and gdcm decode."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matrix import films, oracle, references
from matrix.oracle import Array
from matrix.syntaxes import MATERIALS, SYNTAXES, UNPROVEN, Material, Syntax

from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources import compressed
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox

WRITTEN = [
    (syntax, material) for syntax in SYNTAXES for material in MATERIALS if syntax.writer and syntax.holds(material)
]
Written = Callable[[Material], Path]
Read = Callable[[Path, int], list[Radiograph]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """``source(material)``: that film uncompressed, made once."""
    folder, made = tmp_path_factory.mktemp("films"), dict[str, Path]()

    def give(material: Material) -> Path:
        reason = films.absent(material.film)
        if reason:
            pytest.skip(reason)
        if material.title not in made:
            target = folder / f"{len(made)}.dcm"
            made[material.title] = films.make(material.film, material.edits, target)
        return made[material.title]

    return give


@pytest.fixture(scope="module")
def read(sandbox: Sandbox) -> Read:
    """``read(path, frames)``: every frame as the program has it."""
    reader = SandboxReader(sandbox)

    def frames(path: Path, count: int) -> list[Radiograph]:
        node = reader.describe(path, CancelToken()).image
        assert node.frames == count
        nodes = [replace(node, key=replace(node.key, frame=frame)) for frame in range(count)]
        return [reader.read(node, CancelToken()) for node in nodes]

    return frames


def run(command: tuple[str, ...], path: Path, target: Path) -> Path:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs the program {command[0]} (packages dcmtk and libgdcm-tools), which is not installed")
    subprocess.run([*command, path, target], check=True, capture_output=True, timeout=60)
    return target


def values(path: Path, frames: int) -> Array:
    """Stored values of an uncompressed file, from its bytes: (frames, rows, columns)."""
    ds = references.read(path)
    return np.stack([oracle.stored_values(ds, frame) for frame in range(frames)])


@pytest.mark.parametrize(("syntax", "material"), WRITTEN, ids=lambda part: getattr(part, "name", "") or part.title)
def test_a_film_in_a_syntax(syntax: Syntax, material: Material, source: Written, read: Read, tmp_path: Path) -> None:
    """Written by dcmtk or gdcm, read by the program as both of them read it, and by the decoder that is promised."""
    original = source(material)
    film = run(syntax.writer, original, tmp_path / "film.dcm")
    assert references.read(film).file_meta.TransferSyntaxUID == syntax.uid
    images = read(film, material.frames)
    assert {image.decoder for image in images} == {syntax.decoder}
    assert {image.transfer_syntax for image in images} == {syntax.uid}
    ours = np.stack([image.stored for image in images]).astype(np.int64)
    if syntax.lossless:
        assert np.array_equal(ours, values(original, material.frames))
    for judge, command in syntax.judges.items():
        theirs = values(run(command, film, tmp_path / f"{judge}.dcm"), material.frames)
        assert np.array_equal(ours, theirs), judge
    assert not any(image.damaged for image in images)
    assert not {"wrong-syntax", "unused-bits"} & {caution.code for image in images for caution in image.cautions}


@pytest.mark.parametrize("syntax", [syntax for syntax in SYNTAXES if syntax.file], ids=lambda syntax: syntax.name)
def test_a_film_that_comes_in_a_syntax_nothing_here_writes(
    syntax: Syntax, read: Read, judges: None, tmp_path: Path
) -> None:
    assert syntax.file is not None
    film, original = (films.locate(name) for name in syntax.file)
    for name in syntax.file:
        if films.absent(name):
            pytest.skip(films.absent(name))
    (image,) = read(film, 1)
    assert (image.decoder, image.transfer_syntax) == (syntax.decoder, syntax.uid)
    for number, path in enumerate((film, original)):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert np.array_equal(image.stored, values(references.native(path, folder), 1)[0])


def test_no_decoder_is_left_without_a_word() -> None:
    """What the program decodes is promised, or said to be unproven; and the other way round."""
    native = {syntax.uid for syntax in SYNTAXES if syntax.decoder == "numpy"}
    promised = {syntax.uid for syntax in SYNTAXES}
    assert promised | set(UNPROVEN) == set(compressed.CODEC_OF) | native
    assert not promised & set(UNPROVEN)
