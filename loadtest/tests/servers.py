"""What load is sent to in the tests: a real Janus, and a small server with planted faults."""

import contextlib
import http.server
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "target" / "release"
START_SECONDS_MAX = 20


def run(target, scenario, *options, out, **settings):
    """One run, by a command line; its output and, if there is one, its result."""
    command = [ROOT / "loadtest" / "run", target, scenario, "--out", out, *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **settings)
    result = out / "result.json"
    done.result = json.loads(result.read_text()) if result.exists() else None
    return done


def build():
    subprocess.run(
        ["cargo", "build", "--quiet", "--locked", "--release", "--bin", "janus", "--example", "generate"], cwd=ROOT, check=True
    )


class Planted(http.server.BaseHTTPRequestHandler):
    """Serves three items, and does to each request for one what `fault(number)` says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == "/items":
            self.answer(200, b'[{"id":1},{"id":2},{"id":3}]')
            return
        fault = self.server.fault(next(self.server.numbers))
        if fault == "hang up":
            self.close_connection = True
        else:
            self.answer(fault or 200, b'{"id":1}')

    def do_POST(self):
        self.answer(422, b'{"code":"bad_data"}')

    do_HEAD = do_GET

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            raise


@contextlib.contextmanager
def planted(fault=lambda number: None):
    """A server whose answer to the n-th request is what `fault(n)` gives: a status, "hang up", or nothing for a right one."""
    with Server(("127.0.0.1", 0), Planted) as server:
        server.fault, server.numbers = fault, itertools.count(1)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Janus:
    """A Janus that serves some generated items, with the admin endpoints on. A context."""

    def __init__(self, items):
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.data, self.token = self.folder / "items.ndjson", self.folder / "token"
        self.token.write_text("of-the-test")
        with self.data.open("wb") as out:
            subprocess.run([RELEASE / "examples" / "generate", str(items)], stdout=out, check=True)

    def __enter__(self):
        log = self.folder / "log"
        command = [RELEASE / "janus", "serve", self.data, "--listen", "127.0.0.1:0", "--log-format", "json"]
        with log.open("wb") as out:
            self.process = subprocess.Popen([*command, "--admin-token-file", self.token], stderr=out, stdout=out)
        self.stack.callback(self.stop)
        end = time.monotonic() + START_SECONDS_MAX
        while '"message":"ready"' not in log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stack.close()
                raise AssertionError("janus is not ready")
            time.sleep(0.02)
        lines = (json.loads(line)["fields"] for line in log.read_text().splitlines())
        address = next(one["address"] for one in lines if one["message"] == "listening")
        self.url = f"http://{address}"
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def __exit__(self, *_):
        self.stack.close()
