"""The rig's own laws, powercap and perf: every read is exact at the moment it is made, or fails exactly as asked."""

import platform
from dataclasses import replace
from pathlib import Path

import pytest
from tests.rig.probe import RAPL, ask
from tests.rig.rig import (
    Fault,
    NoCompiler,
    Rig,
    Zone,
    boottime_ns,
    build,
    load_constant,
    load_square,
    load_steps,
    sockets,
)

SQUARE = load_square(0.3, 80, 600)
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}.get(platform.machine())


@pytest.fixture(scope="module", autouse=True)
def _compiler() -> None:
    try:
        build()
    except NoCompiler as reason:
        pytest.skip(str(reason))


def test_the_tree_is_the_kernels(tmp_path: Path) -> None:
    zones = sockets(2, package=SQUARE, core=SQUARE, dram=SQUARE)
    zones += (Zone("intel-rapl:2", "psys", SQUARE),)
    zones += (Zone("intel-rapl-mmio:0", "package-0", SQUARE, mirror="intel-rapl:0"),)
    flat, nested, names, real = ask(Rig(zones=zones).write(tmp_path), RAPL, """print(json.dumps([
    sorted(os.listdir(theirs)), sorted(n for n in os.listdir(theirs + "intel-rapl:0") if ":" in n),
    {k: text(theirs + k + "/name").strip() for k in os.listdir(theirs) if ":" in k},
    os.path.realpath(theirs + "intel-rapl:1:2")]))""")
    assert flat == sorted([*(z.key for z in zones), "intel-rapl", "intel-rapl-mmio"])
    assert nested == ["intel-rapl:0:0", "intel-rapl:0:2"]
    assert names == {z.key: z.name for z in zones}
    assert real == "/sys/devices/virtual/powercap/intel-rapl/intel-rapl:1/intel-rapl:1:2"


@pytest.mark.parametrize("read", [
    'register("intel-rapl:0")',
    'register("intel-rapl:0", theirs)',
    'lambda: int(text(theirs + "intel-rapl:0/energy_uj"))',
    'lambda: int(os.read(os.open(theirs + "intel-rapl:0/energy_uj", os.O_RDONLY), 64))',
    'lambda: int(os.pread(os.open("energy_uj", 0, dir_fd=os.open(mine + "intel-rapl:0", 0)), 64, 0))',
    'lambda: int(c_text((theirs + "intel-rapl:0/energy_uj").encode()))',
])  # fmt: skip
def test_every_read_is_exact_whatever_way_it_comes(tmp_path: Path, read: str) -> None:
    rig = Rig(zones=sockets(1, package=load_square(0.002, 20, 250))).write(tmp_path)
    c_text = """
c = ctypes.CDLL(None)
c.fopen.restype, c.fgets.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
c.fclose.argtypes = [ctypes.c_void_p]
def c_text(path):
    file, room = c.fopen(path, b"r"), ctypes.create_string_buffer(64)
    c.fgets(room, 64, file), c.fclose(file)
    return room.value
"""
    rounds = ask(rig, RAPL, c_text, f"read = {read}\nprint(json.dumps([seen(read) for _ in range(50)]))")
    for before_ns, uj, after_ns in rounds:
        low, high = (rig.truth_uj("intel-rapl:0", rig.epoch_ns, t) for t in (before_ns, after_ns))
        assert low <= uj <= high


def test_a_register_wraps_at_its_range(tmp_path: Path) -> None:
    zone = Zone("intel-rapl:0", "package-0", load_constant(100), range_uj=100_000, start_uj=99_999)
    rig = Rig(zones=(zone,)).write(tmp_path)
    rounds = ask(rig, RAPL, 'r = register("intel-rapl:0")\nprint(json.dumps([seen(r) for _ in range(300)]))')
    for before_ns, uj, after_ns in rounds:
        low, high = (99_999 + rig.truth_uj("intel-rapl:0", rig.epoch_ns, t) for t in (before_ns, after_ns))
        assert 0 <= uj < 100_000
        assert (uj - low) % 100_000 <= high - low


def test_a_refreshing_register_moves_only_at_its_refresh_points(tmp_path: Path) -> None:
    zone = Zone("intel-rapl:0", "package-0", SQUARE, refresh_us=1000, phase_us=300)
    rig = Rig(zones=(zone,)).write(tmp_path)
    rounds = ask(rig, RAPL, 'r = register("intel-rapl:0")\nprint(json.dumps([seen(r) for _ in range(99)]))')
    for before_ns, uj, after_ns in rounds:
        steps = range(rig.refreshed_ns(zone.key, before_ns), after_ns + 1, 1_000_000)
        assert uj in {rig.truth_uj(zone.key, rig.epoch_ns, t) for t in steps}


def test_a_mirror_repeats_the_register_it_mirrors(tmp_path: Path) -> None:
    zones = (Zone("intel-rapl:0", "package-0-die-0", SQUARE, start_uj=5, refresh_us=1e10),
             Zone("intel-rapl:1", "package-0-die-1", load_steps((1, 0)), mirror="intel-rapl:0"))  # fmt: skip
    rig = Rig(zones=zones).write(tmp_path)
    a, b = ask(rig, RAPL, 'print(json.dumps([register(f"intel-rapl:{i}")() for i in range(2)]))')
    assert a == b == 5


