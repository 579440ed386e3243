"""From samples to counts: for each model, on each replica, what an engine says that it has done.

Labels differ by engine, version and collector, so the rules stand here once.  Whatever is not the model's name, a replica's or a
rank's is summed (why a request ended, whether it streamed).  Data-parallel replicas each do work of their own; the ranks of one
replica (tensor-parallel, pipeline stages) do the same work together and each tell it: one of them is believed.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from wattledger.sources.engines.exposition import Exposition, Series

MODEL_LABELS = ("model_name", "model")
REPLICA_LABELS = ("engine", "dp_rank")
RANK_LABELS = ("tp_rank", "pp_rank", "moe_ep_rank", "ep_rank", "rank")
MOST = 2**53  # a counter is a float, which counts no further by ones; and what its growth sums to would overflow the books
NAME_CHARS = 256

Key = tuple[str, str]  # model, replica


class Counts(NamedTuple):
    """Of one model on one replica since that began; ``None``: not told (yet), which is not zero.

    ``told`` is the engine's own total of prompt tokens, ``computed`` what of it was not found in a cache.
    """

    told: int | None
    computed: int | None
    cached: int | None
    generated: int | None
    requests: int | None
    steps: int | None
    running: int | None


class Reading(NamedTuple):
    """One reply understood.

    ``counts``: by model, then by replica; ``nameless``: no token was counted under a model's name, so that of the one model is a
    guess.  ``seen``: which names they came from.  ``odd``: what was left out and why, ``refused``: why a model has no counts; both
    without figures that change.  ``ranks``: how many did the same work.  ``began_s``: when the process began, by its own word.
    """

    counts: Mapping[str, Mapping[str, Counts]]
    seen: str
    odd: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    ranks: int = 1
    began_s: float | None = None
    nameless: bool = False


class About(NamedTuple):
    """What an engine says of itself elsewhere; empty: not said."""

    model: str = ""
    version: str = ""


class Engine(NamedTuple):
    """One kind of serving engine.  ``path``: where its metrics usually are, ``about_path``: where it says what it is.

    ``words``: programs or Python modules that it runs as.  ``recognises`` tells its text from others'; ``read`` never raises;
    ``about`` and ``loaded`` raise what json does on nonsense.  ``counts``: whether it counts tokens at all; where not, ``loaded``
    tells its models from the reply.
    """

    name: str
    path: str
    words: tuple[str, ...]
    recognises: Callable[[Exposition], bool]
    read: Callable[[Exposition], Reading]
    about_path: str = ""
    about: Callable[[bytes], About] = lambda _: About()
    counts: bool = True
    loaded: Callable[[bytes], tuple[str, ...]] = lambda _: ()


class Figure(NamedTuple):
    """One figure by model and replica.  ``name``: the family it came from, empty where there is none.

    ``bad``: models for which it is no count, with what is wrong.
    """

    name: str = ""
    by: Mapping[Key, int] = {}
    bad: Mapping[str, str] = {}
    odd: tuple[str, ...] = ()
    ranks: int = 1


class Figures(NamedTuple):
    """What an engine's file found.  ``computed``: where the engine tells it itself; else prompt less cached."""

    prompt: Figure
    generated: Figure
    cached: Figure = Figure()
    computed: Figure = Figure()
    requests: Figure = Figure()
    steps: Figure = Figure()
    running: Figure = Figure()


def figure(said: Exposition, *names: str, only: tuple[str, Collection[str]] | None = None) -> Figure:
    """The first of these families that is there, with or without ``_total``.  ``only``: a label and the values of it that count."""
    for form in (form for name in names for form in dict.fromkeys((name, name.removesuffix("_total")))):
        if form in said.families:
            return _figure(form, [s for s in said.families[form] if only is None or s.labels.get(only[0]) in only[1]])
    return Figure()


def _figure(name: str, series: Iterable[Series]) -> Figure:
    believed: dict[tuple[Key, frozenset[tuple[str, str]]], tuple[tuple[str, ...], float]] = {}
    ranks: set[tuple[str, ...]] = set()
    for labels, value in series:
        model = plain(next((labels[word] for word in MODEL_LABELS if word in labels), ""))
        replica = ",".join(labels[word] for word in REPLICA_LABELS if word in labels)
        rank = tuple(labels.get(word, "").zfill(6) for word in RANK_LABELS)
        ranks.add(rank)
        rest = frozenset((k, v) for k, v in labels.items() if k not in RANK_LABELS)
        one = (model, replica), rest
        if one not in believed or rank < believed[one][0]:
            believed[one] = rank, value
    by: dict[Key, int] = {}
    bad: dict[str, str] = {}
    for (key, _), (_, value) in believed.items():
        count = whole(value)
        if count is None:
            bad[key[0]] = f"{name} is {'negative' if value < 0 else 'not a number' if math.isnan(value) else 'too large'}: no count"
        else:
            by[key] = by.get(key, 0) + count
    sums: dict[str, int] = {}
    for (model, _), count in by.items():
        sums[model] = sums.get(model, 0) + count
    bad |= {model: f"{name} is too large: no count" for model, total in sums.items() if total >= MOST}
    by = {key: count for key, count in by.items() if key[0] not in bad}
    named = {model for model, _ in by if model}
    odd: tuple[str, ...] = ()
    if named and any(not model for model, _ in by):
        # A total beside its parts; adding it would count twice.
        by = {key: count for key, count in by.items() if key[0]}
        odd = (f"{name} is told with and without a model: what has none was left out",)
    return Figure(name, by, bad, odd, max(1, len(ranks)))


