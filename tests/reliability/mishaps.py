"""What may happen to a workstation while films are read, each made to happen to the real program.

Reading processes killed or stopped by signals during a read, a full disk, a folder that is unmounted during a scan, a
file replaced between scan and opening, two programs on one index. Linux only; the two that need a file system of their
own are left out, and say so, where the system does not allow one.

    python tests/reliability/mishaps.py [--write]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from driver import DATA, REPOSITORY, Driver, machine, plain, readers, write_section

SLOW_FILM = DATA / "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"
OTHER_FILM = DATA / "dicom/dx_nih_00000001_000_pa_cardiomegaly.dcm"
SAMPLES = REPOSITORY / "resources/samples"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One mishap: whether all that must hold held, what the reader was told, and what was counted."""

    mishap: str
    held: bool | None
    words: str
    facts: str


class NotPossibleError(Exception):
    """The mishap cannot be made to happen on this system."""


# ---------------------------------------------------------------- signals


def killed_while_reading(driver: Driver, folder: Path, number: signal.Signals) -> Outcome:
    """Every reading process gets the signal as soon as the film is being read."""
    before = {process.pid for process in readers()}
    struck: list[int] = []

    def strike() -> None:
        driver.pump(lambda: any(process.cpu_times().user > 0 for process in readers()), 1.0, least_s=0.05)
        for process in readers():
            process.send_signal(number)
            struck.append(process.pid)

    driver.clear()
    node = driver.node_of(SLOW_FILM)
    answer = driver.answer_to(number.name, lambda: driver.open_node(node), strike)
    following = driver.open(OTHER_FILM)
    again = driver.open(SLOW_FILM)
    replaced = not before & {process.pid for process in readers()}
    held = (
        bool(struck)
        and answer.outcome == "explained"
        and following.outcome in ("shown", "caution")
        and again.outcome in ("shown", "caution")
        and replaced
    )
    facts = f"answer after {answer.seconds:.1f} s, window's longest gap {max(answer.gap_ms, following.gap_ms):.0f} ms, "
    facts += "next film and the same film again shown" if held else f"next film: {following.outcome}, {again.outcome}"
    return Outcome(f"{number.name} to the reading processes during a read", held, answer.words, facts)


# ---------------------------------------------------------------- disks


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own at ``folder``."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise NotPossibleError("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def disk_full(driver: Driver, folder: Path) -> Outcome:
    """A report is written to a disk with no room, and then to one with room."""
    answer = driver.open(OTHER_FILM)
    with small_disk(folder / "full", "64k") as disk:
        (disk / "filler").write_bytes(bytes(60_000))
        words = _export(driver, disk / "report.png")
        left = sorted(path.name for path in disk.iterdir())
    good = folder / "report.png"
    later = _export(driver, good).replace(str(good.parent), "another folder")  # a page names nobody's machine
    held = bool(words) and left == ["filler"] and good.is_file() and good.stat().st_size > 10_000
    held = held and answer.stored is not None and driver.state.pane.image is not None
    return Outcome(
        "disk full while a report is written", held, words, f"nothing left behind: {left}; elsewhere: {later}"
    )


def _export(driver: Driver, path: Path) -> str:
    before = driver.state.notice.number if driver.state.notice is not None else 0
    report = driver.workbench.files.report(with_identity=False)
    driver.workbench.exporter.report(report, path)
    driver.pump(lambda: driver.state.notice is not None and driver.state.notice.number > before, 60.0)
    return driver.told


def index_disk_full(_: Driver, folder: Path) -> Outcome:
    """The whole program starts and opens films with its index on a disk without room."""
    with small_disk(folder / "home", "256k") as disk:
        (disk / "filler").write_bytes(bytes(200_000))
        picture = folder / "full-index.png"
        done = _run_program(disk, [SAMPLES], picture)
        held = done.returncode == 0 and picture.is_file() and "Traceback" not in done.stderr
    return Outcome("disk full for the index and the log", held, done.stderr.strip()[-200:], "films shown, no traceback")


def unmounted(driver: Driver, folder: Path) -> Outcome:
    """The folder goes away in the middle of its scan."""
    with small_disk(folder / "disc", "600m") as disk:
        for number in range(300):
            shutil.copy(OTHER_FILM, disk / f"{number:04}.dcm")
        driver.clear()

        def pull() -> None:
            driver.pump(lambda: driver.state.scan is not None and driver.state.scan.found > 0, 30.0)
            subprocess.run(["umount", "-l", str(disk)], capture_output=True, check=False)

        answer = driver.answer_to("unmounted", lambda: driver.workbench.opener.open([disk]), pull)
    told = driver.told or answer.words
    following = driver.open(SLOW_FILM)
    held = answer.outcome not in ("hang", "raw", "blank") and following.outcome in ("shown", "caution")
    return Outcome("folder unmounted during a scan", held, told, f"pane: {answer.outcome}; next film shown")


