"""What the fold of a fleet's life costs: 1,250 servers of seven cards each (10,000 assets), 100,000 events.

``python tests/bench/assets.py [--events N] [--rounds N]``: the best of a few rounds, beside the issue's second.  Printed,
never asserted.
"""

import argparse
import gc
import random
import time
from collections.abc import Callable, Iterator

from wattledger.accounting.assets.books import events_of
from wattledger.accounting.assets.fold import Fleet, fold
from wattledger.accounting.assets.words import fact
from wattledger.core.facts import AssetFact, Known

SERVERS, CARDS = 1_250, 7
DAY_S = 86_400
MOST_S = 1.0


def made() -> Iterator[AssetFact]:
    """Servers with their cards, put into service on a host each."""
    for server in range(SERVERS):
        at_s = server * 60
        yield fact(f"s{server}", "make", at_s=at_s, emitted_g=2_500_000, kind="server", el_h=52_560)
        for card in range(CARDS):
            yield fact(f"s{server}-g{card}", "make", at_s=at_s, emitted_g=164_000, kind="gpu", inside=f"s{server}", el_h=35_040)
        yield fact(f"s{server}", "commission", at_s=at_s + DAY_S, host=f"h{server}", site="A", owner="us")


def lived(count: int, seed: int = 1) -> Iterator[AssetFact]:
    """As much again of what happens to them: mostly small things, some cards swapped for others, a few machines moved."""
    draw = random.Random(seed)
    spare: dict[int, list[str]] = {server: [] for server in range(SERVERS)}
    inside = {server: [f"s{server}-g{card}" for card in range(CARDS)] for server in range(SERVERS)}
    for number in range(count):
        at_s = SERVERS * 60 + 2 * DAY_S + number * 600
        server = draw.randrange(SERVERS)
        match draw.choices(("repair", "degrade", "estimate", "out", "in", "machine"), (50, 15, 10, 10, 10, 5))[0]:
            case "out" if inside[server]:
                part = inside[server].pop(draw.randrange(len(inside[server])))
                spare[server].append(part)
                yield fact(part, "remove", at_s=at_s)
            case "in" if spare[server]:
                part = spare[server].pop()
                inside[server].append(part)
                yield fact(part, "install", at_s=at_s, inside=f"s{server}")
            case "machine":
                yield fact(f"s{server}", "move", at_s=at_s, host=f"h{server}.{number}", site="B", emitted_g=900)
            case "degrade":
                yield fact(f"s{server}-g{draw.randrange(CARDS)}", "degrade", at_s=at_s, capacity=draw.randint(800, 1000) / 1000)
            case "estimate":
                yield fact(f"s{server}-g{draw.randrange(CARDS)}", "estimate", at_s=at_s, el_h=draw.randint(43_800, 70_080))
            case _:
                yield fact(f"s{server}-g{draw.randrange(CARDS)}", "repair", at_s=at_s, emitted_g=draw.randint(100, 9_000))


def best_s(what: Callable[[], object], rounds: int) -> float:
    """The quickest of a few rounds; the machine is shared."""
    found = []
    for _ in range(rounds):
        gc.collect()
        begin = time.perf_counter()
        what()
        found.append(time.perf_counter() - begin)
    return min(found)


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--events", type=int, default=100_000)
    words.add_argument("--rounds", type=int, default=3)
    asked = words.parse_args()
    facts = list(made())
    facts += lived(max(0, asked.events - len(facts)))
    known = [Known(f"bench:{number}", 1, one) for number, one in enumerate(facts)]
    events = events_of(known)
    until_s = max(one.at_s for one in facts) + DAY_S
    fleet: Fleet = fold(events, until_s)
    periods = sum(len(life.periods) for life in fleet.lives.values())
    print(f"{len(events)} events, {len(fleet.lives)} assets, {periods} periods, {len(fleet.refused)} refused")
    fold_s = best_s(lambda: fold(events, until_s), asked.rounds)
    print(f"fold     {fold_s:.3f} s{'' if fold_s <= MOST_S else f'   more than {MOST_S:g} s'}")
    print(f"reading  {best_s(lambda: events_of(known), asked.rounds):.3f} s   facts → events, corrections applied")
    residual_ug = fleet.balance(until_s).residual_ug
    print(f"balance  {best_s(lambda: fleet.balance(until_s), asked.rounds):.3f} s   residual {residual_ug} µg")
    print(f"periods  {best_s(lambda: fleet.periods(0, until_s), asked.rounds):.4f} s   of all time")


if __name__ == "__main__":
    main()
