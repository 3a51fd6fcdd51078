"""Fetching: a server that breaks off, resumes, lies, wanders off, and is slow."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_viewer.core.errors import CancelledError, ModelError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.store import downloading
from cxr_viewer.inference.store.process import run_job

CONTENT = np.random.default_rng(0).bytes(600_000)
OTHER = np.random.default_rng(1).bytes(600_000)


@pytest.fixture(autouse=True)
def _no_proxy_of_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def given(tmp_path, server) -> dict[str, Any]:
    return {
        "address": f"{server.base}/net.pt",
        "target": str(tmp_path / "net.pt"),
        "most_bytes": 1 << 20,
        "proxy": "",
        "schemes": ["http"],
    }


def fetch(given: dict[str, Any]) -> bytes:
    told: list[tuple[int, int]] = []
    answer = downloading.run(given, lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    return Path(answer["path"]).read_bytes()


def refusal(given: dict[str, Any]) -> ModelError:
    with pytest.raises(ModelError) as caught:
        downloading.run(given, lambda done, total: None)
    return caught.value


def left_over(given: dict[str, Any]) -> set[str]:
    """Files beside the target, without the lock."""
    return {path.name for path in Path(given["target"]).parent.iterdir() if path.suffix != ".lock"}


def ranges(server) -> list[str | None]:
    return [headers.get("Range") for _, headers in server.requests]


def test_a_file_is_fetched_and_its_progress_told(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT)
    told: list[tuple[int, int]] = []
    downloading.run(given, lambda done, total: told.append((done, total)))
    assert Path(given["target"]).read_bytes() == CONTENT
    assert told[-1] == (600_000, 600_000)
    assert len(told) > 1
    assert left_over(given) == {"net.pt"}
    (_, headers), *more = server.requests
    assert not more
    assert headers["User-Agent"].startswith("cxr-viewer/")
    assert "Authorization" not in headers


def test_what_was_fetched_whole_and_not_installed_is_not_fetched_again(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT)
    assert fetch(given) == fetch(given) == CONTENT
    assert len(server.requests) == 1


def test_a_connection_that_breaks_off_is_gone_on_with(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, breaks=[100_000, 200_000])
    assert fetch(given) == CONTENT
    assert ranges(server) == [None, "bytes=100000-", "bytes=300000-"]
    assert server.requests[1][1]["If-Range"] == '"first"'


def test_after_too_many_breaks_the_next_time_goes_on(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, breaks=[100_000] * downloading.ATTEMPTS)
    error = refusal(given)
    assert error.code == "broken-off"
    assert "after 0.4 of 0.6 MB" in error.summary
    assert left_over(given) == {"net.pt.part", "net.pt.part.toml"}
    assert fetch(given) == CONTENT
    assert ranges(server)[-1] == "bytes=400000-"


def test_a_server_that_gives_nothing_is_not_asked_for_ever(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, breaks=[0] * 9)
    assert refusal(given).code == "broken-off"
    assert len(server.requests) == 1


def test_a_server_that_knows_no_ranges_is_asked_from_the_beginning(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, breaks=[100_000], ranges=False)
    assert fetch(given) == CONTENT
    assert ranges(server) == [None, "bytes=100000-"]


@pytest.mark.parametrize("honest", [True, False], ids=["heeds If-Range", "ignores If-Range"])
def test_a_file_that_was_replaced_meanwhile_is_never_glued_together(server, serve, given, honest: bool) -> None:
    server.files["/net.pt"] = serve(CONTENT, breaks=[100_000] * downloading.ATTEMPTS)
    assert refusal(given).code == "broken-off"
    server.files["/net.pt"] = serve(OTHER, etag='"second"', honest_ranges=honest)
    assert fetch(given) == OTHER


@pytest.mark.parametrize(
    ("names", "resumes"),
    [
        ({"etag": "", "modified": "Sun, 22 Nov 2026 12:00:00 GMT"}, True),
        ({"etag": 'W/"first"', "modified": ""}, False),
        ({"etag": "", "modified": ""}, False),
    ],
)
def test_only_a_file_that_can_be_told_from_another_is_gone_on_with(server, serve, given, names, resumes) -> None:
    server.files["/net.pt"] = serve(CONTENT, breaks=[100_000], **names)
    assert fetch(given) == CONTENT
    assert ranges(server) == [None, "bytes=100000-" if resumes else None]


def test_a_part_of_another_address_is_not_gone_on_with(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, breaks=[100_000] * downloading.ATTEMPTS)
    refusal(given)
    server.files["/moved.pt"] = serve(OTHER)
    assert fetch({**given, "address": f"{server.base}/moved.pt"}) == OTHER
    assert ranges(server)[-1] is None


def test_a_part_longer_than_the_file_is_thrown_away(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, breaks=[100_000] * downloading.ATTEMPTS)
    refusal(given)
    with Path(given["target"] + ".part").open("ab") as part:
        part.write(bytes(1_000_000))
    assert fetch(given) == CONTENT


def test_a_length_that_is_too_long_is_a_break(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, claims=700_000, ranges=False)
    assert refusal(given).code == "broken-off"
    assert "net.pt" not in left_over(given)


def test_a_length_that_is_too_short_cuts_the_file_which_is_found_when_it_is_read(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, claims=500_000)
    assert fetch(given) == CONTENT[:500_000]


def test_a_file_without_a_length_is_taken_as_it_comes(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, says_length=False)
    assert fetch(given) == CONTENT


@pytest.mark.parametrize("says_length", [True, False])
def test_more_than_the_model_can_have_is_not_fetched(server, serve, given, says_length: bool) -> None:
    server.files["/net.pt"] = serve(CONTENT, says_length=says_length)
    assert refusal({**given, "most_bytes": 300_000}).code == "too-large"
    assert left_over(given) == set()


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not-found"), (410, "not-found"), (500, "server-error"), (403, "server-error")]
)
def test_answers_that_are_not_the_file_are_sentences(server, serve, given, status: int, code: str) -> None:
    server.files["/net.pt"] = serve(b"<html>sorry</html>", status=status)
    assert refusal(given).code == code
    assert left_over(given) == set()


def test_redirects_are_followed_but_not_for_ever(server, serve, given) -> None:
    server.files["/net.pt"] = serve(location="/there/net.pt")
    server.files["/there/net.pt"] = serve(CONTENT)
    assert fetch(given) == CONTENT
    server.files["/net.pt"] = serve(location="/net.pt")
    Path(given["target"]).unlink()
    assert refusal(given).code == "redirects"


def test_no_address_without_a_lock_is_fetched_from_or_followed(server, serve, given, monkeypatch) -> None:
    server.files["/net.pt"] = serve(CONTENT)
    assert refusal({**given, "schemes": ["https"]}).code == "not-secure"
    assert not server.requests
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/net.pt"):
        server.files["/net.pt"] = serve(location=place)
        assert refusal(given).code == "not-secure"


def test_a_server_that_is_not_there_is_a_sentence(given, server) -> None:
    server.close()
    error = refusal(given)
    assert error.code == "no-connection"
    assert "another computer" in error.hint


def test_the_proxy_of_the_settings_is_used_and_one_that_is_not_there_named(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT)
    through = {**given, "address": "http://publisher.invalid/net.pt", "proxy": server.base.removeprefix("http://")}
    assert fetch(through) == CONTENT
    assert server.requests[0][0] == "http://publisher.invalid/net.pt"
    Path(given["target"]).unlink()
    server.close()
    assert refusal(through).code == "bad-proxy"
    assert refusal({**through, "proxy": "http://:::"}).code == "bad-proxy"


@pytest.mark.parametrize("proxy", ["http://reader:secret@[::", "http://reader:sec/ret@x:99999", "reader:secret@a b:1"])
def test_the_password_of_a_proxy_is_never_told(server, given, proxy: str) -> None:
    error = refusal({**given, "address": "http://publisher.invalid/net.pt", "proxy": proxy})
    assert error.code in ("bad-proxy", "no-connection")
    assert not re.search("reader|sec|ret@", f"{error.summary} {error.hint} {error.detail}")


def test_the_proxy_of_the_system_is_used_where_the_settings_name_none(server, serve, given, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", server.base)
    server.files["/net.pt"] = serve(CONTENT)
    assert fetch({**given, "address": "http://publisher.invalid/net.pt"}) == CONTENT


def test_the_proxy_of_the_settings_goes_before_that_of_the_system(server, serve, given, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.files["/net.pt"] = serve(CONTENT)
    through = {**given, "address": "http://publisher.invalid/net.pt", "proxy": server.base}
    assert fetch(through) == CONTENT


def test_no_password_is_taken_from_the_users_files(server, serve, given, tmp_path, monkeypatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.files["/net.pt"] = serve(CONTENT)
    fetch(given)
    assert "Authorization" not in server.requests[0][1]


def test_a_full_disk_is_told_before_and_while_it_fills(server, serve, given, monkeypatch) -> None:
    server.files["/net.pt"] = serve(CONTENT)
    usage = shutil.disk_usage(given["target"].rsplit("/", 1)[0])
    with monkeypatch.context() as patch:
        patch.setattr(downloading.shutil, "disk_usage", lambda folder: usage._replace(free=1000))
        assert refusal(given).code == "disk-full"

    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(downloading, "_write", full)
    assert refusal(given).code == "disk-full"


@pytest.mark.skipif(os.name == "nt", reason="Windows locks the part itself")
def test_two_programs_do_not_write_one_file(server, serve, given) -> None:
    import fcntl

    server.files["/net.pt"] = serve(CONTENT)
    with Path(given["target"] + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refusal(given).code == "fetched-already"
    assert fetch(given) == CONTENT


def test_cancel_ends_a_download_that_stands_still_and_the_next_goes_on(server, serve, given) -> None:
    server.files["/net.pt"] = serve(CONTENT, drips=True)
    token = CancelToken()
    canceller = threading.Thread(target=lambda: (server.dripping.wait(60), _part_is_there(given), token.cancel()))
    canceller.start()
    with pytest.raises(CancelledError):
        run_job("download", given, token)
    canceller.join()
    kept = Path(given["target"] + ".part").stat().st_size
    assert kept == 1000
    server.files["/net.pt"] = serve(CONTENT)
    told: list[tuple[int, int]] = []
    answer = run_job("download", given, CancelToken(), lambda done, total: told.append((done, total)))
    assert Path(answer["path"]).read_bytes() == CONTENT
    assert ranges(server)[-1] == "bytes=1000-"
    assert told[-1] == (600_000, 600_000)


def _part_is_there(given: dict[str, Any]) -> None:
    part, wait = Path(given["target"] + ".part"), threading.Event()
    while not part.exists() or part.stat().st_size < 1000:
        wait.wait(0.01)


def test_faults_come_through_the_process_as_sentences(server, given) -> None:
    with pytest.raises(ModelError) as caught:
        run_job("download", given, CancelToken())
    assert caught.value.code == "not-found"
    assert caught.value.hint
