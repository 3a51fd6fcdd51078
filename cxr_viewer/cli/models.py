"""``cxr-viewer models``: which models are installed and what their cards say; installing, checking, removing them."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_viewer.cli import parts
from cxr_viewer.cli.cards import card_text, offer_text, serving_text
from cxr_viewer.cli.prepare import prepare
from cxr_viewer.cli.progress import installing
from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.jobs import CancelToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from cxr_viewer.core.findings import ModelCard
    from cxr_viewer.inference.catalog import BundleCatalog
    from cxr_viewer.services.ports import ModelStore

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_WRONG_USE = {"unknown-offer", "none-published", "travels-with-program", "no-such-file"}
_INSTALL = """\
A published model is fetched from its publisher (with --file: taken from a file you fetched yourself), read without
running anything that is in it, converted, and held against the outputs its publisher prints before it may be used.
Nothing else in this program fetches anything. Ctrl+C stops; the next time the download goes on where it stopped."""


def add_parser(subparsers: Subparsers) -> Callable[[argparse.Namespace], int]:
    parser = subparsers.add_parser("models", help="list, show, install, verify and remove models")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="one line for each installed model")
    actions.add_parser("offers", help="the published models that can be installed; nothing is fetched")
    info = actions.add_parser("info", help="the card of one model")
    info.add_argument("model", nargs="?", metavar="ID", help="default: the first installed")
    install = actions.add_parser(
        "install",
        help="install a published model, or one that lies in a folder",
        description=_INSTALL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = install.add_mutually_exclusive_group(required=True)
    what.add_argument("model", nargs="?", metavar="ID", help="one of: cxr-viewer models offers")
    what.add_argument("--folder", type=Path, metavar="DIR", help="a folder with card.toml, weights and README.md")
    install.add_argument("--file", type=Path, metavar="FILE", help="the published file, for computers without internet")
    install.add_argument("--proxy", metavar="URL", help="fetch through this proxy; default: that of the settings")
    install.add_argument(
        "--unproven", action="store_true", help="also where its publisher prints no outputs to hold it against"
    )
    install.add_argument(
        "--changed", action="store_true", help="also where the published file is not the one installed here first"
    )
    verify = actions.add_parser("verify", help="hold the weights of installed models against their cards")
    verify.add_argument("model", nargs="?", metavar="ID", help="default: all")
    ready = actions.add_parser(
        "prepare", help="convert models for this computer and choose their engines now, not when the first film waits"
    )
    ready.add_argument("model", nargs="?", metavar="ID", help="default: all")
    begun = actions.add_parser(
        "card", help="the beginning of a card.toml for a classifier in ONNX; docs/adding-models.md says how to go on"
    )
    begun.add_argument("file", type=Path, metavar="FILE.onnx")
    remove = actions.add_parser("remove", help="remove a model that was installed")
    remove.add_argument("model", metavar="ID", help="its id; of one that cannot be used also the name of its folder")
    for action in actions.choices.values():  # also where most people write it, at the end
        action.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return run


def run(arguments: argparse.Namespace) -> int:
    """Run ``models``. Raises CxrError."""
    try:
        return _ACTIONS[arguments.action](arguments)
    except CxrError as error:
        if error.code in _WRONG_USE:
            raise CxrError(error.summary, hint=error.hint, detail=error.detail, code="wrong-use") from error
        raise


def _list(arguments: argparse.Namespace) -> int:
    models = parts.catalog()
    for card in models.cards():
        what = serving_text(card) or ", ".join(label.name for label in card.labels)
        print(f"{card.model_id}  {card.version}  {card.name}: {what}{_used(models, card)}")
    for problem in models.problems():
        print(f"cxr-viewer: {problem}", file=sys.stderr)
    _tell_ways_out(models)
    if not models.cards():
        parts.choose_card(models, None)
    return 1 if models.problems() else 0


def _used(models: BundleCatalog, card: ModelCard) -> str:
    from cxr_viewer.inference.beside import serving

    if not card.serves:
        return ""
    first = serving(models, card.serves)
    if first is not None and first.model_id != card.model_id:
        return f" (not in use: {first.model_id} works in its place)"
    return " (used beside every model that gives findings)"


def _tell_ways_out(models: BundleCatalog) -> None:
    """How the user's own bundles that cannot be used are removed: their sentence may not name their folder."""
    from cxr_viewer.services.settings import Paths

    own = [folder.name for folder, _ in models.damaged() if folder.parent == Paths.of_user().models]
    for name in own:
        print(f"cxr-viewer: To remove it: cxr-viewer models remove {shlex.quote(name)}", file=sys.stderr)


def _info(arguments: argparse.Namespace) -> int:
    print(card_text(parts.choose_card(parts.catalog(), arguments.model)))
    return 0


def _offers(arguments: argparse.Namespace) -> int:
    with _store() as store:
        print("\n\n".join(offer_text(offer) for offer in store.offers()))
    return 0


def _install(arguments: argparse.Namespace) -> int:
    if arguments.folder is not None and arguments.file is not None:
        raise CxrError("--folder and --file exclude each other.", hint="Give one of them.", code="wrong-use")
    with _store(arguments.proxy) as store, installing() as report:
        if arguments.folder is not None:
            card = store.add(arguments.folder, CancelToken(), report)
            if not (arguments.folder / "README.md").is_file():
                print("cxr-viewer: It has no README.md: nobody says what it was measured on.", file=sys.stderr)
        else:
            card = store.install(
                arguments.model,
                CancelToken(),
                report,
                file=arguments.file,
                unproven=arguments.unproven,
                changed=arguments.changed,
            )
    print(card_text(card))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    models = parts.catalog()
    wanted = [card.model_id for card in models.cards()] if arguments.model is None else [arguments.model]
    failed = False
    with _store() as store:
        for model_id in wanted:
            if arguments.model is not None:
                print(store.verify(model_id))
                continue
            try:
                print(store.verify(model_id))
            except CxrError as error:
                print(f"cxr-viewer: {error.summary} {error.hint}".rstrip(), file=sys.stderr)
                failed = True
    if arguments.model is None:
        for problem in models.problems():
            print(f"cxr-viewer: {problem}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _prepare(arguments: argparse.Namespace) -> int:
    return prepare(arguments.model)


def _card(arguments: argparse.Namespace) -> int:
    from cxr_viewer.inference.onnxcard import card_skeleton  # brings onnx along

    print(card_skeleton(arguments.file), end="")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    with _store() as store:
        store.remove(arguments.model)
    print(f"The model “{arguments.model}” was removed.")
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "info": _info,
    "offers": _offers,
    "install": _install,
    "verify": _verify,
    "prepare": _prepare,
    "card": _card,
    "remove": _remove,
}


@contextmanager
def _store(proxy: str | None = None) -> Iterator[ModelStore]:
    """The models of the user; the processes that read a film for the proof end with the block."""
    from cxr_viewer.inference.store.local import LocalStore
    from cxr_viewer.services.settings import Paths, SettingsStore
    from cxr_viewer.sources.reader import SandboxReader

    paths = Paths.of_user()
    through = SettingsStore(paths.settings_file).load().proxy if proxy is None else proxy
    with parts.sandbox(1) as processes:
        reader = SandboxReader(processes)
        yield LocalStore(parts.catalog(), paths.models, paths.cache, through, read_film=reader.read_path)
