"""Every film and every odd, broken or hostile file through the real program, one after the other.

python tests/reliability/survey.py [FOLDER ...] [--write]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from driver import DATA, Answer, Driver, counts, machine, plain, write_section

FOLDERS = [DATA / "dicom", DATA / "dicom-other", DATA / "hostile"]
HEADS = (
    "shown",
    "shown with a caution",
    "explained",
    "blank",
    "no word",
    "raw text",
    "hang",
    "median s",
    "p95 s",
    "max s",
    "longest gap of the window ms",
    "window at most MiB above rest",
    "reader at most MiB",
)
_NOT_DATA = {".csv", ".txt", ".md"}


def files_below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in _NOT_DATA]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, default=FOLDERS)
    parser.add_argument("--write", action="store_true", help="put the result into docs/reliability.md")
    arguments = parser.parse_args()
    missing = [folder for folder in arguments.folders if not folder.is_dir()]
    if missing:
        print(f"{missing[0]} is missing; name folders with films to survey.")
        return 2
    by_folder: dict[str, list[Answer]] = {}
    with tempfile.TemporaryDirectory() as home:
        with Driver(Path(home)) as driver:
            for folder in arguments.folders:
                for path in files_below(folder):
                    answer = driver.open(path)
                    answer.name = str(path.relative_to(folder))
                    by_folder.setdefault(folder.name, []).append(answer)
                    print(
                        f"{answer.outcome:10s} {answer.seconds:6.2f} s {answer.gap_ms:5.0f} ms {answer.name}: "
                        f"{answer.words[:110]}",
                        flush=True,
                    )
                    answer.stored = None
        at_rest = driver.at_rest_mib
    text = report(by_folder, at_rest)
    print(text)
    if arguments.write:
        write_section("survey", text)
    every = [answer for answers in by_folder.values() for answer in answers]
    return int(any(answer.outcome in ("hang", "blank", "raw", "nothing") for answer in every))


def report(by_folder: dict[str, list[Answer]], at_rest_mib: float) -> str:
    lines = [
        f"Measured {machine()}.",
        "",
        "| folder | files | " + " | ".join(HEADS) + " |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, answers in by_folder.items():
        lines.append(_row(name, answers, at_rest_mib))
    lines += ["", "What was said of each file:", "", "| file | outcome | s | words |", "|---|---|--:|---|"]
    for name, answers in by_folder.items():
        for answer in answers:
            lines.append(
                f"| {name}/{plain(answer.name)} | {answer.outcome} | {answer.seconds:.2f} "
                f"| {plain(answer.words)[:300]} |"
            )
    return "\n".join(lines)


def _row(name: str, answers: list[Answer], at_rest_mib: float) -> str:
    count = counts(answers)
    seconds = np.array([answer.seconds for answer in answers])
    median, p95 = np.percentile(seconds, [50, 95])
    kinds = " | ".join(str(number) for number in count.values())
    return (
        f"| {name} | {len(answers)} | {kinds} | {median:.2f} | {p95:.2f} | {seconds.max():.2f} "
        f"| {max(answer.gap_ms for answer in answers):.0f} "
        f"| {max(answer.window_mib for answer in answers) - at_rest_mib:.0f} "
        f"| {max(answer.reader_mib for answer in answers):.0f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
