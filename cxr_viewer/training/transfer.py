"""Starting from weights that were trained for something else."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from cxr_viewer.core.errors import CxrError
from cxr_viewer.inference.cards import WEIGHTS_NAME


def take_over(network: nn.Module, path: Path, *, quiet: bool = False) -> tuple[str, ...]:
    """Put every tensor whose name and shape fit into ``network``; a segmenter's body fits a classifier's trunk.

    Args:
        path: a safetensors file, or the folder of a bundle.

    Returns:
        The names taken over.

    Raises:
        CxrError: unreadable, or nothing in it fits.
    """
    file = path / WEIGHTS_NAME if path.is_dir() else path
    try:
        given = load_file(file)
    except (OSError, ValueError, SafetensorError) as error:
        raise CxrError(
            f"The weights “{path.name}” cannot be read.",
            hint="Give a safetensors file or the folder of a bundle.",
            detail=str(error),
            code="init-unreadable",
        ) from error
    own = network.state_dict()
    given |= {_renamed(name): value for name, value in given.items() if _renamed(name) not in given}
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    weighty = [name for name, value in fitting.items() if value.ndim > 1]
    if not weighty:
        raise CxrError(
            f"Nothing in the weights “{path.name}” fits this network.",
            hint="Names and shapes have to be the same; a network of the same kind has them.",
            code="init-mismatch",
        )
    network.load_state_dict(own | fitting)
    if not quiet:
        values = sum(value.numel() for value in fitting.values())
        total = sum(value.numel() for value in own.values())
        fresh = sorted({name.split(".")[0] for name in own if name not in fitting})
        begins = f"; beginning anew, at least in part: {', '.join(fresh)}" if fresh else ""
        share = f"{values / total:.0%} of all values"
        print(f"Taken over from “{path.name}”: {len(fitting)} of {len(own)} tensors, {share}{begins}")
    return tuple(sorted(fitting))


def _renamed(name: str) -> str:
    """``body.stem.0.weight`` of a segmenter is ``trunk.stem.0.weight`` of a classifier with the same encoder."""
    kind, dot, rest = name.partition(".")
    return {"body": "trunk", "trunk": "body"}.get(kind, kind) + dot + rest
