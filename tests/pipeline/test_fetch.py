"""Downloading, from a real server on this machine that can stop in the middle."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.terminal import Terminal
from harness.errors import FileFormatError, UsageError, WorkspaceError
from harness.pipeline.fetch import addresses, fetch

CONTENT = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; drops the first connections after a part of it."""

    content = CONTENT
    drops = 0
    ranges = True
    asked: list[str | None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if not self.path.endswith("/weights"):
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        start = start if self.server.ranges else 0
        if start > len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.drops:
            self.server.drops -= 1
            body = body[: len(body) // 3]
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def url(server: Server, name: str = "weights") -> tuple[str, ...]:
    return (f"http://127.0.0.1:{server.server_address[1]}/{name}",)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_breaks_off_is_gone_on_with(
    server: Server, tmp_path: Path, ranges: bool
) -> None:
    server.drops, server.ranges = 2, ranges
    fetch(Terminal(), "x", tmp_path, url(server))
    assert (tmp_path / "weights").read_bytes() == CONTENT
    assert server.asked[0] is None
    assert server.asked[1] == f"bytes={len(CONTENT) // 3}-"
    assert not list(tmp_path.glob("*.part"))


def test_what_a_killed_run_left_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.part").write_bytes(CONTENT[:1000])
    fetch(Terminal(), "x", tmp_path, url(server))
    assert (tmp_path / "weights").read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_the_first_checksum_is_recorded_and_said_to_be_just_that(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(Terminal(), "x", tmp_path, url(server))
    assert "recorded at this first download" in " ".join(capsys.readouterr().out.split())
    fetch(Terminal(), "x", tmp_path, url(server))
    assert "as at the first download" in " ".join(capsys.readouterr().out.split())


def test_a_file_that_has_changed_is_refused_and_kept_aside(server: Server, tmp_path: Path) -> None:
    fetch(Terminal(), "x", tmp_path, url(server))
    server.content = CONTENT[::-1]
    with pytest.raises(FileFormatError, match="at first it was"):
        fetch(Terminal(), "x", tmp_path, url(server))
    assert (tmp_path / "weights.changed").read_bytes() == CONTENT[::-1]
    assert (tmp_path / "weights").read_bytes() == CONTENT


def test_a_part_that_is_more_than_the_file_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.part").write_bytes(CONTENT + b"more")
    fetch(Terminal(), "x", tmp_path, url(server))
    assert (tmp_path / "weights").read_bytes() == CONTENT


def test_no_such_file_and_no_such_server_are_one_clear_error(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(WorkspaceError, match="Not Found"):
        fetch(Terminal(), "x", tmp_path, url(server, "nothing"))
    with pytest.raises(WorkspaceError, match="cannot fetch"):
        fetch(Terminal(), "x", tmp_path, ("http://127.0.0.1:9/weights",))
    assert not (tmp_path / "weights").exists()


def test_only_what_was_published_has_a_name() -> None:
    assert len(addresses("note10")) == 5
    assert addresses("specialized:note10_lat-30ms")[0].endswith("/note10_lat-30ms/net.config")
    with pytest.raises(UsageError, match="acc-predictor"):
        addresses("acc")