def plain(name: str) -> str:
    """A model's name on one line, and not endless: it becomes a label."""
    return "".join(c for c in name if c.isprintable())[:NAME_CHARS]


def whole(value: float) -> int | None:
    """A count, or ``None`` for what cannot be one: NaN, infinite, negative, absurd."""
    return round(value) if math.isfinite(value) and 0 <= value < MOST else None


def assemble(said: Exposition, figures: Figures, *, lazy: bool = False) -> Reading:
    """What the figures come to.  ``lazy``: its families appear with the first request, so nothing means nothing yet."""
    figures, odd, nameless = _one_naming(figures)
    counts: dict[str, dict[str, Counts]] = {}
    missing = _missing(figures)
    refused = list(missing)
    for model in _models((*figures[:2], figures.requests, figures.running)):
        wrong = next((f.bad[model] for f in figures[:4] if model in f.bad), None)
        counted = any(m == model for f in figures[:2] for m, _ in f.by)
        if wrong is not None:
            refused.append(wrong)
        elif counted or not _sum(figures.requests, model):
            counts[model] = dict(_replicas(figures, model))
        else:
            odd.append(f"requests of {model or 'a model without a name'} come without counts of tokens: left out")
    if missing:
        counts = {}
    elif not counts and not refused and lazy:
        counts = {"": {"": Counts(None, None, None, None, None, None, None)}}
    odd += [word for f in figures for word in f.odd] + [word for f in figures[4:] for word in f.bad.values()]
    started = said.families.get("process_start_time_seconds")
    return Reading(
        counts,
        _seen(figures),
        tuple(dict.fromkeys([*said.odd, *odd])),
        tuple(dict.fromkeys(refused)),
        max(f.ranks for f in figures),
        started[0].value if started and math.isfinite(started[0].value) else None,
        nameless,
    )


def _models(figures: Iterable[Figure]) -> dict[str, None]:
    """Every model that is named, or has no name, in the order of the text."""
    return dict.fromkeys(model for f in figures for model in (*(model for model, _ in f.by), *f.bad))


def _missing(figures: Figures) -> list[str]:
    """Why there is nothing to count, or only half of it: a count that is not there is not zero."""
    names = {"prompt": figures.prompt.name or figures.computed.name, "generated": figures.generated.name}
    missing = [word for word, name in names.items() if not name]
    if len(missing) == 1:
        return [f"it tells no {missing[0]} tokens"]
    if missing and any(figures.requests.by.values()):
        return ["it counts requests, but no tokens"]
    return []


def _one_naming(figures: Figures) -> tuple[Figures, list[str], bool]:
    """Where tokens are counted without a model's name, they are the one model's that is named elsewhere, or nobody's."""
    tokens = (figures.prompt, figures.generated)
    if not any(not model for f in tokens for model, _ in f.by):
        return figures, [], False
    named = {model for f in figures for model, _ in f.by if model}
    model = named.pop() if len(named) == 1 else ""
    odd = ["tokens are counted without a model although several are named: they are under no model"] if named else []
    bare = (
        f._replace(by={(model, ""): sum(f.by.values())} if f.by else {}, bad={model: next(iter(f.bad.values()))} if f.bad else {})
        for f in figures
    )
    return Figures(*bare), odd, True


def _replicas(figures: Figures, model: str) -> Iterator[tuple[str, Counts]]:
    """Replica by replica; in one where not all figures name the same ones."""
    told = [{r for m, r in f.by if m == model} for f in figures]
    replicas = sorted(set().union(*told))
    if "" in replicas and len(replicas) > 1:
        sums = [_sum(f, model) for f in figures]
        bare = ({} if n is None else {(model, ""): n} for n in sums)
        figures = Figures(*(f._replace(by=by) for f, by in zip(figures, bare, strict=True)))
        replicas = [""]
    for replica in replicas:
        prompt, generated, cached, computed, requests, steps, running = (f.by.get((model, replica)) for f in figures)
        if not figures.computed.name and prompt is not None:
            # A hit is counted when a request is scheduled, its prompt when that is done: hits may be ahead for a moment.
            computed = max(0, prompt - (cached or 0))
        yield replica, Counts(prompt, computed, cached, generated, requests, steps, running)


def _sum(f: Figure, model: str) -> int | None:
    found = [count for (m, _), count in f.by.items() if m == model]
    return sum(found) if found else None


def _seen(figures: Figures) -> str:
    prompt = figures.computed.name or figures.prompt.name
    less = f" less {figures.cached.name}" if figures.cached.name and not figures.computed.name else ""
    if not prompt and not figures.generated.name:
        return ""
    steps = figures.steps.name or "nothing"
    return f"counts by {prompt or 'nothing'}{less} and {figures.generated.name or 'nothing'}; steps by {steps}"
