"""The report: what is drawn is what happened, and it looks right in a real browser, in light and dark."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Keys

from simulator.report.page import page, write_page
from simulator.report.picture import picture, stack
from simulator.tools.recording import Recording, recording_of
from simulator.world import history
from simulator.world.history import Moment
from simulator.world.scenario import Scenario
from tests.simulator.browser import Browser
from tests.simulator.synthetic import ORACLE, run
from trio_consumer import ConfigurationError, Partition

FAILS = Scenario(seed=7, records=60, faults=frozenset({"commit-delayed", "crash", "stall"}))
BAD: Recording = recording_of(run(FAILS))  # type: ignore[arg-type]
GOOD: Recording = recording_of(run(Scenario(seed=7, records=60)))  # type: ignore[arg-type]
ORDERS = Partition("orders", 0)


# What is drawn


def drawn(*events: tuple[float, tuple[object, ...]], seconds: float = 10.0) -> dict[str, Any]:
    moments = tuple(Moment(time, event) for time, event in events)
    return picture(Recording(Scenario(seed=1), moments, seconds=seconds))


def test_every_handler_is_a_bar() -> None:
    shown = picture(BAD)
    bars = [bar for life in shown["lives"] for lane in life["lanes"] for bar in lane["bars"]]
    started = [event for _, event in BAD.moments if isinstance(event, history.HandlerStarted)]
    assert sorted(bar["call"] for bar in bars) == [event.call for event in started]
    assert {bar["outcome"] for bar in bars} == {"succeeded", "failed", "cancelled", "unfinished"}
    assert all(bar["from"] <= bar["to"] <= shown["end"] for bar in bars)


def test_bars_that_overlap_have_tracks_of_their_own() -> None:
    bars: list[dict[str, Any]] = [
        {"from": 0.0, "to": 4.0, "track": 0},
        {"from": 1.0, "to": 2.0, "track": 0},
        {"from": 3.0, "to": 5.0, "track": 0},
        {"from": 4.0, "to": 6.0, "track": 0},
    ]
    assert stack(bars) == 2
    assert [bar["track"] for bar in bars] == [0, 1, 1, 0]
    assert stack([]) == 1


def test_the_stack_is_bounded() -> None:
    bars = [{"from": 0.0, "to": 1.0, "track": 0} for _ in range(40)]
    assert stack(bars) == max(bar["track"] for bar in bars) + 1 == 12


def test_death_ends_what_is_open() -> None:
    shown = drawn(
        (0.0, history.ProcessStarted("a.1")),
        (1.0, history.AssignmentDelivered("a.1", {ORDERS: 1}, {ORDERS: (-1, "")})),
        (2.0, history.HandlerStarted("a.1", 1, ORDERS, 0, b"k", 1)),
        (2.5, history.ProcessFrozen("a.1", True)),
        (3.0, history.ProcessKilled("a.1")),
        (4.0, history.HandlerEnded("a.1", 1, ORDERS, 0, "cancelled", "")),
    )
    (life,) = shown["lives"]
    (lane,) = life["lanes"]
    assert (life["ended"], life["how"]) == (3.0, "killed")
    assert life["frozen"] == [[2.5, 3.0, True]]
    assert (lane["tenures"][0]["to"], lane["tenures"][0]["how"]) == (3.0, "killed")
    assert (lane["bars"][0]["to"], lane["bars"][0]["outcome"]) == (3.0, "unfinished")


def test_what_is_still_open_ends_with_the_world() -> None:
    shown = drawn(
        (0.0, history.ProcessStarted("a.1")),
        (2.0, history.HandlerStarted("a.1", 1, ORDERS, 0, b"k", 1)),
        (3.0, history.FetchPaused("a.1", (ORDERS,))),
    )
    (life,) = shown["lives"]
    assert life["ended"] == life["lanes"][0]["bars"][0]["to"] == life["lanes"][0]["pauses"][0][1] == 10.0


@pytest.mark.parametrize(
    ("event", "how"),
    [(history.Released("a.1", (ORDERS,)), "released"), (history.LossDelivered("a.1", (ORDERS,)), "lost")],
)
def test_tenures_end_as_they_did(event: tuple[object, ...], how: str) -> None:
    shown = drawn(
        (1.0, history.AssignmentDelivered("a.1", {ORDERS: 4}, {ORDERS: (7, "map")})),
        (2.0, history.RevokeDelivered("a.1", (ORDERS,))),
        (3.0, event),
    )
    assert shown["lives"][0]["lanes"][0]["tenures"] == [
        {"number": 4, "from": 1.0, "revoked": 2.0, "to": 3.0, "how": how, "committed": "7", "map": 3}
    ]


def test_a_violation_accuses_what_it_names() -> None:
    (violation,) = picture(BAD)["violations"]
    assert violation["oracle"] == ORACLE
    assert violation["places"] == [["orders[1]", 2]]
    assert violation["processes"] == ["m0.1"]


def test_members_are_in_order_of_their_names() -> None:
    names = ["m10.1", "m2.2", "m2.1", "m2.10", "x1.1"]
    shown = drawn(*((0.0, history.ProcessStarted(name)) for name in names))
    assert [life["name"] for life in shown["lives"]] == ["m2.1", "m2.2", "m2.10", "x1.1", "m10.1"]


def test_a_long_trace_is_cut_to_what_led_to_the_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.report.picture.TRACE_LINES_MAX", 20)
    shown = picture(BAD)
    assert len(shown["trace"]) == 20
    assert shown["trace_cut"] > 0
    assert any(tone == "violation" for *_, tone in shown["trace"])


def test_an_empty_history_has_a_page() -> None:
    assert "Seed 1: kept" in page(Recording(Scenario(seed=1), ()))


# The file


def test_the_page_names_no_other_file() -> None:
    text = page(BAD)
    addresses = set(re.findall(r"https?://[\w./]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"<link[^>]+href=\"(?!data:)|<script[^>]+src|@import|url\((?!#)", text)


def test_what_handlers_said_cannot_become_markup() -> None:
    text = page(BAD)
    assert any("</script>" in getattr(event, "detail", "") for _, event in BAD.moments)
    assert text.count("</script>") == 2
    assert "<b>once" not in text
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert "</script><b>once in a while" in json.dumps(json.loads(data))


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be written"):
        write_page(tmp_path / "no" / "folder.html", BAD)


# In a browser


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Browser:
    """The page of a world that failed, in light colours."""
    write_page(tmp_path / "page.html", BAD)
    browser.prefer("light")
    browser.open(tmp_path / "page.html")
    browser.ask("localStorage.clear()")
    return browser


def colour_of(browser: Browser, selector: str, name: str = "background-color") -> str:
    return str(browser.one(selector).value_of_css_property(name))


def brightness(colour: str) -> float:
    numbers = [float(number) for number in re.findall(r"[\d.]+", colour)[:3]]
    return sum(numbers) / 3


def test_it_renders_without_errors_or_requests(shown: Browser) -> None:
    assert shown.console() == []
    assert all(address.startswith(("file:", "data:")) for address in shown.requests())


def test_requests_would_be_noticed(shown: Browser) -> None:
    """The check above can fail: the page forbids itself what it would ask for, and the browser says so."""
    shown.ask("new Image().src = 'http://127.0.0.1:9/x.png'")
    shown.settle()
    assert any("Content Security Policy" in said for said in shown.console())


def test_lanes_bars_and_the_violation_are_seen(shown: Browser) -> None:
    shown.one("#fit").click()
    shown.settle()
    started = [event for _, event in BAD.moments if isinstance(event, history.HandlerStarted)]
    assert len(shown.visible("#rows .lane .bar")) == len(started)
    names = [element.text.split()[0] for element in shown.visible("#rows .life .name")]
    assert names == ["m0.1", "m1.1", "m1.2"]
    assert len(shown.visible("#rows .row.lane")) == sum(len(life["lanes"]) for life in picture(BAD)["lives"])
    assert len(shown.visible("#rows .row.log")) == 3
    for kind in (".commit", ".fault", ".revoke", ".frozen", ".life-end.killed", ".tenure-end.lost", ".bar.accused"):
        assert shown.visible(f"#rows {kind}"), kind
    line = shown.one(".violation-line")
    assert line.size["height"] > 300
    assert ORACLE in shown.one(".violation").text
    assert "promise broken" in shown.one("#badge").text


def test_it_begins_at_the_violation(shown: Browser) -> None:
    (violation,) = picture(BAD)["violations"]
    begin, end = shown.ask("return [view.from, view.to]")
    assert begin < violation["at"] < end
    assert end - begin < picture(BAD)["end"] / 2
    assert shown.visible("#rows .bar")


def test_hovering_tells_and_clicking_finds(shown: Browser) -> None:
    shown.one("#fit").click()
    shown.settle()
    bar = shown.visible("#rows .lane .bar.accused")[0]
    shown.ask("arguments[0].scrollIntoView({block: 'center'})", bar)
    middle = shown.ask(
        "const b = arguments[0].getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]", bar
    )
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        press = {"type": kind, "x": middle[0], "y": middle[1], "button": "none" if kind == "mouseMoved" else "left"}
        shown.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {**press, "clickCount": int(kind != "mouseMoved")})
        if kind == "mouseMoved":
            shown.settle()
            tip = shown.one("#tip")
            assert tip.is_displayed()
            assert "orders[1]@2" in tip.text
            assert "attempt 1" in tip.text
    shown.settle()
    assert "orders[1]@2" in shown.one("#trace .now").text


def test_it_zooms_and_moves(shown: Browser) -> None:
    def view() -> tuple[float, float]:
        begin, end = shown.ask("return [view.from, view.to]")
        return begin, end

    shown.one("#fit").click()
    whole = view()
    shown.one("#in").click()
    near = view()
    assert near[1] - near[0] == pytest.approx((whole[1] - whole[0]) / 2)
    shown.one("body").send_keys(Keys.ARROW_RIGHT)
    moved = view()
    assert moved[0] > near[0]
    assert moved[1] - moved[0] == pytest.approx(near[1] - near[0])
    shown.one("body").send_keys("0")
    assert view() == whole


def test_the_trace_can_be_searched(shown: Browser) -> None:
    shown.one("#find").send_keys("VIOLATED")
    shown.settle()
    (line,) = shown.visible("#trace .line")
    assert ORACLE in line.text
    assert shown.one("#count").text == "1 lines"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_system_and_the_button_wins(shown: Browser, scheme: Any, tmp_path: Path) -> None:
    shown.prefer(scheme)
    shown.open(tmp_path / "page.html")
    dark = scheme == "dark"
    assert (brightness(colour_of(shown, "body")) < 80) is dark
    assert (brightness(colour_of(shown, "body", "color")) > 160) is dark
    shown.one("#theme").click()
    assert (brightness(colour_of(shown, "body")) < 80) is not dark
    assert (brightness(colour_of(shown, "body", "color")) > 160) is not dark


def test_a_world_that_passed_says_so(browser: Browser, tmp_path: Path) -> None:
    write_page(tmp_path / "good.html", GOOD)
    browser.open(tmp_path / "good.html")
    assert browser.console() == []
    assert "promise kept" in browser.one("#badge").text
    assert browser.find(".violation-line") == []
    assert browser.visible("#rows .bar")
