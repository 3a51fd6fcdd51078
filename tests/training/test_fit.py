"""A tiny network trained on real films: it learns, stops, goes on, and comes out as a bundle."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cxr_viewer.core.errors import CxrError, ExportError
from cxr_viewer.inference.cards import read_card, verify_weights
from cxr_viewer.inference.networks import load_network
from cxr_viewer.training.commands import add_evaluate_parser, add_train_parser, run_evaluate, run_train
from cxr_viewer.training.data import FilmRecord, FilmSet
from cxr_viewer.training.fit import BEST_NAME, INPUT, FitConfig, fit, prepared, score

TINY = FitConfig(
    network="cxr-tiny",
    epochs=1,
    batch=8,
    seed=3,
    device="cpu",
    threads=1,
    balanced=False,
    input=dataclasses.replace(INPUT, size_px=64),
)


def _halves(films: FilmSet) -> tuple[FilmSet, FilmSet]:
    even = np.arange(len(films)) % 2 == 0
    return films.only(even), films.only(~even)


def test_one_epoch_gives_weights_that_load(few_films: FilmSet, tmp_path: Path) -> None:
    train, validation = _halves(few_films)
    weights = fit(train, validation, TINY, tmp_path, quiet=True)
    network = load_network(TINY.network, 1, load_file(weights))
    logits = score(network, prepared(validation, TINY.input))
    assert logits.shape == (len(validation),)
    assert np.isfinite(logits).all()
    history = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert [row["epoch"] for row in history] == [1]


def test_the_loss_falls_on_films_it_has_seen(few_films: FilmSet, tmp_path: Path) -> None:
    config = dataclasses.replace(TINY, epochs=8, learning_rate=5e-3, patience=8)
    fit(few_films, few_films, config, tmp_path, quiet=True)
    history = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert history[-1]["loss"] < history[0]["loss"]


def test_going_on_after_a_stop_gives_what_no_stop_gives(few_films: FilmSet, tmp_path: Path) -> None:
    train, validation = _halves(few_films)
    config = dataclasses.replace(TINY, epochs=3)
    fit(train, validation, config, tmp_path / "whole", quiet=True)

    class StoppedError(Exception):
        pass

    def interrupted(*_: object) -> None:
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        real, calls = torch.save, []

        def save_once(*args: object) -> None:
            if calls:
                interrupted()
            calls.append(1)
            real(*args)  # type: ignore[arg-type]

        patch.setattr(torch, "save", save_once)
        with pytest.raises(StoppedError):
            fit(train, validation, config, tmp_path / "stopped", quiet=True)
    fit(train, validation, config, tmp_path / "stopped", quiet=True)
    whole, stopped = load_file(tmp_path / "whole" / BEST_NAME), load_file(tmp_path / "stopped" / BEST_NAME)
    for name, value in whole.items():
        torch.testing.assert_close(stopped[name], value)


def test_a_checkpoint_of_other_settings_is_not_mixed_in(few_films: FilmSet, tmp_path: Path) -> None:
    train, validation = _halves(few_films)
    fit(train, validation, TINY, tmp_path, quiet=True)
    with pytest.raises(CxrError, match="other settings"):
        fit(train, validation, dataclasses.replace(TINY, seed=4), tmp_path, quiet=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(CxrError, match="cannot be read"):
        fit(train, validation, TINY, tmp_path, quiet=True)


def test_one_kind_of_film_is_no_lesson(few_films: FilmSet, tmp_path: Path) -> None:
    with pytest.raises(CxrError, match="both need"):
        fit(few_films.only(few_films.labels == 1), few_films, TINY, tmp_path, quiet=True)


def test_starting_weights_have_to_fit(few_films: FilmSet, tmp_path: Path) -> None:
    train, validation = _halves(few_films)
    first = fit(train, validation, TINY, tmp_path / "first", quiet=True)
    fit(train, validation, TINY, tmp_path / "second", init=first, quiet=True)
    with pytest.raises(CxrError, match="another network"):
        fit(train, validation, dataclasses.replace(TINY, network="cxr-small"), tmp_path / "x", init=first, quiet=True)
    with pytest.raises(CxrError, match="cannot be read"):
        fit(train, validation, TINY, tmp_path / "y", init=tmp_path / "none.safetensors", quiet=True)


def _data_folder(records: list[FilmRecord], folder: Path) -> Path:
    """A small set with its own index: films of forty patients, ten of them in the test part."""
    lines = ["path,label,group_id,official_split"]
    for split, step in (("train", 70), ("test", 40)):
        for label in (0, 1):
            films = [r for r in records if r.split == split and r.label == label][: 20 * step : step]
            kind = "PNEUMONIA" if label else "NORMAL"
            lines += [f"{record.path},{kind},{record.group},{split}" for record in films]
    folder.mkdir()
    (folder / "index.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_the_commands_train_and_measure(
    records: list[FilmRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _data_folder(records, tmp_path / "few")
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    add_train_parser(subparsers)
    add_evaluate_parser(subparsers)
    out = tmp_path / "out"
    line = ["train", "--data", str(data), "--out", str(out), "--epochs", "2", "--network", "cxr-tiny", "--batch", "8"]
    assert run_train(parser.parse_args([*line, "--threads", "1", "--device", "cpu"])) == 0
    bundle = out / "bundle"
    card = read_card(bundle)
    verify_weights(bundle, card)
    assert card.network == "cxr-tiny"
    assert card.labels[0].name == "Pneumonia"
    readme = (bundle / "README.md").read_text(encoding="utf-8")
    assert card.sha256 in readme
    assert str(tmp_path) not in readme
    assert (bundle / "roc.png").is_file()
    again = ["evaluate", "--data", str(data), "--model", str(bundle), "--out", str(tmp_path / "measured")]
    assert run_evaluate(parser.parse_args([*again, "--device", "cpu"])) == 0
    assert "Confusion matrix" in capsys.readouterr().out
    measured = json.loads((tmp_path / "measured" / "evaluation.json").read_text(encoding="utf-8"))
    on_card = {metric.name: metric.value for metric in card.metrics if metric.data == "official test films"}
    for metric in measured["metrics"]:
        assert metric["value"] == pytest.approx(on_card[metric["name"]], abs=2e-3), metric["name"]


def test_wrong_numbers_are_wrong_use(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_train_parser(parser.add_subparsers())
    with pytest.raises(CxrError, match="--epochs has to be at least 1"):
        run_train(parser.parse_args(["train", "--data", str(tmp_path), "--epochs", "0"]))


def test_a_folder_that_cannot_be_made_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    add_train_parser(subparsers)
    add_evaluate_parser(subparsers)
    for command, run in (("train", run_train), ("evaluate", run_evaluate)):
        args = parser.parse_args([command, "--data", str(tmp_path), "--out", str(tmp_path / "file")])
        with pytest.raises(ExportError, match="could not be read or written"):
            run(args)
