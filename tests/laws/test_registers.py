"""A simulated register, and what of its true energy the meter may claim: never more, and all of it where nothing went wrong.

The truth is written here on its own: power in pieces, a register that counts in units, wraps at its range and starts at zero when
its driver restarts.
"""

from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st
from tests.laws.histories import drive

from wattledger.core.model import Batch, Device, EnergyCounter, Instant, PowerGauge

MS = 1_000_000
CAP_UW = 400_000_000
RANGE_UJ = 262_143_328_850  # RAPL's, in units of 61 uJ
LONGEST_MS = 3_000
# Within this of its end a register that starts anew cannot be told from one that wraps; no meter could.
NEAR_UJ = CAP_UW // 1_000 * LONGEST_MS * 3
WILD_UJ = 30_000_000_000  # a jump no cap allows, up or (past the range) down


RAPL = Device("package-0", "cpu", "chip", None, 1 * MS, CAP_UW)


class Piece(NamedTuple):
    """Constant power for a while, and what befalls the reading at its end."""

    power_uw: int
    length_ms: int
    fault: str  # none, missing, spike, reset, late


class Truth:
    """State: the clock, the energy drawn, and the register."""

    def __init__(self, start_uj: int, unit_uj: int, range_uj: int | None) -> None:
        self.ms, self.drawn_uw_ms, self.unit_uj, self.range_uj = 10_000, 0, unit_uj, range_uj
        self.offset_uj = start_uj

    def draw(self, piece: Piece) -> None:
        self.ms += piece.length_ms
        self.drawn_uw_ms += piece.power_uw * piece.length_ms

    @property
    def drawn_uj(self) -> int:
        return self.drawn_uw_ms // 1_000

    @property
    def counted_uj(self) -> int:
        """What the register would read if it never wrapped."""
        return (self.drawn_uj + self.offset_uj) // self.unit_uj * self.unit_uj

    def shown_uj(self, wild_uj: int = 0) -> int:
        whole = self.counted_uj + wild_uj
        return whole if self.range_uj is None else whole % self.range_uj

    def restart(self, least_uj: int) -> bool:
        """Count from zero, unless that would look like a wrap, or less than ``least_uj`` is on the register."""
        shown_uj = self.shown_uj()
        if shown_uj < least_uj or (self.range_uj is not None and shown_uj > self.range_uj - NEAR_UJ):
            return False
        self.offset_uj = -self.drawn_uj
        return True

    def at(self, before_ms: int = 0) -> Instant:
        ns = (self.ms - before_ms) * MS
        return Instant(ns, ns)


class Outcome(NamedTuple):
    metered_uj: int
    truth_uj: int  # what the register counted from the first reading to the last
    certain_uj: int  # of it, what two neighbouring good readings without a reset between them enclose


