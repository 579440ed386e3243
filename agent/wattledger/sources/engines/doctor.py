"""What can be counted of the engines here, asked once, each on a thread of its own."""

import threading
from collections.abc import Iterator

from wattledger.core.model import Fault, Finding, Instant, Served
from wattledger.core.ports import Host
from wattledger.sources.engines.discovery import Discovery, candidates, engine_listeners
from wattledger.sources.engines.places import HOW, NAME, Place, configured
from wattledger.sources.engines.scrape import Scrape

SETTING = f"[sources.{NAME}]"
EPOCH = Instant(0, 0)


def findings(host: Host) -> Iterator[Finding]:
    places, wrong = configured(str(host.options.get("urls", "")))
    for why in wrong:
        yield Finding(NAME, "urls", "broken", why.removeprefix(f"{NAME}: "), f"correct urls in {SETTING}")
    discovery = Discovery(host)
    discovery.look(lambda: EPOCH)
    for fault in discovery.faults():
        if isinstance(fault, Fault):
            yield Finding(NAME, str(fault.device_id), "broken", fault.what, f"correct pods_url, token_file or ca_file in {SETTING}")
    for note in discovery.notes:
        yield Finding(NAME, "pods", "absent", note.removeprefix(f"{NAME}: "), f"set {SETTING} pods_url")
    known = {place.url for place in places}
    places += [place for place in discovery.places if place.url not in known]
    if not places and not wrong:
        yield _nothing(host)
    yield from _asked(host, places)


def _nothing(host: Host) -> Finding:
    if str(host.options.get("discover", "off")) != "off":
        return Finding(NAME, "engines", "absent", "no engine was found by discover", f"name it: set {SETTING} urls")
    seen = next(engine_listeners(host.procfs), None)
    if seen is None:
        return Finding(NAME, "engines", "absent", "no serving engine is named, and none is seen to listen here", HOW)
    name, listener = seen
    url = next(candidates(name, listener)).url
    why = f"{name} listens on port {listener.port}, but no serving engine is named in the configuration"
    return Finding(NAME, "engines", "absent", why, f'set {SETTING} urls = "{name}={url}"')


def _asked(host: Host, places: list[Place]) -> Iterator[Finding]:
    """All at once: one that hangs costs its own time only."""
    found: dict[str, list[Finding]] = {}

    def ask(place: Place) -> None:
        found[place.url] = list(_of_place(host, place))

    threads = [threading.Thread(target=ask, args=(place,), name=f"wattledger-{NAME}-doctor", daemon=True) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in places:
        yield from found.get(place.url, [])


def _of_place(host: Host, place: Place) -> Iterator[Finding]:
    scrape = Scrape(host, place)
    samples = scrape.look(lambda: EPOCH)
    said = scrape.said
    for sample in samples:
        if isinstance(sample, Fault):
            yield Finding(NAME, str(sample.device_id), "broken", sample.what, _remedy(place))
    served = [sample for sample in samples if isinstance(sample, Served)]
    if served:
        yield Finding(NAME, said.label, "usable", f"{said.seen}; {'; '.join(map(_shown, served))}")
    elif not scrape.failing:
        yield Finding(NAME, said.label, "absent", f"{said.seen}; {'; '.join(said.odd)}", "see README, serving engines")
    for word in (*said.odd, said.owner.why) if served else ():
        if word:
            yield Finding(NAME, said.label, "usable", word)


def _shown(sample: Served) -> str:
    model = sample.model or "a model without a name (add #model=NAME to its entry)"
    counts = f"{sample.prompt_tokens} prompt, {sample.cached_tokens} cached, {sample.generated_tokens} generated"
    return f"{model}: {counts}; energy of {sample.who or 'nobody here'}"


def _remedy(place: Place) -> str:
    flags = {"sglang": "start it with --enable-metrics", "llamacpp": "start it with --metrics"}
    return flags.get(place.engine, f"see that it runs and publishes metrics at {place.url}, or correct urls in {SETTING}")
