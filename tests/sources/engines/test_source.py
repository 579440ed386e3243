"""The source and its threads, against real servers that misbehave."""

import os
import threading

import pytest
from tests.runtime.answers import told
from tests.sources.engines.published import Clock, Published, S, counts, faults, host, publishing, read, served, text

from wattledger.core.model import Fault
from wattledger.core.ports import Source, SourceGone
from wattledger.sources import engines


def llama(prompt: int, generated: int) -> bytes:
    tokens = f"llamacpp:prompt_tokens_total {prompt}\nllamacpp:tokens_predicted_total {generated}\n"
    return f"{tokens}llamacpp:n_decode_total 1\n".encode()


def opened(*published: Published, **options: object) -> Source:
    return engines.open(host(urls=", ".join(f"llamacpp={engine.url()}" for engine in published), **options))


def test_what_was_asked_for_comes_with_the_time_of_its_reply() -> None:
    clock = Clock()
    with publishing(llama(10, 1)) as engine:
        source = opened(engine)
        assert (source.devices(), source.edge, source.period_ns, source.name) == ((), False, None, "engines")
        assert list(source.read(clock, False)) == []
        assert engine.asked == []
        clock.s = 5.0
        sample, *_ = served(read(source, clock))
        source.close()
    assert (sample.at.mono_ns, sample.prompt_tokens, sample.generated_tokens) == (5 * S, 10, 1)


def test_an_engine_that_hangs_delays_no_other_and_answers_later_under_its_own_stamp() -> None:
    clock = Clock()
    with publishing(llama(10, 1)) as quick, publishing(llama(70, 7)) as slow:
        source = opened(quick, slow)
        read(source, clock, until=lambda s: len({one.address for one in served(s)}) == 2)
        slow.free.clear()
        clock.s = 1.0
        meanwhile = read(source, clock, until=lambda s: sum(one.address == quick.address for one in served(s)) >= 5)
        asked = slow.asked.count("/metrics")
        meanwhile += read(source, clock, until=lambda s: len(s) >= 5)
        assert slow.asked.count("/metrics") == asked  # never more than one in flight
        assert [sample.address for sample in served(meanwhile)].count(slow.address) <= 1  # what was in flight before
        thread = f"wattledger-engines-{slow.address}"
        clock.s, looks = 1.5, clock.looks[thread]
        slow.free.set()
        clock.until_looked(thread, looks + 1)
        clock.s = 9.0
        late = read(source, clock, until=lambda s: any(one.address == slow.address for one in served(s)))
        source.close()
    assert next(one.at.mono_ns for one in served(late) if one.address == slow.address) == round(1.5 * S)


def test_an_engine_that_never_answers_is_a_fault_once_and_is_heard_when_it_does() -> None:
    with publishing(llama(10, 1)) as engine:
        engine.free.clear()
        source = opened(engine, timeout_s=0.2)
        samples = read(source)
        assert faults(samples) == [f"engines: http://{engine.address}/metrics: no answer within 0.2 s"]
        assert getattr(source, "failing", None) is True
        for _ in range(3):
            assert faults(list(source.read(Clock(), True))) == []
        engine.free.set()
        samples = read(source, until=lambda s: bool(served(s)))
        assert (faults(samples), getattr(source, "failing", None)) == ([], False)
        source.close()


BAD = [
    ("html", told(b"<html><body>hello</body></html>"), "a web page (HTML), not metrics: is it the right port and path?"),
    ("an error", told(b"oh\n", status="500 Internal Server Error"), "HTTP 500 Internal Server Error"),
    ("half a reply", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + llama(10, 1), "the reply broke off"),
    ("half a line", b"HTTP/1.0 200 OK\r\n\r\n" + llama(10, 1)[:-8], "the reply broke off in the middle of a line"),
    ("too long", told(b"#" * 9_000_000 + b"\n"), "the reply is longer than 8000000 bytes"),
    ("not metrics", told(b'{"error": "no"}\n'), "the reply is not metrics: it begins with '{\"error\": \"no\"}'"),
    ("another's", told(b"node_load1 3\n"), "these are not llamacpp's metrics: e.g. node_load1"),
    ("another engine's", told(b"tgi_queue_size 3\n"), "these are not llamacpp's metrics: they are tgi's"),
    ("not http", b"SSH-2.0-OpenSSH_9.2\r\n", ""),
    ("no counts", told(b"llamacpp:requests_deferred 1\n"), "there are no counts of tokens in the reply"),
    ("half the counts", told(b"llamacpp:prompt_tokens_total 1\n"), "it tells no generated tokens"),
    ("no count", told(llama(10, 1).replace(b"10", b"-10")), "llamacpp:prompt_tokens_total is negative: no count"),
]