def simulate(pieces: list[Piece], start_uj: int, *, unit_uj: int = 61, range_uj: int | None = None, least_uj: int = 0) -> Outcome:
    truth = Truth(start_uj, unit_uj, range_uj)

    def reading(wild_uj: int = 0, before_ms: int = 0) -> Batch:
        sample = EnergyCounter(RAPL, truth.at(before_ms), truth.shown_uj(wild_uj), range_uj)
        return Batch(truth.at(), True, (sample,))

    batches = [reading()]
    good_uj, whole_uj, certain_uj, started_anew, in_trouble = truth.counted_uj, 0, 0, False, False
    for piece in [*pieces, Piece(CAP_UW // 2, 900, "none"), Piece(CAP_UW // 2, 900, "none")]:
        before_uj = truth.counted_uj
        truth.draw(piece)
        whole_uj += truth.counted_uj - before_uj
        fault = "none" if in_trouble else piece.fault  # one thing at a time: a good reading follows each trouble
        in_trouble = fault in ("spike", "reset")
        if fault == "reset":
            started_anew = truth.restart(least_uj) or started_anew
        if fault == "missing":
            continue
        batches.append(reading(WILD_UJ if fault == "spike" else 0, 60 if fault == "late" else 0))
        if fault in ("none", "reset"):
            certain_uj += 0 if started_anew else truth.counted_uj - good_uj
            good_uj, started_anew = truth.counted_uj, False
    totals = drive(batches).pipeline.totals
    return Outcome(totals.device_energy_uj.get((RAPL.id, "counter"), 0), whole_uj, certain_uj)


def pieces(*faults: str) -> st.SearchStrategy[list[Piece]]:
    piece = st.builds(Piece, st.integers(0, CAP_UW), st.integers(61, LONGEST_MS), st.sampled_from(faults))
    return st.lists(piece, max_size=25)


START = st.one_of(st.just(0), st.integers(0, RANGE_UJ), st.integers(RANGE_UJ - NEAR_UJ, RANGE_UJ))
RANGES = st.sampled_from([RANGE_UJ, None])


@given(pieces("none", "missing"), START, st.sampled_from([1, 61, 15_259]), RANGES)
@example([Piece(CAP_UW, 100, "none")], RANGE_UJ - 1, 1, RANGE_UJ)
def test_without_a_fault_every_unit_is_metered_wraps_and_missed_readings_included(
    found: list[Piece], start_uj: int, unit_uj: int, range_uj: int | None
) -> None:
    outcome = simulate(found, start_uj, unit_uj=unit_uj, range_uj=range_uj)
    assert outcome.metered_uj == outcome.truth_uj == outcome.certain_uj


@given(pieces("none", "missing", "spike"), START, RANGES)
def test_a_spike_neither_makes_nor_loses_energy(found: list[Piece], start_uj: int, range_uj: int | None) -> None:
    outcome = simulate(found, start_uj, range_uj=range_uj)
    assert outcome.metered_uj == outcome.truth_uj


@given(pieces("none", "none", "missing", "spike", "reset", "late"), START, RANGES)
@example([Piece(CAP_UW, 1_000, "reset")], 0, None)
def test_metered_energy_never_exceeds_the_truth(found: list[Piece], start_uj: int, range_uj: int | None) -> None:
    outcome = simulate(found, start_uj, range_uj=range_uj)
    assert outcome.metered_uj <= outcome.truth_uj


@given(pieces("none", "missing", "spike", "reset"), START, RANGES)
def test_a_reset_loses_only_the_time_around_it(found: list[Piece], start_uj: int, range_uj: int | None) -> None:
    # A register that counts past where it stood before anyone looks again is believed: that loses what it had, and makes nothing.
    outcome = simulate(found, start_uj, range_uj=range_uj, least_uj=NEAR_UJ)
    assert outcome.certain_uj <= outcome.metered_uj <= outcome.truth_uj


@given(st.lists(st.tuples(st.integers(0, CAP_UW), st.integers(1, 4_900)), min_size=1, max_size=30))
def test_integrated_power_is_the_area_under_straight_lines(found: list[tuple[int, int]]) -> None:
    device, ms, twice_uj, last_uw = RAPL._replace(id="gauge"), 0, 0, 0
    batches = [Batch(Instant(0, 0), True, (PowerGauge(device, Instant(0, 0), 0),))]
    for power_uw, length_ms in found:
        ms += length_ms
        at = Instant(ms * MS, ms * MS)
        twice_uj += (power_uw + last_uw) * length_ms // 1_000
        batches.append(Batch(at, True, (PowerGauge(device, at, power_uw),)))
        last_uw = power_uw
    metered_uj = drive(batches).pipeline.totals.device_energy_uj["gauge", "integrated"]
    assert abs(metered_uj - twice_uj / 2) <= len(found)


@given(st.lists(st.integers(0, 2 * CAP_UW), min_size=2, max_size=30))
def test_power_readings_never_make_more_than_the_highest_plausible_one_would(powers_uw: list[int]) -> None:
    device = RAPL._replace(id="gauge")
    instants = [Instant(s * 10**9, s * 10**9) for s in range(len(powers_uw))]
    batches = [Batch(at, True, (PowerGauge(device, at, uw),)) for at, uw in zip(instants, powers_uw, strict=True)]
    metered_uj = sum(drive(batches).pipeline.totals.device_energy_uj.values())
    highest_uw = max((uw for uw in powers_uw if uw <= CAP_UW), default=0)
    assert 0 <= metered_uj <= highest_uw * (len(powers_uw) - 1)
