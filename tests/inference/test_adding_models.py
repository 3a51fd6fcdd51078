"""The page that says how to add a model, done as it says: its scripts and cards are run as they stand there."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from onnx import TensorProto, helper

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.cards import CARD_NAME, ONNX_NAME, file_sha256, read_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.onnxcard import card_skeleton
from cxr_viewer.inference.runner import LocalRunner, model_input

ADULT = "dicom/dx_nih_00000001_000_pa_cardiomegaly.dcm"
FILMS = 240
RUN_S = 300


@pytest.fixture(scope="module")
def page(repository) -> str:
    return (repository / "docs" / "adding-models.md").read_text(encoding="utf-8")


def script(page: str, name: str) -> str:
    """The block of code that begins with its file's name."""
    (found,) = re.findall(rf"```python\n(# {re.escape(name)}\n.*?)```", page, re.DOTALL)
    return str(found)


def run(page: str, name: str, folder: Path) -> str:
    """Run a script of the page in ``folder``, as a reader would; gives what it prints."""
    (folder / name).write_text(script(page, name), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", name], cwd=folder, capture_output=True, text=True, timeout=RUN_S, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_card_of(page: str, model_id: str, folder: Path) -> None:
    """The page's card, with the digest that ``cxr-viewer models card`` gives."""
    (text,) = (card for card in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if f'id = "{model_id}"' in card)
    (digest,) = re.findall(r'^sha256 = "[0-9a-f]{64}"$', card_skeleton(folder / ONNX_NAME), re.MULTILINE)
    (folder / CARD_NAME).write_text(re.sub(r'sha256 = "0{64}"', digest, text), encoding="utf-8")


def analysed(models: Path, cache: Path, image, model_id: str) -> AnalysisResult:
    runner = LocalRunner(BundleCatalog([models]), cache)
    try:
        return runner.analyse(AnalysisRequest(0, 1, image, model_id), CancelToken(), lambda stage: None)
    finally:
        runner.close()


def direct(folder: Path, output: str, film: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession((folder / ONNX_NAME).read_bytes(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run([output], {session.get_inputs()[0].name: film})[0][0])


@pytest.mark.timeout(RUN_S)  # torch takes its time to export where cores are few
def test_one_exported_from_torch(page, tmp_path, films_at, need_data) -> None:
    (image,) = films_at([need_data(ADULT)])
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = torchvision.models.resnet18(num_classes=14).eval()
    torch.save(network.state_dict(), folder / "my-weights.pt")
    run(page, "export_torch.py", folder)
    write_card_of(page, "my-findings", folder)
    card = read_card(folder)
    film, _ = model_input(image, card)
    result = analysed(folder.parent, tmp_path / "cache", image, "my-findings")
    with torch.inference_mode():
        expected = network(torch.from_numpy(film))[0][[1, 2, 9]].tolist()
    assert [finding.label for finding in result.findings] == ["Cardiomegaly", "Effusion", "Edema"]
    assert [finding.logit for finding in result.findings] == pytest.approx(expected, abs=1e-5)
    assert expected == pytest.approx(direct(folder, "logits", film)[[1, 2, 9]].tolist(), abs=1e-5)
    assert [heatmap.label for heatmap in result.heatmaps] == ["Cardiomegaly", "Effusion", "Edema"]
    assert result.heatmaps[0].values.shape == (7, 7)


def test_one_made_with_scikit_learn(page, tmp_path, films_at, need_data) -> None:
    root = need_data("images/paediatric192_index.csv").parent
    with (root / "paediatric192_index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    learn = rows[:: len(rows) // FILMS]
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    with (folder / "films.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        writer.writerows([str((root / row["path"]).resolve()), row["label"]] for row in learn)
    said = run(page, "train_sklearn.py", folder)
    assert float(said.split()[1]) > 0.75  # it has learned something: scores that follow the films
    write_card_of(page, "my-pneumonia", folder)
    path = root / rows[1]["path"]
    (image,) = films_at([path])
    film, _ = model_input(image, read_card(folder))
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    as_in_the_script = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(film[0, 0], as_in_the_script, rtol=0, atol=1e-5)
    result = analysed(folder.parent, tmp_path / "cache", image, "my-pneumonia")
    assert [f.score for f in result.findings] == pytest.approx([direct(folder, "probabilities", film)[1]], abs=1e-5)
    assert result.heatmaps == ()  # a black box


@pytest.mark.parametrize("name", ["my-findings", "my-pneumonia"])
def test_a_begun_card_is_not_used_until_it_is_filled_in(tmp_path, name) -> None:
    """What the file cannot tell is missing, by name; with the gaps filled the card is whole."""
    end = "Softmax" if name == "my-pneumonia" else "Identity"
    shape = [1, 3, 64, 64] if name == "my-findings" else ["n", 48, 48, 1]
    nodes = [
        helper.make_node("ReduceMean", ["film"], ["mean"], axes=[2, 3] if shape[1] == 3 else [1, 2], keepdims=0),
        helper.make_node(end, ["mean"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("film", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3 if shape[1] == 3 else 1])],
    )  # fmt: skip
    path = tmp_path / ONNX_NAME
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    text = card_skeleton(path)
    (tmp_path / CARD_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="licence is missing") as error:
        read_card(tmp_path)
    for missing in ("trained_on", "intended.use", "input.mean", "input.std", "input.fit", "labels.threshold"):
        assert f"{missing} is missing" in error.value.detail
    (tmp_path / CARD_NAME).write_text(filled_in(text), encoding="utf-8")
    card = read_card(tmp_path)
    assert card.sha256 == file_sha256(path)
    assert card.onnx is not None
    wide = (64, 3, "NCHW", "none", 3) if name == "my-findings" else (48, 1, "NHWC", "softmax", 1)
    found = (card.input.size_px, card.input.channels, card.onnx.layout, card.onnx.activation, len(card.labels))
    assert found == wide


def filled_in(skeleton: str) -> str:
    """The gaps closed with the examples that stand in them; labels get different names."""
    numbers = iter(range(100))
    lines = []
    for line in skeleton.splitlines():
        marked = re.match(r"# fill in[^:]*: (.*)", line)
        line = marked[1] if marked else line
        lines.append(f'name = "Finding {next(numbers)}"' if line.startswith('name = "..."') else line)
    return "\n".join(lines)
