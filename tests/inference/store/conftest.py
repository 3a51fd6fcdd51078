"""A publisher on this computer: a server that can be told to misbehave, and weights in the forms that are published."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.sources.reader import SandboxReader

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torchxrayvision as xrv

    warnings.resetwarnings()


@dataclass
class Served:
    """What the server has at one path, and how it behaves.

    Attributes:
        breaks: after so many bytes of the body the connection ends, one number for each request that does; then none.
        claims: what it says the length is, in place of the truth.
        ranges: it knows the header Range.
        drips: it sends nothing more after the first bytes, until the test is over.
    """

    content: bytes = b""
    etag: str = '"first"'
    modified: str = ""
    breaks: list[int] = field(default_factory=list)
    claims: int | None = None
    ranges: bool = True
    honest_ranges: bool = True
    status: int = 200
    location: str = ""
    drips: bool = False
    says_length: bool = True


class Server:
    """Attributes: ``requests``: (path, headers) in the order in which they came."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.dripping = threading.Event()
        self.over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append((self.path, dict(self.headers.items())))
                server.answer(self)

            def log_message(self, *given: object) -> None:
                """Tests look at ``requests``."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = False
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="publisher")
        self._thread.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self.over.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        path = to.path if to.path.startswith("/") else "/" + to.path.split("/", 3)[3]  # a proxy is asked in full
        served = self.files.get(path, Served(status=404))
        if served.location:
            to.send_response(302)
            to.send_header("Location", served.location)
            to.send_header("Content-Length", "0")
            to.end_headers()
            return
        start = self._start_of(to, served)
        body = served.content[start or 0 :]
        to.send_response(served.status if start is None else 206)
        if start is not None:
            to.send_header("Content-Range", f"bytes {start}-{len(served.content) - 1}/{len(served.content)}")
        if served.says_length:
            to.send_header("Content-Length", str(len(body) if served.claims is None else served.claims))
        for name, value in (("ETag", served.etag), ("Last-Modified", served.modified)):
            if value:
                to.send_header(name, value)
        to.end_headers()
        if served.drips:
            to.wfile.write(body[:1000])
            to.wfile.flush()
            self.dripping.set()
            self.over.wait(60)
            return
        if served.breaks:
            body = body[: served.breaks.pop(0)]
        try:
            to.wfile.write(body)
        except ConnectionError:
            return  # whoever asked has heard enough

    @staticmethod
    def _start_of(to: BaseHTTPRequestHandler, served: Served) -> int | None:
        """Where the body begins; None for the whole. An If-Range of another file gets the whole (RFC 9110, 13.1.5)."""
        wanted = to.headers.get("Range", "")
        if not wanted or not served.ranges:
            return None
        if served.honest_ranges and to.headers.get("If-Range") not in (served.etag, served.modified):
            return None
        return int(wanted.removeprefix("bytes=").removesuffix("-"))


@pytest.fixture
def server() -> Iterator[Server]:
    opened = Server()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def make_server() -> type[Server]:
    """For fixtures that live longer than a test."""
    return Server


@pytest.fixture(scope="session")
def serve() -> type[Served]:
    return Served


@pytest.fixture(scope="session")
def read_film() -> Callable[[Path, CancelToken], Radiograph]:
    """Reads a film as the program does, in a caged process; each is read once."""
    films: dict[Path, Radiograph] = {}

    def read(path: Path, cancel: CancelToken) -> Radiograph:
        if path not in films:
            reader = SandboxReader()
            try:
                films[path] = reader.read_path(path, cancel)
            finally:
                reader.close()
        return films[path]

    return read


@dataclass(frozen=True)
class Publisher:
    """A DenseNet-121 of the library itself, with weights made up here, and what the library makes of the sample film.

    Attributes:
        outputs: the library's scores of the film before the operating points are applied, by row of the network.
    """

    model: Any
    outputs: list[float]

    def save(self, path: Path, *, old: bool) -> Path:
        """As published: the whole module, in the form of torch before 1.6 or since."""
        torch.save(self.model, path, _use_new_zipfile_serialization=not old)
        return path

    def scores(self, points: list[float]) -> list[float]:
        """The library's own scores on the scale of the operating points."""
        return xrv.models.op_norm(torch.tensor([self.outputs]), torch.tensor([points]))[0].tolist()


@pytest.fixture(scope="session")
def publisher() -> Publisher:
    import pydicom

    pixels = pydicom.dcmread(resources_dir() / "samples" / "adult-2-cardiomegaly.dcm").pixel_array
    film = xrv.datasets.XRayCenterCrop()(xrv.datasets.normalize(pixels, 255)[None])
    film = torch.from_numpy(xrv.datasets.XRayResizer(224)(film)).float()[None]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = xrv.models.DenseNet(num_classes=18)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0  # one pass, and the running statistics are those of real films
        with torch.no_grad():
            model(torch.cat([film, film.flip(3), film * 0.7]))
        model.eval()
    with torch.no_grad():
        outputs = torch.sigmoid(model(film))[0].tolist()
    assert all(0.01 < value < 0.99 for value in outputs), "scores at their ends would show nothing"
    return Publisher(model, outputs)


@pytest.fixture(scope="session")
def state_of() -> Callable[[Any], dict[str, np.ndarray]]:
    """What torch itself says the tensors of a module are."""
    return lambda module: {name: value.detach().numpy() for name, value in module.state_dict().items()}