@pytest.mark.parametrize(("raw", "why"), [(raw, why) for _, raw, why in BAD], ids=[name for name, *_ in BAD])
def test_nonsense_is_one_clear_line_and_the_others_go_on(raw: bytes, why: str) -> None:
    with publishing(llama(10, 1)) as good, publishing() as bad:
        bad.raw = raw
        source = opened(good, bad)
        samples = read(source, until=lambda s: bool(faults(s)) and len(served(s)) >= 3)
        (fault,) = (sample for sample in samples if isinstance(sample, Fault))
        assert {sample.address for sample in served(samples)} == {good.address}
        bad.raw, bad.body = None, llama(20, 2)
        read(source, until=lambda s: any(one.address == bad.address for one in served(s)))
        source.close()
    assert (fault.source, fault.device_id, fault.gone) == ("engines", f"llamacpp {bad.address}", False)
    assert why in fault.what
    assert bad.address in fault.what
    assert "\n" not in fault.what


def test_nobody_at_the_address_is_a_fault() -> None:
    with publishing() as engine:
        url = engine.url()
    source = engines.open(host(urls=url))
    (what,) = faults(read(source))
    source.close()
    assert "connection refused" in what


def test_a_restart_is_handed_on_as_it_is() -> None:
    """Whoever differences the counts sees the reset."""
    with publishing(llama(1_000, 100)) as engine:
        source = opened(engine)
        before = served(read(source))
        engine.body = llama(30, 2)
        after = served(read(source, until=lambda s: served(s)[-1:] != [] and served(s)[-1].generated_tokens != 100))
        source.close()
    assert counts(before[0])[:3] == (1_000, 0, 100)
    assert counts(after[-1])[:3] == (30, 0, 2)


def vllm(n: int, began_s: float) -> bytes:
    tokens = f'vllm:prompt_tokens_total{{model_name="m"}} {n}0\nvllm:generation_tokens_total{{model_name="m"}} {n}\n'
    return f"{tokens}process_start_time_seconds {began_s}\n".encode()


def test_another_process_in_its_place_is_another_setup() -> None:
    clock = Clock()
    began_s = clock().wall_ns / 1e9
    with publishing(vllm(5, began_s - 100)) as engine:
        source = engines.open(host(urls=engine.url()))
        before, *_ = served(read(source, clock))
        clock.s = 60
        engine.body = vllm(9, began_s + 30)
        after = served(read(source, clock, until=lambda s: any(one.generated_tokens == 9 for one in served(s))))[-1]
        source.close()
    assert before.setup == f"vllm, began {began_s - 100:.2f}"
    assert after.setup == f"vllm, began {began_s + 30:.2f}"


def test_replicas_behind_one_address_are_told_and_not_taken_for_one() -> None:
    """A load balancer hands the question to one and the other in turn; the difference of their counts is nobody's work."""
    clock = Clock()
    began_s = clock().wall_ns / 1e9
    one, other = vllm(5_000, began_s - 100), vllm(90_000, began_s - 50)
    with publishing(one) as engine:
        source = engines.open(host(urls=engine.url()))
        samples = read(source, clock)
        for i in range(12):
            clock.s = 1 + i
            engine.body = (other, one)[i % 2]
            asked = len(engine.asked)
            samples += read(source, clock, until=lambda _, before=asked: len(engine.asked) > before + 1)  # type: ignore[misc]
        source.close()
    assert {(sample.generated_tokens, sample.setup) for sample in served(samples)} == {(5_000, f"vllm, began {began_s - 100:.2f}")}
    assert faults(samples) == [
        f"engines: vllm {engine.address}: several processes answer here in turn (a load balancer?): give each replica's own address"
    ]


