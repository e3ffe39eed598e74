"""The plan: a scenario with its requests drawn for one target. Whatever engine plays it, it is the same requests."""

import itertools
import random
from urllib.parse import quote

from .target import ask, ids

# Requests that are drawn; engines send them in turn, again and again.
DRAWN = 5_000


def make(scenario, target, id_field):
    """The plan as JSON: what `loadtest/run` plays itself, and `loadtest/k6.js` too."""
    total = sum(stage.rate * stage.seconds for stage in scenario.stages) if scenario.rate_max else DRAWN
    return {
        "scenario": scenario.name,
        "goal": scenario.goal,
        "engine": scenario.engine,
        "target": target.url,
        "connections": scenario.connections,
        "timeout_seconds": scenario.timeout_seconds,
        "stages": [{"rate": stage.rate, "seconds": round(stage.seconds, 3)} for stage in scenario.stages],
        "reload": scenario.reload and {"every_seconds": scenario.reload.every_seconds},
        "slow": scenario.slow and {"readers": scenario.slow.readers, "writers": scenario.slow.writers},
        "objectives": [
            {"name": one.name, "bound": one.bound, "is_local": one.is_local} for one in scenario.objectives
        ],
        "requests": list(draw(scenario, target, id_field, min(DRAWN, max(1, round(total))))),
    }


def draw(scenario, target, id_field, count):
    """Requests: routes by their weights, ids by Zipf's law, entity tags as the target has them."""
    chance = random.Random(scenario.seed)
    keys = Keys(scenario, target, id_field, chance)
    routes = chance.choices(scenario.routes, [route.weight for route in scenario.routes], k=count)
    connection, tags = target.connect(), {}
    for route in routes:
        path = route.path
        if "{id}" in path:
            path = path.replace("{id}", quote(keys.one(), safe=""))
        path = path.replace("{absent}", f"absent-{chance.randrange(1_000_000)}")
        # Without one Go's client asks for gzip by itself, and takes the time to decode it.
        headers = {"Accept-Encoding": "identity"} | route.headers
        if "{etag}" in headers.values():
            plain = {name: value for name, value in headers.items() if value != "{etag}"}
            at = (path, *plain.items())
            if at not in tags:
                tags[at] = ask(connection, target, path, "HEAD", plain).headers.get("etag", '"none"')
            headers = {name: tags[at] if value == "{etag}" else value for name, value in headers.items()}
        yield {
            "route": route.name,
            "method": route.method,
            "url": target.url + path,
            "headers": headers,
            "status": route.status,
        }
    connection.close()


class Keys:
    """Ids of the target, a few of them often and most of them seldom: the one of rank k as 1 / k ** zipf."""

    def __init__(self, scenario, target, id_field, chance):
        self.chance = chance
        self.ids = ids(target, id_field) if any("{id}" in route.path for route in scenario.routes) else []
        # The last one comes and goes.
        if scenario.reload and len(self.ids) > 1:
            self.ids.pop()
        # Popular ids are not neighbours.
        chance.shuffle(self.ids)
        self.weights = list(itertools.accumulate(1 / rank**scenario.zipf for rank in range(1, len(self.ids) + 1)))

    def one(self):
        return self.chance.choices(self.ids, cum_weights=self.weights)[0]
