"""WattTime: logging in, tokens that end, pounds per megawatt-hour, marginal apart from average."""

import base64
from collections.abc import Callable

import pytest
from tests.factors.grid.providers import wt_reply
from tests.factors.grid.served import DAY, KEY, Asked, Reply, Service, at, failed, refusal, said, standing

from wattledger.core.ports import BadStatus, GridProvider, SourceGone
from wattledger.factors.grid import watttime

NOW = at("2026-03-02T00:00")
START = NOW - 900
VALUES = [(START + i * 300, 870.0) for i in range(3)]


class Account:
    """Sells tokens, and takes those that it has not ended.  State: how many it has sold, which have ended."""

    def __init__(self) -> None:
        self.sold = 0
        self.ended: set[int] = set()

    def login(self, asked: Asked) -> Reply:
        wanted = base64.b64encode(f"ann:{KEY}".encode()).decode()
        if asked.headers["authorization"] != f"Basic {wanted}":
            return refusal("401 Unauthorized")
        self.sold += 1
        return {"token": f"t0ken-{self.sold}"}

    def guarded(self, reply: Reply) -> Callable[[Asked], Reply]:
        def answer(asked: Asked) -> Reply:
            number = int(asked.headers["authorization"].removeprefix("Bearer t0ken-"))
            if number in self.ended:
                return refusal("401 Unauthorized")
            return reply(asked) if callable(reply) else reply

        return answer

    def replies(self, historical: Reply, forecast: Reply = b"") -> dict[str, Reply]:
        return {
            "/login": self.login,
            "/v3/historical": self.guarded(historical),
            "/v3/forecast": self.guarded(forecast),
        }


def opened(service: Service, **options: object) -> GridProvider:
    return watttime.open(service.place(user="ann", **options))  # type: ignore[arg-type]


def test_pounds_per_megawatt_hour_become_grams_per_kilowatt_hour() -> None:
    with standing(Account().replies(wt_reply(VALUES))) as service:
        facts = opened(service).read("US-CAMX", START, NOW, NOW)
    assert [fact.ug_per_kwh for fact in facts] == [394_625_362] * 3
    assert {(fact.signal, fact.boundary, fact.version, fact.length_s) for fact in facts} == {
        ("marginal", "direct", "2023-03-01", 300)
    }
    assert dict(service.asked[1].words) == {
        "region": "CAISO_NORTH",
        "signal_type": "co2_moer",
        "start": said(START, "%Y-%m-%dT%H:%M:%SZ"),
        "end": said(NOW, "%Y-%m-%dT%H:%M:%SZ"),
        "include_imputed_marker": "true",
    }


def test_an_average_is_asked_for_as_such_and_says_so() -> None:
    with standing(Account().replies(wt_reply(VALUES, signal_type="co2_aoer"))) as service:
        provider = opened(service, signal="co2_aoer")
        facts = provider.read("US-CAMX", START, NOW, NOW)
    assert {fact.signal for fact in facts} == {provider.signal} == {"average"}
    assert service.asked[1].words["signal_type"] == "co2_aoer"


def test_a_token_serves_until_it_is_old() -> None:
    with standing(Account().replies(wt_reply(VALUES))) as service:
        provider = opened(service)
        for now_s in (NOW, NOW + 60, NOW + 1_499, NOW + 1_500, NOW + 1_501, NOW):
            assert len(provider.read("US-CAMX", START, NOW, now_s)) == 3
    paths = service.paths()
    # The last of them after a step back of the clock: then nobody knows how old the token is.
    assert [i for i, path in enumerate(paths) if path == "/login"] == [0, 4, 7]
    assert len(paths) == 9


def test_a_token_that_is_refused_is_renewed_once() -> None:
    account = Account()
    with standing(account.replies(wt_reply(VALUES))) as service:
        provider = opened(service)
        provider.read("US-CAMX", START, NOW, NOW)
        account.ended = {1}
        assert len(provider.read("US-CAMX", START, NOW, NOW)) == 3
        account.ended = {2, 3}
        line = failed(lambda: provider.read("US-CAMX", START, NOW, NOW), SourceGone)
        account.ended = set()
        assert len(provider.read("US-CAMX", START, NOW, NOW)) == 3
    assert "t0ken" not in line
    assert account.sold == 4


def test_a_wrong_password_is_said_without_it() -> None:
    with standing(Account().replies(wt_reply(VALUES))) as service:
        provider = opened(service, key="another")
        line = failed(lambda: provider.read("US-CAMX", START, NOW, NOW), SourceGone)
    assert line.startswith("watttime: the user or the password is refused")
    assert service.paths() == ["/login"]


