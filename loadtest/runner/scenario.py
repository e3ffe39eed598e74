"""A scenario: what is sent, how fast, and what must hold. Read from TOML and checked whole before anything is sent."""

import difflib
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
OPEN_LOOP, CLOSED_LOOP = "vegeta", "wrk"
ENGINES = (OPEN_LOOP, CLOSED_LOOP)
RATE_MAX = 100_000
SECONDS_MAX = 4 * 3600
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
# Objectives and their units. All are upper bounds but the rate of a closed loop.
LATENCIES = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
OBJECTIVES = {
    **dict.fromkeys(LATENCIES, "ms"),
    "error_share": "",
    "per_second": "requests/s",
    "reload_failures": "",
    "cpu_us": "µs a request",
    "memory_growth_mib": "MiB",
}
AT_LEAST = ("per_second",)
OF_THE_PROCESS = ("cpu_us", "memory_growth_mib")


class ScenarioError(Exception):
    """What is wrong with a scenario, and where."""


@dataclass(frozen=True)
class Stage:
    """A time of one rate; in a closed loop the server decides on it."""

    rate: int | None
    seconds: float


@dataclass(frozen=True)
class Route:
    """Requests of one kind, with the status that is the right answer to them."""

    name: str
    path: str
    weight: float
    status: int
    method: str
    headers: dict


@dataclass(frozen=True)
class Reload:
    """New data again and again."""

    every_seconds: float


@dataclass(frozen=True)
class Slow:
    """Clients that take their time: readers of a large answer, writers of a head."""

    path: str
    readers: int
    writers: int


@dataclass(frozen=True)
class Objective:
    """A bound. A local one is judged only where the server's process can be read."""

    name: str
    bound: float
    is_local: bool = False


@dataclass(frozen=True)
class Scenario:
    """All of it."""

    name: str
    goal: str
    engine: str
    connections: int
    timeout_seconds: float
    zipf: float
    seed: int
    stages: tuple
    routes: tuple
    objectives: tuple
    reload: Reload | None = None
    slow: Slow | None = None

    @property
    def seconds(self):
        return sum(stage.seconds for stage in self.stages)

    @property
    def rate_max(self):
        return max(stage.rate or 0 for stage in self.stages)

    def scaled(self, factor=None, rate=None, seconds=None):
        """The same with another load: all of it by a factor, or by its highest rate; and with another duration."""
        if rate is not None:
            if not self.rate_max:
                raise ScenarioError(f"{self.name} runs in closed loop: the server decides on the rate")
            factor = rate / self.rate_max
        one, stretch = factor or 1, (seconds or self.seconds) / self.seconds

        def some(number):
            return max(1, round(number * one)) if number else number

        stages = tuple(Stage(some(stage.rate), stage.seconds * stretch) for stage in self.stages)
        if max(stage.rate or 0 for stage in stages) > RATE_MAX or self.seconds * stretch > SECONDS_MAX:
            raise ScenarioError(f"more than {RATE_MAX} requests a second, or longer than {SECONDS_MAX / 3600:.0f} h")
        slow = self.slow and replace(self.slow, readers=some(self.slow.readers), writers=some(self.slow.writers))
        connections = some(self.connections) if rate is None else self.connections
        return replace(self, stages=stages, slow=slow, connections=connections)

    def bounded(self, bounds):
        """The same with other bounds for objectives that it has."""
        known = [objective.name for objective in self.objectives]
        for name in bounds:
            if name not in known:
                raise ScenarioError(f"{self.name} has no objective {name!r}; it has {', '.join(known)}")
        changed = (replace(one, bound=bounds.get(one.name, one.bound)) for one in self.objectives)
        return replace(self, objectives=tuple(changed))


REQUIRED = object()


@dataclass(frozen=True)
class Key:
    """A key of a table: how its value is read, and what counts where it is left out."""

    read: callable
    default: object = REQUIRED