@pytest.mark.parametrize(("fault", "expected"), [
    (Fault("eio", n=2), ["OSError:5", "OSError:5", "number"]),
    (Fault("eacces"), ["PermissionError:13"] * 3),
    (Fault("vanish"), ["FileNotFoundError:2"] * 3),
    (Fault("absurd_energy", n=1, value=1 << 40), [1 << 40, "number", "number"]),
    (Fault("reset", 3600), ["number"] * 3),
])  # fmt: skip
def test_a_zone_fails_as_asked(tmp_path: Path, fault: Fault, expected: list[object]) -> None:
    faulty = Zone("intel-rapl:0", "package-0", SQUARE, faults=(fault,))
    rig = Rig(zones=(faulty, Zone("intel-rapl:1", "package-1", SQUARE)))
    got, other = ask(rig.write(tmp_path), RAPL, """
one, two = (lambda: register("intel-rapl:0")()), (lambda: register("intel-rapl:1", theirs)())
print(json.dumps([[seen(one)[1] for _ in range(3)], seen(two)[1]]))""")
    assert isinstance(other, int)
    ordinary = rig.truth_uj("intel-rapl:0", rig.epoch_ns, rig.epoch_ns + 60 * 10**9)
    assert ["number" if isinstance(v, int) and v < ordinary else v for v in got] == expected


def test_a_held_descriptor_fails_once_its_zone_is_gone(tmp_path: Path) -> None:
    for lead_s in (1, 4, 16, 64):  # a busy machine may start the reader only after the zone has gone
        epoch = boottime_ns() + lead_s * 10**9
        zone = Zone("intel-rapl:0", "package-0", SQUARE, faults=(Fault("vanish"),))
        got = ask(Rig(zones=(zone,), epoch_ns=epoch).write(tmp_path), RAPL, f"""
opened = seen(lambda: globals().update(r=register("intel-rapl:0")))
while now() < {epoch}: time.sleep(0.05)
print(json.dumps([opened[2] < {epoch}, seen(lambda: r())[1], os.path.exists(theirs + "intel-rapl:0")]))""")
        if got[0]:
            break
    assert got == [True, "OSError:19", False]


def test_a_reset_register_grows_on_from_its_new_value(tmp_path: Path) -> None:
    zone = Zone("intel-rapl:0", "package-0", SQUARE, start_uj=10**10, faults=(Fault("reset", 0, value=3),))
    rig = Rig(zones=(zone,)).write(tmp_path)
    before_ns, uj, after_ns = ask(rig, RAPL, 'print(json.dumps(seen(register("intel-rapl:0"))))')
    low, high = (rig.truth_uj(zone.key, rig.epoch_ns, t) for t in (before_ns, after_ns))
    assert low <= uj - 3 <= high


def test_without_the_preload_a_register_is_no_number(tmp_path: Path) -> None:
    rig = Rig(zones=sockets(1, package=SQUARE)).write(tmp_path)
    assert not (rig.sysfs / "class/powercap/intel-rapl:0/energy_uj").read_text()[0].isdigit()


PERF = f"""
perf = "/sys/bus/event_source/devices/power/"
libc = ctypes.CDLL(None, use_errno=True)
def counter(event, cpu):
    config = int(text(perf + "events/" + event).strip().removeprefix("event="), 16)
    attr = ctypes.create_string_buffer(struct.pack("=IIQ", int(text(perf + "type")), 128, config), 128)
    fd = libc.syscall({PERF_EVENT_OPEN}, attr, -1, cpu, -1, 8)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "perf_event_open")
    return lambda: struct.unpack("Q", os.read(fd, 8))[0]
"""


@pytest.mark.skipif(PERF_EVENT_OPEN is None, reason="the number of perf_event_open is not known for this machine")
def test_perf_counts_from_its_opening(tmp_path: Path) -> None:
    rig = Rig(zones=sockets(2, package=SQUARE, dram=load_constant(9))).write(tmp_path)
    mask, scale, opened, rounds = ask(rig, RAPL, PERF, """
opened = seen(lambda: globals().update(c=counter("energy-pkg", 1)))
print(json.dumps([text(perf + "cpumask"), float(text(perf + "events/energy-pkg.scale")), opened,
                  [seen(c) for _ in range(50)]]))""")
    assert mask.strip() == "0,1"
    for before_ns, count, after_ns in rounds:
        low = rig.truth_uj("intel-rapl:1", opened[2], before_ns)
        high = rig.truth_uj("intel-rapl:1", opened[0], after_ns)
        assert low - 1 <= count * scale * 1e6 <= high + 1


@pytest.mark.skipif(PERF_EVENT_OPEN is None, reason="the number of perf_event_open is not known for this machine")
def test_perf_may_be_forbidden_while_powercap_is_not(tmp_path: Path) -> None:
    package = replace(sockets(1, package=SQUARE)[0], faults=(Fault("perf_eacces"),))
    refused, absent, uj = ask(Rig(zones=(package,)).write(tmp_path), RAPL, PERF, """print(json.dumps([
    seen(lambda: counter("energy-pkg", 0))[1], seen(lambda: counter("energy-pkg", 1))[1],
    register("intel-rapl:0")()]))""")
    assert (refused, absent) == ("PermissionError:13", "OSError:22")
    assert isinstance(uj, int)