@pytest.mark.parametrize("token", [None, 7, "", "a\nb", "☃"])
def test_a_login_without_token_is_said(token: object) -> None:
    with standing({"/login": {"token": token}}) as service:
        provider = opened(service)
        assert "holds no token" in failed(lambda: provider.read("US-CAMX", START, NOW, NOW))


def test_a_region_outside_the_plan_is_named() -> None:
    with standing(Account().replies(refusal("403 Forbidden"))) as service:
        provider = opened(service, region="PJM_DC")
        line = failed(lambda: provider.read("US-RFCE", START, NOW, NOW), SourceGone)
    assert line == "watttime: the account's plan does not have co2_moer of PJM_DC (historical)"
    assert service.paths() == ["/login", "/v3/historical"]


def test_a_login_asked_too_often_says_when_to_ask_again() -> None:
    with standing({"/login": refusal("429 Too Many Requests", "Retry-After: 300")}) as service:
        provider = opened(service)
        with pytest.raises(BadStatus) as error:
            provider.read("US-CAMX", START, NOW, NOW)
    assert (error.value.status, error.value.retry_after_s) == (429, 300)


@pytest.mark.parametrize(
    ("meta", "line"),
    [
        ({"region": "PJM_DC"}, "asked for region 'CAISO_NORTH' and got 'PJM_DC'"),
        ({"signal_type": "health_damage"}, "asked for signal_type 'co2_moer' and got 'health_damage'"),
        ({"units": "g_co2_per_kwh"}, "asked for units 'lbs_co2_per_mwh' and got 'g_co2_per_kwh'"),
        ({"units": None}, "asked for units 'lbs_co2_per_mwh' and got none"),
        ({"data_point_period_seconds": 3_600}, "not by five minutes"),
    ],
)
def test_an_answer_to_another_question_is_not_used(meta: dict[str, object], line: str) -> None:
    with standing(Account().replies(wt_reply(VALUES, **meta))) as service:
        provider = opened(service)
        assert line in failed(lambda: provider.read("US-CAMX", START, NOW, NOW))


def test_a_long_past_is_asked_for_in_pieces() -> None:
    def some(asked: Asked) -> Reply:
        start_s, end_s = (at(asked.words[name].removesuffix("Z")) for name in ("start", "end"))
        assert 0 < end_s - start_s <= 32 * DAY - 300
        return wt_reply([(start_s, 1), (end_s, 1)])  # its end is part of the answer

    with standing(Account().replies(some)) as service:
        facts = opened(service).read("US-CAMX", NOW - 70 * DAY, NOW, NOW)
    assert [(fact.start_s - NOW) // DAY for fact in facts] == [-70, -39, -8]


def test_an_imputed_point_is_estimated_until_it_is_revised() -> None:
    reply = wt_reply(VALUES)
    rows = reply["data"]
    assert isinstance(rows, list)
    rows[1]["imputed_data_used"] = True
    with standing(Account().replies(reply)) as service:
        provider = opened(service)
        assert [fact.estimated for fact in provider.read("US-CAMX", START, NOW, NOW)] == [False, True, False]
        rows[1] |= {"imputed_data_used": False, "value": 900}
        facts = provider.read("US-CAMX", START, NOW, NOW)
    assert [(fact.estimated, fact.ug_per_kwh) for fact in facts] == [
        (False, 394_625_362),
        (False, 408_233_133),
        (False, 394_625_362),
    ]


def test_a_forecast_says_what_it_is_and_a_plan_without_one_says_nothing() -> None:
    ahead = wt_reply([(NOW + i * 300, 870) for i in range(-1, 12)])
    with standing(Account().replies(b"", ahead)) as service:
        facts = opened(service).forecast("US-CAMX", NOW)
        assert [fact.start_s for fact in facts] == [NOW + i * 300 for i in range(12)]
        assert all(fact.forecast and fact.estimated and fact.signal == "marginal" for fact in facts)
        service.replies["/v3/forecast"] = refusal("403 Forbidden")
        assert list(opened(service).forecast("US-CAMX", NOW)) == []
    assert service.asked[1].words["horizon_hours"] == "72"


def test_no_user_is_said_before_anything_is_asked() -> None:
    with standing({}) as service:
        assert "[grid.watttime] user" in failed(lambda: watttime.open(service.place()), SourceGone)


def test_a_zone_without_region_is_a_matter_of_configuration() -> None:
    with standing({}) as service:
        provider = opened(service)
        assert (provider.covers("US-CAMX"), provider.covers("DE")) == (True, False)
        assert "[grid.watttime] region" in failed(lambda: provider.read("DE", START, NOW, NOW), SourceGone)
        assert opened(service, region="DE").covers("DE")
    assert service.asked == []
