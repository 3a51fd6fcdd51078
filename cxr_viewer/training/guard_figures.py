"""Choosing the guard's thresholds on validation films, and measuring what they do on films it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cxr_viewer.core.modelcard import InputSpec, Metric
from cxr_viewer.inference.guard import GROUPS, LABELS
from cxr_viewer.training.films import FilmSet, prepared
from cxr_viewer.training.lessons.guard import SOURCES, GuardConfig, Judged
from cxr_viewer.training.measure import Draws, share_interval

Floats = NDArray[np.float32]
Chances = dict[str, NDArray[np.float64]]

_SURE = 0.9  # least chance at which a turn or an inversion is told, however well they are told apart
_RARELY = 0.999  # share of ordinary films on which it must not be told
_LATERAL = 0.6  # least chance at which an image that is not frontal is called lateral
_AT_ONCE = 128
_EXTRA = 1.0  # how much surer than on the validation films it has to be of PA and AP, in log odds


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Least chances, see :mod:`cxr_viewer.inference.guard`."""

    frontal: float
    supported: float
    turned: float
    inverted: float
    pa: float
    ap: float

    def of(self, label: str) -> float:
        """The threshold of one of the guard's outputs; 0.5 where none is used."""
        turned = {f"turn/{name}": self.turned for name in GROUPS["turn"][1:]}
        known = {
            "kind/frontal": self.frontal,
            "kind/lateral": _LATERAL,
            "polarity/inverted": self.inverted,
            "view/PA": self.pa,
            "view/AP": self.ap,
        }
        return (turned | known).get(label, 0.5)


