"""Seeded damage to one real film per codec, every damaged copy through the real program.

    python tests/reliability/mutants.py [--count 250] [--seed 20261122] [--film FILE] [--write]

A copy is damaged in its pixel data four times of five, in its header else: bytes changed, a run zeroed, a piece cut
out, or the end cut off. What counts is whether the reader is told: a film whose pixels differ from those of the sound
file and which is shown without a caution that the sound file does not have, is shown silently.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from driver import DATA, Answer, Driver, counts, machine, write_section

FILM = DATA / "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"
CODECS = {
    "uncompressed": ["gdcmconv", "--raw"],
    "RLE": ["gdcmconv", "--rle"],
    "JPEG lossless": ["gdcmconv", "--jpeg"],
    "JPEG-LS": ["gdcmconv", "--jpegls"],
    "JPEG 2000": ["gdcmconv", "--j2k"],
}
KINDS = ("bytes", "zeros", "cut", "end")


@dataclass(slots=True)
class Tally:
    """What became of the copies of one codec."""

    codec: str
    at_rest_mib: float
    answers: list[Answer] = field(default_factory=list)
    same: int = 0
    told: int = 0
    silent: int = 0
    silent_by_kind: dict[str, int] = field(default_factory=dict)

    def add(self, answer: Answer, sound: Answer, kind: str) -> None:
        self.answers.append(answer)
        if answer.stored is not None and sound.stored is not None:
            if np.array_equal(answer.stored, sound.stored):
                self.same += 1
            elif set(answer.cautions) - set(sound.cautions):
                self.told += 1
            else:
                self.silent += 1
                self.silent_by_kind[kind] = self.silent_by_kind.get(kind, 0) + 1
        answer.stored = None


def damaged(data: bytes, pixels_at: int, rng: np.random.Generator) -> tuple[bytes, str]:
    """A damaged copy and the kind of damage."""
    kind = str(rng.choice(KINDS))
    in_pixels = rng.random() < 0.8
    low, high = (pixels_at, len(data)) if in_pixels else (132, pixels_at)
    place = int(rng.integers(low, high))
    copy = bytearray(data)
    if kind == "bytes":
        for _ in range(int(rng.integers(1, 17))):
            copy[int(rng.integers(low, high))] = int(rng.integers(0, 256))
    elif kind == "zeros":
        length = min(int(rng.integers(16, 4096)), high - place)
        copy[place : place + length] = bytes(length)
    elif kind == "cut":
        del copy[place : place + int(rng.integers(1, 512))]
    else:
        del copy[place:]
    return bytes(copy), kind


def transcoded(film: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    for codec, command in CODECS.items():
        path = folder / f"{codec.replace(' ', '-')}.dcm"
        subprocess.run([*command, str(film), str(path)], check=True, capture_output=True)
        yield codec, path


def pixels_at(path: Path) -> int:
    """Where the value of Pixel Data begins."""
    import pydicom

    with path.open("rb") as file:
        pydicom.dcmread(file, stop_before_pixels=True)
        return file.tell()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--film", type=Path, default=FILM)
    parser.add_argument("--write", action="store_true", help="put the result into docs/reliability.md")
    arguments = parser.parse_args()
    if not arguments.film.is_file():
        print(f"{arguments.film} is missing; name a film to damage.")
        return 2
    tallies = []
    with tempfile.TemporaryDirectory() as folder:
        for codec, path in transcoded(arguments.film, Path(folder)):
            # A program of its own for each: the copies claim one identity and would pile up in one study of the list.
            with Driver(Path(folder) / path.stem, automatic=False) as driver:
                tallies.append(run(driver, codec, path, Path(folder), arguments.count, arguments.seed))
            print(row(tallies[-1]), flush=True)
    text = report(tallies, arguments.film.name, arguments.count, arguments.seed)
    print(text)
    if arguments.write:
        write_section("mutants", text)
    bad = ("hang", "blank", "raw", "nothing")
    return int(any(answer.outcome in bad for tally in tallies for answer in tally.answers))


def run(driver: Driver, codec: str, path: Path, folder: Path, count: int, seed: int) -> Tally:
    tally = Tally(codec, driver.at_rest_mib)
    rng = np.random.default_rng([seed, *codec.encode()])
    data, start = path.read_bytes(), pixels_at(path)
    sound = driver.open(path)
    if sound.stored is None:
        raise SystemExit(f"The sound film is not shown: {sound.words}")
    for number in range(count):
        copy, kind = damaged(data, start, rng)
        place = folder / f"damaged-{number}.dcm"
        place.write_bytes(copy)
        answer = driver.open(place)
        if answer.outcome in ("hang", "blank", "raw", "nothing"):
            print(f"{codec} {number} ({kind}): {answer.outcome} {answer.words}", flush=True)
        tally.add(answer, sound, kind)
        place.unlink()
    return tally


def row(tally: Tally) -> str:
    count = counts(tally.answers)
    seconds = np.array([answer.seconds for answer in tally.answers])
    bad = count["blank"] + count["nothing"] + count["raw"]
    kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(tally.silent_by_kind.items())) or "-"
    return (
        f"| {tally.codec} | {len(tally.answers)} | {count['explained']} | {tally.same} | {tally.told} "
        f"| **{tally.silent}** ({kinds}) | {bad} | {count['hang']} | {np.median(seconds):.2f} "
        f"| {np.percentile(seconds, 95):.2f} | {seconds.max():.2f} "
        f"| {max(answer.gap_ms for answer in tally.answers):.0f} "
        f"| {max(answer.window_mib for answer in tally.answers) - tally.at_rest_mib:.0f} "
        f"| {max(answer.reader_mib for answer in tally.answers):.0f} |"
    )


def report(tallies: list[Tally], film: str, count: int, seed: int) -> str:
    head = (
        "| codec | copies | explained | pixels as in the sound file | damaged, shown with a new caution "
        "| damaged, shown silently | blank, wordless or raw | hang | median s | p95 s | max s "
        "| longest gap of the window ms | window at most MiB above rest | reader at most MiB |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    rows = "\n".join(row(tally) for tally in tallies)
    return f"Measured {machine()}; film `{film}`, {count} copies a codec, seed {seed}.\n\n{head}\n{rows}"


if __name__ == "__main__":
    sys.exit(main())
