"""What goes on beside the load: new data, and clients that take their time."""

import asyncio
import os
import socket
import ssl
import threading
import time
from pathlib import Path

from . import target as targets
from .target import Unreachable, ask_once

RELOAD_SECONDS_MAX = 30
# An answer that is shorter leaves the server at once, into the buffers of both kernels, however slow its reader is.
SLOW_BYTES_MIN = 1 << 20
# How a slow client goes about it.
READ_BYTES, WRITE_BYTES, PAUSE_SECONDS = 1024, 1, 0.2
# They come one after the other: all at once they would be a spike, which is another scenario.
ARRIVAL_SECONDS, CONNECT_SECONDS_MAX = 0.02, 30


class WrongUse(Exception):
    """Something that the scenario needs was not given."""


def reloader(reload, settings, goal):
    """What reloads the server as the scenario says, if it says so."""
    if not reload:
        return None
    if not settings.data and not settings.admin:
        raise WrongUse("this scenario reloads: give --data FILE, which the server serves, or --admin URL, or both")
    if settings.data and settings.data.suffix not in (".ndjson", ".jsonl"):
        raise WrongUse(f"--data {settings.data}: only NDJSON, of which a line can be left out, is changed")
    if settings.admin and not settings.admin_token_file:
        raise WrongUse("--admin needs --admin-token-file")
    admin = targets.parse(settings.admin, settings.i_own_this_target) if settings.admin else None
    try:
        lines = settings.data.read_bytes().splitlines(keepends=True) if settings.data else []
        token = settings.admin_token_file.read_text().strip() if admin else None
    except OSError as wrong:
        raise WrongUse(wrong) from None
    if settings.data and len(lines) < 2:
        raise WrongUse(f"--data {settings.data}: one of at least two lines is left out")
    return Reloader(reload.every_seconds, goal, settings.data, lines, admin, token)


class Reloader:
    """Within its context: takes the last item away and puts it back, or just asks for a reload, again and again."""

    def __init__(self, every_seconds, goal, data, lines, admin, token):
        self.every_seconds, self.goal, self.data, self.lines = every_seconds, goal, data, lines
        self.admin, self.token = admin, token
        self.is_whole = True
        self.seconds, self.troubles = [], []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        if not self.is_whole:
            self.attempt()

    def run(self):
        while not self.ended.wait(self.every_seconds):
            self.attempt()

    def attempt(self):
        start = time.monotonic()
        try:
            self.reload()
        except (OSError, Unreachable) as wrong:
            self.troubles.append(str(wrong))
        else:
            self.seconds.append(time.monotonic() - start)

    def reload(self):
        before = self.tag()
        if self.data:
            self.is_whole = not self.is_whole
            replace(self.data, self.lines if self.is_whole else self.lines[:-1])
        if self.admin:
            answer = ask_once(self.admin, "/-/reload", "POST", {"Authorization": f"Bearer {self.token}"})
            if answer.status != 200:
                said = answer.body.decode(errors="replace")
                raise Unreachable(f"POST {self.admin.url}/-/reload answered {answer.status}: {said}")
        end = time.monotonic() + RELOAD_SECONDS_MAX
        while self.data and self.tag() == before:
            if time.monotonic() > end:
                raise Unreachable(f"{self.goal.url} did not serve what {self.data} has become in {RELOAD_SECONDS_MAX} s")
            time.sleep(0.05)

    def tag(self):
        return ask_once(self.goal, "/items", "HEAD").headers.get("etag")

    def figures(self):
        done, failed = len(self.seconds), len(self.troubles)
        return {
            "done": done,
            "of_new_data": done if self.data else 0,
            "failed": failed,
            "seconds_max": max(self.seconds, default=0.0),
            "errors": self.troubles[:3],
            "troubles": [] if done + failed else ["nothing was reloaded: the load was too short"],
        }


def replace(path: Path, lines):
    """Puts the file in place as a whole, as one should."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(b"".join(lines))
    os.chmod(part, path.stat().st_mode & 0o7777)
    os.replace(part, path)


class SlowClients:
    """Within its context so many clients read a large answer, or write a head, byte by byte, again and again."""

    def __init__(self, slow, goal):
        self.slow, self.goal = slow, goal
        self.open = {"readers": 0, "writers": 0}
        self.most = dict(self.open)
        self.cut_off = 0
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.length = int(ask_once(goal, slow.path, "HEAD").headers.get("content-length", 0))

    def __enter__(self):
        """Begins, and waits for all of them to be there."""
        self.thread.start()
        wanted = self.slow.readers + self.slow.writers
        end = time.monotonic() + CONNECT_SECONDS_MAX + wanted * ARRIVAL_SECONDS
        while sum(self.open.values()) < wanted and time.monotonic() < end:
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def run(self):
        asyncio.set_event_loop(self.loop)
        kinds = [("readers", self.read)] * self.slow.readers + [("writers", self.write)] * self.slow.writers
        tasks = [self.loop.create_task(self.again(*kind, place)) for place, kind in enumerate(kinds)]
        self.loop.run_forever()
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    async def again(self, kind, use, place):
        await asyncio.sleep(place * ARRIVAL_SECONDS)
        while True:
            try:
                reader, writer = await self.connect()
            except OSError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self.open[kind] += 1
            self.most[kind] = max(self.most[kind], self.open[kind])
            try:
                await use(reader, writer)
            except OSError:
                pass
            finally:
                self.open[kind] -= 1
                writer.transport.abort()
            # Unless the load has ended, it is the server that has ended it.
            self.cut_off += 1

    async def connect(self):
        """A connection that holds little: the server must keep what its client does not take."""
        found = await self.loop.getaddrinfo(self.goal.host, self.goal.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        connection = socket.socket(family, kind, protocol)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        try:
            await self.loop.sock_connect(connection, address)
        except BaseException:
            connection.close()
            raise
        secure = {"ssl": ssl.create_default_context(), "server_hostname": self.goal.host} if self.goal.is_https else {}
        return await asyncio.open_connection(sock=connection, limit=READ_BYTES, **secure)

    def head(self):
        return f"GET {self.goal.base}{self.slow.path} HTTP/1.1\r\nHost: {self.goal.authority}\r\n\r\n".encode()

    async def read(self, reader, writer):
        writer.write(self.head())
        while await reader.read(READ_BYTES):
            await asyncio.sleep(PAUSE_SECONDS)

    async def write(self, reader, writer):
        head = self.head()
        for start in range(0, len(head), WRITE_BYTES):
            writer.write(head[start : start + WRITE_BYTES])
            if reader.at_eof():
                return
            await asyncio.sleep(PAUSE_SECONDS)
        await reader.read(READ_BYTES)

    def figures(self):
        troubles = []
        if self.slow.readers and self.length < SLOW_BYTES_MIN:
            troubles.append(
                f"{self.slow.path} has {self.length:,} bytes, which fit into buffers, so that no reader is slow to the "
                f"server: serve a collection of at least {SLOW_BYTES_MIN:,}"
            )
        for kind, wanted in (("readers", self.slow.readers), ("writers", self.slow.writers)):
            if self.most[kind] < wanted:
                troubles.append(f"of {wanted} slow {kind} only {self.most[kind]} were connected at once")
        return {
            "readers_max": self.most["readers"],
            "writers_max": self.most["writers"],
            "cut_off": self.cut_off,
            "troubles": troubles,
        }