def chances(network: nn.Module, films: Floats) -> Chances:
    """Of every output within its group, (n,), for films float32 (n, 1, side, side)."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(torch.from_numpy(films[i : i + _AT_ONCE]).to(device)) for i in range(0, len(films), _AT_ONCE)]
    logits = torch.cat(parts).double().cpu()
    shares = [part.softmax(1) for part in torch.split(logits, [len(names) for names in GROUPS.values()], dim=1)]
    table = torch.cat(shares, dim=1).numpy()
    return {label: table[:, column] for column, label in enumerate(LABELS)}


def choose(films: FilmSet, plain: Chances, config: GuardConfig) -> Thresholds:
    """Thresholds from the validation films, as they are: all of them frontal and upright."""
    sites = np.array([record.site for record in films.records])

    def least(share: float) -> float:
        return min(float(np.quantile(plain["kind/frontal"][sites == site], 1 - share)) for site in sorted(set(sites)))

    frontal, supported = least(config.pass_share), least(config.pass_share_supported)
    turned = max(float(np.quantile(plain[f"turn/{name}"], _RARELY)) for name in GROUPS["turn"][1:])
    inverted = float(np.quantile(plain["polarity/inverted"], _RARELY))
    views = np.array([{"PA": 0, "AP": 1}.get(record.view.upper(), -1) for record in films.records])
    pa, ap = (_sure_from(plain[f"view/{name}"], views, one, config) for one, name in enumerate(GROUPS["view"]))
    return Thresholds(frontal, min(frontal, supported), max(_SURE, turned), max(_SURE, inverted), pa, ap)


def _sure_from(chance: NDArray[np.float64], views: NDArray[np.int64], one: int, config: GuardConfig) -> float:
    """The least chance from which on at most ``view_errors`` of the films called so are wrong, and somewhat more."""
    known = np.flatnonzero(views >= 0)
    order = known[np.argsort(-chance[known], kind="stable")]
    wrong = np.cumsum(views[order] != one)
    good = np.flatnonzero(wrong <= config.view_errors * np.arange(1, order.size + 1))
    least = float(chance[order[good[-1]]]) if good.size else 1.0
    least = min(max(least, 0.5), 1 - 1e-9)
    odds = np.log(least / (1 - least)) + _EXTRA
    return float(1 / (1 + np.exp(-odds)))


def film_metrics(network: nn.Module, films: FilmSet, spec: InputSpec, limits: Thresholds, data: str) -> list[Metric]:
    """What the guard says of frontal films that are upright and not inverted: as they are, turned and inverted.

    One set of figures per site of the films (``Metric.group``).
    """
    inputs = prepared(films, spec)
    plain = chances(network, inputs)
    turned = {n: chances(network, np.ascontiguousarray(np.rot90(inputs, -n, (2, 3)))) for n in (1, 2, 3)}
    level = np.float32((1 - 2 * spec.mean) / spec.std)  # of grey 1 - g, normalised, for the grey g
    inverted = chances(network, level - inputs)
    told_turned = np.max([plain[f"turn/{name}"] for name in GROUPS["turn"][1:]], axis=0) >= limits.turned
    right = np.mean([turned[n][f"turn/{GROUPS['turn'][n]}"] >= limits.turned for n in (1, 2, 3)], axis=0)
    view, stated = _views(plain, limits), np.array([record.view.upper() for record in films.records])
    known = np.isin(stated, ("PA", "AP"))
    columns: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]] = {}
    everything = np.ones(len(films), dtype=bool)

    def add(name: str, values: NDArray[np.generic], among: NDArray[np.bool_] = everything) -> None:
        columns[name] = (values.astype(np.float64), among)

    add("frontal films passed by the network alone", plain["kind/frontal"] >= limits.frontal)
    add("frontal films passed where lungs and heart are found", plain["kind/frontal"] >= limits.supported)
    add("turned films told, and by how much", right)
    add("upright films called turned", told_turned)
    add("inverted films told", inverted["polarity/inverted"] >= limits.inverted)
    add("films called inverted that are not", plain["polarity/inverted"] >= limits.inverted)
    for name in GROUPS["view"]:
        other = "AP" if name == "PA" else "PA"
        add(f"{name} films called {name}", view == name, stated == name)
        add(f"{name} films called {other}", view == other, stated == name)
    add("films of unknown view called PA or AP", view != "", ~known)
    patients = [record.patient for record in films.records]
    sites = np.array([record.site for record in films.records])
    return [
        one
        for site in sorted(set(sites))
        for name, (values, among) in columns.items()
        if (one := _share(name, values, among & (sites == site), patients, data, site)) is not None
    ]


def made_metrics(judged: Judged, made: Chances, limits: Thresholds, data: str) -> list[Metric]:
    """Shares refused of the images made from films, by how they were made."""
    out = []
    for number, source in enumerate(SOURCES[1:], start=1):
        mine = judged.sources == number
        for name, least in (("alone", limits.frontal), ("where lungs and heart are found", limits.supported)):
            refused = made["kind/frontal"][mine] < least
            title = f"other images refused by the network {name}"
            each = [str(index) for index in range(refused.size)]
            one = _share(title, refused.astype(np.float64), np.ones(refused.size, dtype=bool), each, data, source)
            out += [one] if one is not None else []
    return out


def _views(plain: Mapping[str, NDArray[np.float64]], limits: Thresholds) -> NDArray[np.str_]:
    sure_pa, sure_ap = plain["view/PA"] >= limits.pa, plain["view/AP"] >= limits.ap
    return np.where(sure_pa, "PA", np.where(sure_ap, "AP", ""))


def _share(
    name: str, values: NDArray[np.float64], among: NDArray[np.bool_], patients: Sequence[str], data: str, group: str
) -> Metric | None:
    """The mean of ``values`` among some of the films with its 95 % interval over patients; None without films."""
    if not among.any():
        return None
    mine = [patient for patient, one in zip(patients, among, strict=True) if one]
    draws = Draws.of(mine)
    sums = draws.sums(np.column_stack([values[among], np.ones(int(among.sum()))]))
    value = float(values[among].mean())
    low, high = share_interval(value, sums[:, 0] / sums[:, 1], len(set(mine)))
    return Metric(name, value, low, high, data, int(among.sum()), group=group)
