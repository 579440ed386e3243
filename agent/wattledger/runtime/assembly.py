"""An account, whoever measured it, and its run → the footprint that ``run.footprint`` gives."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wattledger.core.accounts import SpanAccount
from wattledger.core.footprint import Footprint, assemble, terms_of
from wattledger.core.model import Instant
from wattledger.runtime.config import ConfigError
from wattledger.runtime.identity import identity, work_of
from wattledger.runtime.prices import PriceList, gain_of, mismatch_g95, price_list
from wattledger.runtime.span_meter import WHOLE_HOST, SpanMeter
from wattledger.runtime.warn import warn_once

if TYPE_CHECKING:
    from wattledger.track import Run

QUEUED = "no framework that can be waited for: GPU work still queued at the run's end is counted after it"


def footprint_of_run(run: "Run", meter: SpanMeter, account: SpanAccount, *, end: Instant, notes: Sequence[str]) -> Footprint:
    """At the prices of the run's own zone, if it has one, else the meter's."""
    prices, wrong = _prices(run, meter)
    terms = terms_of(account, prices.factors) if run._spec.zone is None or wrong else [(prices.factors, account.energy_uj)]
    notes = [*notes, *wrong]
    devices = meter.devices()
    gpu = any(devices[d].kind == "gpu" and sums.active_uj for (d, _), sums in account.lanes.items())
    if gpu and run._left and run.parent is None and run._spec.sync == "auto" and not run._synced:
        notes.append(QUEUED)
    if run._spec.scope == "host" and not meter.others_known:
        notes.append(WHOLE_HOST)
    if any(run._work):
        account.work = work_of(run)
    return assemble(
        identity(run, meter.environ, meter.host),
        account,
        devices,
        end=end,
        terms=terms,
        gain_of=gain_of,
        mismatch_g95=mismatch_g95((end.mono_ns - account.entered.mono_ns) / 1e9),
        notes=[*notes, *run._notes, *meter.notes(account), *prices.notes],
        others_known=meter.others_known,
        rates=meter.prices().rates,
    )


def _prices(run: "Run", meter: SpanMeter) -> tuple[PriceList, list[str]]:
    if run._spec.zone is not None:
        try:
            return price_list(meter.config, meter.environ, run._spec.zone), []
        except ConfigError as wrong:
            warn_once(f"zone {run._spec.zone}", str(wrong))
            return meter.prices(), [str(wrong)]
    return meter.prices(), []
