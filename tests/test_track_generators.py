"""The pieces of a generator's iteration are one run, with all of its energy and none of its consumer's."""

from pathlib import Path

import pytest
from tests.runtime.programs import blind, python, rigged


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_every_piece_counts_and_the_consumer_does_not(tmp_path: Path, kind: str) -> None:
    loop = "for _ in" if kind == "def" else "async for _ in"
    found, consumer = python(f"""
@track(job="g")
{kind} pieces():
    for _ in range(8):
        burn(0.06)
        yield
@track(job="consumer")
{kind} consume():
    {loop} pieces():
        time.sleep(0.15)
done = consume()
if done is not None:
    asyncio.run(done)
out([final(pieces.last_run).to_dict(), final(consume.last_run).to_dict()])
""", blind(tmp_path)).value
    cpu, whole = (
        next(d["energy_j"]["value"] for d in run["devices"] if d["kind"] == "cpu") for run in (found, consumer)
    )
    # By a model that follows CPU time: nearly all of it is the generator's, in eight pieces over more than one cell.
    assert 0.75 * whole < cpu <= whole


def test_tokens_of_all_pieces_are_one_runs(tmp_path: Path) -> None:
    found = python("""
@track(job="g")
def pieces():
    for _ in range(5):
        time.sleep(0.02)
        pieces.last_run.add_tokens(generated=1)
        yield
for _ in pieces(): pass
out(final(pieces.last_run).to_dict()["work"])
""", rigged(tmp_path)).value
    assert found["generated_tokens"] == 5


def test_an_unfinished_iteration_is_counted_so_far(tmp_path: Path) -> None:
    found = python("""
@track(job="g")
def pieces():
    while True:
        burn(0.1)
        yield
walk = pieces()
next(walk), next(walk)
time.sleep(0.2)
first = pieces.last_run.footprint
next(walk)
time.sleep(0.2)
second = pieces.last_run.footprint
walk.close()
out([first.energy_j.value, second.energy_j.value, final(pieces.last_run).energy_j.value])
""", rigged(tmp_path)).value
    assert 0 < found[0] < found[1] <= found[2] * (1 + 1e-9)