def replaced(driver: Driver, folder: Path) -> Outcome:
    """Another film stands where the listed one stood."""
    path = folder / "film.dcm"
    shutil.copy(OTHER_FILM, path)
    driver.open(path)
    node = driver.state.pane.node
    driver.clear()
    shutil.copy(SLOW_FILM, path)
    answer = driver.answer_to("replaced", lambda: driver.open_node(node))
    following = driver.open(path)
    held = answer.outcome == "explained" and following.outcome in ("shown", "caution")
    return Outcome("file replaced between scan and opening", held, answer.words, "opened anew, the new film is shown")


# ---------------------------------------------------------------- two programs


def two_programs(_: Driver, folder: Path) -> Outcome:
    """Two programs take the same 300 films into one index at the same time."""
    home, films = folder / "shared-home", folder / "films"
    films.mkdir()
    _copies(films, 300)
    done: list[subprocess.CompletedProcess[str]] = []

    def run(number: int) -> None:
        done.append(_run_program(home, [films], folder / f"two-{number}.png"))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sqlite3.connect(_index(home)) as connection:
        found = connection.execute("SELECT count(*) FROM image").fetchone()[0]
        sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
    held = all(result.returncode == 0 for result in done) and found == 300 and sound == "ok"
    words = " ".join(result.stderr.strip()[-100:] for result in done).strip()
    return Outcome("two programs on one index at once", held, words, f"{found} of 300 films listed, index {sound}")


def _index(home: Path) -> Path:
    from cxr_viewer.services.settings import Paths

    before = os.environ["CXR_VIEWER_HOME"]
    os.environ["CXR_VIEWER_HOME"] = str(home)
    try:
        return Paths.of_user().library_file
    finally:
        os.environ["CXR_VIEWER_HOME"] = before


def _copies(folder: Path, count: int) -> None:
    import pydicom
    from pydicom.uid import generate_uid

    dataset = pydicom.dcmread(OTHER_FILM)
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
        dataset.InstanceNumber = number + 1
        dataset.save_as(folder / f"{number:04}.dcm")


def _run_program(home: Path, paths: list[Path], picture: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cxr_viewer", "open", *map(str, paths), "--screenshot", str(picture)]
    environment = {**os.environ, "CXR_VIEWER_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*command, "--size", "1280x800"], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    # the platform without a screen speaks of itself; that is no word of the program
    done.stderr = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("This plugin does not"))
    return done


# ---------------------------------------------------------------- all of them


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the result into docs/reliability.md")
    arguments = parser.parse_args()
    if not SLOW_FILM.is_file():
        print(f"{SLOW_FILM} is missing, and with it the films to try this on.")
        return 2
    signals = [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT, signal.SIGBUS, signal.SIGSTOP]
    mishaps: list[Callable[[Driver, Path], Outcome]] = [
        *(lambda driver, folder, number=number: killed_while_reading(driver, folder, number) for number in signals),
        disk_full,
        index_disk_full,
        unmounted,
        replaced,
        two_programs,
    ]
    outcomes = []
    with tempfile.TemporaryDirectory() as folder, Driver(Path(folder) / "home") as driver:
        for number, mishap in enumerate(mishaps):
            place = Path(folder) / str(number)
            place.mkdir()
            try:
                outcomes.append(mishap(driver, place))
            except NotPossibleError as error:
                name = getattr(mishap, "__doc__", "") or "a mishap"
                outcomes.append(Outcome(name, None, "", str(error)))
            print(outcomes[-1], flush=True)
    text = report(outcomes)
    print(text)
    if arguments.write:
        write_section("mishaps", text)
    return int(any(outcome.held is False for outcome in outcomes))


def report(outcomes: list[Outcome]) -> str:
    held = {True: "yes", False: "**no**", None: "not tried"}
    rows = [
        f"| {plain(outcome.mishap)} | {held[outcome.held]} | {plain(outcome.words)} | {plain(outcome.facts)} |"
        for outcome in outcomes
    ]
    head = "| mishap | nothing lost, nothing wrong shown | what the reader is told | seen |\n|---|---|---|---|"
    return f"Measured {machine()}.\n\n{head}\n" + "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
