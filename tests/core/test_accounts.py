"""What one span got: sums that begin at first use, and the pieces of one run as one."""

from tests.core.made import (
    GPU,
    RIVAL,
    claim,
    counter,
    enter,
    full,
    leave,
    run,
    used,
)
from tests.core.opened import active_j, opening

from wattledger.core.accounts import SpanAccount, merge


def test_the_pieces_of_one_run_are_its_sum() -> None:
    batches = [
        full(t, enter(t, t - 0.5), leave(t, t), counter(GPU, t, 100 * t * t), used(GPU.id, "pid:1", t, t)) for t in (1, 2, 3)
    ]
    _, spans = run(opening(claim("pid:2", RIVAL), used(GPU.id, "pid:2", 0, 0)), *batches)
    pieces = [spans[1], spans[2], spans[3]]
    pieces[1].work["requests"] = pieces[2].work["requests"] = 2
    pieces[0].others[RIVAL] = pieces[2].others[RIVAL] = 5.0
    whole = merge(pieces)
    assert (whole.entered, whole.left) == (spans[1].entered, spans[3].left)
    assert active_j(whole) == sum(active_j(p) for p in pieces) == 50 + 150 + 250
    peaks = [p.lanes[GPU.id, "counter"].peak_uw for p in pieces]
    assert whole.lanes[GPU.id, "counter"].peak_uw == max(peaks) == 500_000_000
    assert whole.work == {"requests": 4}
    assert whole.others == {RIVAL: 10.0}


def test_one_piece_is_the_run_itself() -> None:
    account = SpanAccount(enter(1, 0))
    assert merge([account]) is account


def test_the_sums_of_a_device_begin_at_first_use_and_are_kept() -> None:
    account = SpanAccount(enter(1, 0))
    assert account.lanes == {}
    account.lane((GPU.id, "counter")).active_uj += 5
    account.lane((GPU.id, "counter")).active_uj += 6
    assert {key: sums.active_uj for key, sums in account.lanes.items()} == {(GPU.id, "counter"): 11}
