"""Several processes that learn one network together, started by ``torchrun``, on one machine or on several.

Each looks at its share of every step's films; their gradients are averaged (torch's DistributedDataParallel). Only the
first process, the chief, averages weights over time, judges, and writes files; the others wait for its verdict.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from cxr_viewer.core.errors import CxrError

_LONGEST_WAIT = dt.timedelta(hours=2)  # the chief judges, and reads films for it, while the others wait


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all.

    Attributes:
        rank: 0 is the chief.
        count: of all processes on all machines.
        device: where this one learns.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def chief(self) -> bool:
        return self.rank == 0

    def shared(self, value: Any) -> Any:
        """What the chief passes in, in every process; tensors come to the CPU."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0, device=self.device if self.device.type == "cuda" else None)
        return box[0]

    def wrapped(self, step: nn.Module) -> nn.Module:
        """``step`` such that its gradients are averaged over all processes; their weights begin as the chief's."""
        if self.count == 1:
            return step
        return DistributedDataParallel(step, device_ids=[self.device.index] if self.device.type == "cuda" else None)


@contextlib.contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """This process among those that ``torchrun`` started, or alone.

    Where it has joined already it stays so: a second group after the first would wait for ever on what the first left
    in torchrun's store. Several runs in one program are therefore to be put into one ``with``.

    Args:
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``; under torchrun each process takes the GPU of its local number.

    Raises:
        CxrError: CUDA was asked for and is not there, or there are more processes than GPUs.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or not distributed.is_torchelastic_launched():
        yield Ranks(0, 1, pick_device(device))
        return
    chosen = pick_device(device)
    if distributed.is_initialized():
        if chosen.type == "cuda":
            chosen = torch.device("cuda", torch.cuda.current_device())
        yield Ranks(distributed.get_rank(), distributed.get_world_size(), chosen)
        return
    if chosen.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise CxrError(
                f"There are {torch.cuda.device_count()} GPUs here for more processes than that.",
                hint="Start as many processes per machine as it has GPUs, or train with --device cpu.",
                code="no-cuda",
            )
        chosen = torch.device("cuda", local)
        torch.cuda.set_device(chosen)
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=_LONGEST_WAIT)
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size(), chosen)
    finally:
        distributed.destroy_process_group()


def leave() -> None:
    """End a process that torchrun started, at once, once its work is done; elsewhere nothing.

    Threads of gloo may outlive the group. A process that then ends in the usual way is sometimes aborted in its
    destructors ("terminate called without an active exception"), and torchrun stops the others for it, the chief among
    them, who may still be measuring.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and distributed.is_torchelastic_launched():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def is_chief() -> bool:
    """Whether this process is the one that speaks; known before :func:`joined`."""
    return os.environ.get("RANK", "0") == "0"


def pick_device(name: str) -> torch.device:
    """``"auto"`` is CUDA where there is one.

    Raises:
        CxrError: CUDA was asked for and is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise CxrError("No CUDA device is available.", hint="Train with --device cpu.", code="no-cuda")
    return torch.device(name)