def text(value):
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not a text")
    return value


def word(value):
    if not re.fullmatch(r"[a-z0-9-]+", text(value)):
        raise ValueError("may have small letters, digits and hyphens")
    return value


def path(value):
    if not text(value).startswith("/") or re.search(r"[\s#]", value):
        raise ValueError("is not a path that begins with /")
    unknown = set(re.findall(r"\{.*?\}", value)) - {"{id}", "{absent}"}
    if unknown:
        raise ValueError(f"has {unknown.pop()}, which is neither {{id}} nor {{absent}}")
    return value


def one_of(*words):
    def read(value):
        if value not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return value

    return read


def number(least, most, kind=(int, float)):
    def read(value):
        if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
            raise ValueError(f"is not {'an integer' if kind is int else 'a number'} from {least:,} to {most:,}")
        return value

    return read


def duration(value):
    """Seconds of `500ms`, `20s`, `5m` or `1h`."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", value) if isinstance(value, str) else None
    seconds = float(match[1]) * UNITS[match[2]] if match else 0
    if not 0 < seconds <= SECONDS_MAX:
        raise ValueError(f"is not a duration such as 500ms, 20s or 5m, up to {SECONDS_MAX / 3600:.0f}h")
    return seconds


def fields(value):
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError("is not a table of texts")
    return value


TOP = {
    "goal": Key(text),
    "engine": Key(one_of(*ENGINES), OPEN_LOOP),
    "connections": Key(number(1, 20_000, int)),
    "timeout": Key(duration, 5.0),
    "zipf": Key(number(0, 4), 1.0),
    "seed": Key(number(0, 2**32, int), 1),
}
STAGE = {"rate": Key(number(1, RATE_MAX, int), None), "duration": Key(duration)}
ROUTE = {
    "name": Key(word),
    "path": Key(path),
    "weight": Key(number(0.001, 1_000_000), 1),
    "status": Key(number(100, 599, int), 200),
    "method": Key(one_of("GET", "HEAD", "OPTIONS"), "GET"),
    "headers": Key(fields, {}),
}
RELOAD = {"every": Key(duration)}
SLOW = {"path": Key(path, "/items"), "readers": Key(number(0, 10_000, int)), "writers": Key(number(0, 10_000, int))}
BOUNDS = {name: Key(number(0, 1_000_000_000), None) for name in OBJECTIVES}
TABLES = ("stages", "routes", "reload", "slow", "objectives")


@dataclass
class Reader:
    """One file."""

    file: Path
    source: str
    # The table that is being read: its name, its number, or both.
    place: tuple = field(default=())

    def wrong(self, message, *key):
        return ScenarioError(f"{self.file}:{line_of(self.source, (*self.place, *key))}: {message}")

    def table(self, value, keys, others=()):
        """The values of a table by key, each read and checked."""
        where = f" in [{'.'.join(name for name in self.place if isinstance(name, str))}]" if self.place else ""
        if not isinstance(value, dict):
            raise self.wrong(f"{self.place[0]} is not a table")
        for key in value:
            if key not in keys and key not in others:
                near = difflib.get_close_matches(key, [*keys, *others], 1)
                known = f"did you mean {near[0]}?" if near else f"known are {', '.join([*keys, *others])}"
                raise self.wrong(f"unknown key {key!r}{where}; {known}", key)
        found = {}
        for name, key in keys.items():
            if name not in value:
                if key.default is REQUIRED:
                    raise self.wrong(f"{name!r} is missing{where}")
                found[name] = key.default
                continue
            try:
                found[name] = key.read(value[name])
            except ValueError as wrong:
                raise self.wrong(f"{name} = {value[name]!r} {wrong}", name) from None
        return found

    def each(self, document, name, keys):
        """The tables of an array, of which there is at least one."""
        tables = document.get(name)
        self.place = ()
        if not isinstance(tables, list) or not tables:
            raise self.wrong(f"there must be a table [[{name}]]", name)
        for index, table in enumerate(tables):
            self.place = (name, index)
            yield self.table(table, keys)

    def optional(self, document, name, keys):
        self.place = (name,)
        return self.table(document[name], keys) if name in document else None

    def scenario(self):
        try:
            document = tomllib.loads(self.source)
        except tomllib.TOMLDecodeError as wrong:
            raise ScenarioError(f"{self.file}: {wrong}") from None
        top = self.table(document, TOP, TABLES)
        top["timeout_seconds"] = top.pop("timeout")
        closed = top["engine"] == CLOSED_LOOP
        stages = []
        for one in self.each(document, "stages", STAGE):
            if closed != (one["rate"] is None):
                raise self.wrong(f"a stage of {top['engine']} has {'no rate' if closed else 'a rate'}", "rate")
            stages.append(Stage(one["rate"], one["duration"]))
        routes = []
        for one in self.each(document, "routes", ROUTE):
            if one["name"] in [route.name for route in routes]:
                raise self.wrong(f"a second route {one['name']!r}", "name")
            if closed and one["status"] >= 400:
                raise self.wrong("wrk counts every status from 400 on as failed", "status")
            routes.append(Route(**one))
        reload, slow = self.optional(document, "reload", RELOAD), self.optional(document, "slow", SLOW)
        return Scenario(
            name=self.file.stem,
            **top,
            stages=tuple(stages),
            routes=tuple(routes),
            objectives=tuple(self.objectives(document.get("objectives"), closed, reload is not None)),
            reload=reload and Reload(reload["every"]),
            slow=slow and Slow(**slow),
        )

    def objectives(self, document, closed, reloads):
        self.place = ("objectives",)
        if not isinstance(document, dict):
            raise self.wrong("there must be a table [objectives]")
        everywhere = self.table(document, BOUNDS, ("local",))
        for is_local in (False, True):
            self.place = ("objectives", "local") if is_local else ("objectives",)
            bounds = self.table(document.get("local", {}), BOUNDS) if is_local else everywhere
            for name, bound in bounds.items():
                if bound is None:
                    continue
                if closed and name in LATENCIES:
                    raise self.wrong("a closed loop waits for a slow server and so hides it: no latency by wrk", name)
                if name in AT_LEAST and not closed:
                    raise self.wrong("in open loop the scenario decides on the rate", name)
                if name == "reload_failures" and not reloads:
                    raise self.wrong("there is no table [reload]", name)
                if is_local and name not in OF_THE_PROCESS:
                    raise self.wrong(f"local are {', '.join(OF_THE_PROCESS)}", name)
                if is_local and everywhere[name] is not None:
                    raise self.wrong("it stands in [objectives] too", name)
                yield Objective(name, bound, is_local)


def line_of(source, place):
    """The line of a key, or else of its table: `("stages", 1, "rate")`, `("objectives", "local", "cpu_us")`."""
    current, counts, table_line = (), {}, 1
    for line, content in enumerate(source.splitlines(), 1):
        if header := re.match(r"\s*\[\[([\w.-]+)\]\]", content):
            counts[header[1]] = counts.get(header[1], -1) + 1
            current = (header[1], counts[header[1]])
        elif header := re.match(r"\s*\[([\w.-]+)\]", content):
            current = tuple(header[1].split("."))
        elif (key := re.match(r"\s*\"?([\w-]+)\"?\s*=", content)) and (*current, key[1]) == place:
            return line
        if header and current in (place, place[:-1]):
            table_line = line
    return table_line


def names():
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def read(name):
    """The scenario of that name, or of that file."""
    file = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        source = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(names())
        raise ScenarioError(f"there is no scenario {name!r}; there are {known}, or the path of a TOML file") from None
    except (OSError, UnicodeDecodeError) as wrong:
        raise ScenarioError(f"{file}: {wrong}") from None
    return Reader(file, source).scenario()