def test_a_guessed_name_stays_when_others_turn_up() -> None:
    bare = "vllm:prompt_tokens_total 30\nvllm:generation_tokens_total 3\n"
    named = [f'vllm:request_success_total{{model_name="{name}"}} 1\n' for name in "ab"]
    with publishing((bare + named[0]).encode()) as engine:
        source = engines.open(host(urls=engine.url()))
        samples = served(read(source))
        engine.body = (bare + "".join(named)).encode()
        asked = len(engine.asked)
        samples += served(read(source, until=lambda _: len(engine.asked) > asked + 2))
        source.close()
        notes = getattr(source, "notes", ())
    assert {(sample.model, sample.generated_tokens) for sample in samples} == {("a", 3)}
    assert any("without a model although several are named" in note for note in notes)


def test_a_model_that_comes_to_the_same_engine_is_told_beside_the_first() -> None:
    with publishing(b'vllm:prompt_tokens_total{model="a"} 1\nvllm:generation_tokens_total{model="a"} 1\n') as engine:
        source = engines.open(host(urls=f"vllm={engine.url()}"))
        assert {sample.model for sample in served(read(source))} == {"a"}
        engine.body += b'vllm:prompt_tokens_total{model="b"} 1\nvllm:generation_tokens_total{model="b"} 1\n'
        samples = served(read(source, until=lambda s: len({sample.model for sample in served(s)}) > 1))
        assert [sample.model for sample in samples][-2:] == ["a", "b"]
        source.close()


def test_its_energy_is_the_listeners() -> None:
    with publishing(llama(10, 1)) as engine:
        source = engines.open(host("/proc", urls=engine.url()))
        sample, *_ = served(read(source))
        source.close()
    assert sample.who == f"pid:{os.getpid()}"
    assert "began at tick " in sample.setup


def test_one_engine_under_two_addresses_is_counted_once() -> None:
    with publishing(llama(10, 1)) as engine:
        urls = f"{engine.url()}, http://localhost:{engine.port}/metrics"
        source = engines.open(host("/proc", urls=urls))
        read(source)
        samples = read(source, until=lambda s: len(s) >= 3)
        source.close()
        notes = getattr(source, "notes", ())
    assert {sample.address for sample in served(samples)} == {engine.address}
    assert f"engines: localhost:{engine.port} is the same engine as {engine.address}: counted once" in notes


def test_closing_ends_every_thread() -> None:
    before = set(threading.enumerate())
    with publishing(llama(10, 1)) as engine, publishing(llama(20, 2)) as other:
        source = opened(engine, other, discover="ports")
        read(source)
        started = {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("wattledger-engines")}
        assert len(started) == 3
        source.close()
        for thread in started:
            thread.join(10)
        assert not any(thread.is_alive() for thread in started)
        assert list(source.read(Clock(), True)) == []


@pytest.mark.parametrize(
    ("urls", "why"),
    [
        ("", 'engines: no serving engine is named; set [sources.engines] urls = "vllm=http://127.0.0.1:8000/metrics"'),
        ("vlm=http://h:1", "'vlm' is no engine that is known; did you mean vllm?"),
        ("h:8000", "'h:8000' is no address; let it begin with http:// or https://"),
        ("vllm=ftp://h/metrics", "is no address"),
        ("http://ann:s3cret@h:1", "an address holds a password"),
        ("vllm=http://[::1", "malformed"),
        ("vllm=http://h:99999", "malformed"),
    ],
)
def test_where_nothing_is_named_there_is_no_source(urls: str, why: str) -> None:
    with pytest.raises(SourceGone) as gone:
        engines.open(host(urls=urls))
    assert why in str(gone.value)
    assert "set [sources.engines] urls" in str(gone.value)
    assert "s3cret" not in str(gone.value)


def test_words_that_name_no_engine_are_told_once_and_the_others_are_asked() -> None:
    with publishing(text("llamacpp.txt")) as engine:
        source = engines.open(host(urls=f"vlm=http://h:1, {engine.url()}"))
        samples = read(source, until=lambda s: len(served(s)) >= 2)
        source.close()
    assert faults(samples) == ["engines: urls: 'vlm' is no engine that is known; did you mean vllm?"]
    assert getattr(source, "failing", None) is True


def test_who_was_late_once_is_waited_for_again_when_it_is_quick() -> None:
    clock = Clock()
    with publishing(llama(10, 1)) as engine:
        source = opened(engine)
        read(source, clock)
        engine.free.clear()
        assert list(source.read(clock, True)) == []
        engine.free.set()
        read(source, clock, until=lambda s: len(served(s)) >= 2)
        in_one_read = [len(list(source.read(clock, True))) for _ in range(5)]
        source.close()
    assert max(in_one_read) >= 1
    assert sum(in_one_read) >= 5
