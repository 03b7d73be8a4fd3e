"""Pages in headless Chromium, opened from the disk as a reader opens them."""

import itertools
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from harness.deploy.front import Front
from harness.errors import InfeasibleConstraint
from harness.pipeline.export import best_within
from harness.reports.page import save_device_page, save_devices_page
from harness.reports.pareto import save_fronts, save_pareto
from tests.reports.conftest import NASTY, shown, some_front

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
READY = "html[data-ready=yes]"
# Where a network of a front stands on the screen.
PLACE = """([device, number]) => {
  const plot = document.getElementById("plot"), layout = plot._fullLayout;
  const trace = plot.data.filter((t) => t.kind === "front" && t.visible
    && t.text[0].includes(device.replaceAll("<", "&lt;").replaceAll(">", "&gt;"))).at(-1);
  const box = plot.getBoundingClientRect();
  return [box.left + layout.xaxis._offset + layout.xaxis.d2p(trace.x[number]),
          box.top + layout.yaxis._offset + layout.yaxis.d2p(trace.y[number])];
}"""


@dataclass
class Opened:
    """A page, and what went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def go(self, path: Path) -> None:
        self.page.goto(path.as_uri())
        self.page.wait_for_selector(READY, state="attached", timeout=60_000)

    def place(self, device: str, number: int) -> tuple[float, float]:
        self.page.locator("#plot").scroll_into_view_if_needed()
        x, y = self.page.evaluate(PLACE, [device, number])
        return x, y

    def ask(self, budget_ms: float) -> None:
        self.page.fill("#budget-ms", str(budget_ms))
        self.page.wait_for_timeout(100)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture
def opened(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """A fresh window; whatever it complains of, or asks of others, fails the test."""
    width = getattr(request, "param", 1200)
    context = browser.new_context(viewport={"width": width, "height": 900})
    one = Opened(context.new_page())
    one.page.on("console", lambda message: one.complaints.append(message.text))
    one.page.on("pageerror", lambda error: one.complaints.append(str(error)))

    def leaves(asked: Request) -> None:
        if not asked.url.startswith(("file:", "data:", "blob:")) or asked.url.endswith(".js"):
            one.complaints.append(f"asked for {asked.url}")

    one.page.on("request", leaves)
    yield one
    context.close()
    assert one.complaints == []


@pytest.fixture(scope="module")
def device_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device")
    front = some_front()
    return save_device_page(shown(front), None, (), save_pareto(front, (), folder), folder)


@pytest.fixture(scope="module")
def devices_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices")
    fronts = [some_front("phone", 4.0), some_front("board", 2.0), some_front(NASTY)]
    fronts[1].settings["device"]["identity"]["runtime"] = "tensorrt"
    figures = save_fronts(fronts, folder)
    return save_devices_page([shown(front) for front in fronts], (), figures, folder)


def test_a_page_loads_alone_and_says_nothing_on_the_console(
    opened: Opened, device_page: Path
) -> None:
    opened.go(device_page)
    assert opened.page.locator("#plot .scatterlayer .trace").count() >= 3


@pytest.mark.parametrize("scripts", [True, False])
def test_figures_are_shown_after_the_plot_and_where_scripts_do_not_run(
    browser: Browser, device_page: Path, scripts: bool
) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()
    page.goto(device_page.as_uri())
    page.locator("figure img").first.wait_for()
    assert page.locator("#repeat").count() == 1
    context.close()


def test_a_page_that_is_printed_at_once_has_its_figures(
    browser: Browser, device_page: Path
) -> None:
    context = browser.new_context()
    context.add_init_script("window.requestIdleCallback = () => {}")
    page = context.new_page()
    page.goto(device_page.as_uri())
    page.wait_for_selector(READY, state="attached")
    assert page.locator("figure").count() == 0
    page.pdf()
    assert page.locator("figure").count() == 1
    context.close()


def test_hovering_shows_the_network_with_predicted_and_measured_values(
    opened: Opened, device_page: Path
) -> None:
    opened.go(device_page)
    x, y = opened.place("cpu", 4)
    opened.page.mouse.move(x - 4, y - 4)
    opened.page.mouse.move(x, y)
    label = opened.page.locator(".hoverlayer").text_content() or ""
    for wanted in (
        "front:4 on cpu",
        "at full speed, predicted: 2.5 ms (2.25 to 2.75)",
        "at full speed, measured: 2.55 ms (2.524 to 2.575)",
        "p90 on the wall clock: 3.315 ms (3.06 to 3.57)",
        "accuracy predicted, on validation images: 75.0 % (74.0 to 76.0)",
        "accuracy on test images: 74.5 % (72.5 to 76.5)",
        "stage 2: k5e6 k7e4",
    ):
        assert wanted in label, (wanted, label)


def test_a_batch_is_named_and_an_image_has_its_part_of_the_time(
    opened: Opened, tmp_path: Path
) -> None:
    front = some_front()
    front.settings["device"]["identity"]["batch"] = 16
    opened.go(save_device_page(shown(front), None, (), (), tmp_path))
    opened.ask(3.571)
    told = opened.page.locator("#answers").inner_text()
    assert "2.55 ms of a batch of 16 images" in told
    assert "2.55 ms (2.524 to 2.575) (0.1594 ms an image)" in told
    assert "latency of a batch of 16 images, ms" in (opened.page.text_content("#plot") or "")


def test_a_click_shows_the_network_drawn(opened: Opened, device_page: Path) -> None:
    opened.go(device_page)
    opened.page.mouse.click(*opened.place("cpu", 2))
    assert "front:2 on cpu" in opened.page.locator("#network h3").inner_text()
    # 4 of 9 layers are there, stem, head, pool and classifier, and 5 dotted ones that are not.
    assert opened.page.locator("#network svg rect[rx]").count() == 4 + 4
    assert opened.page.locator("#network svg rect[stroke-dasharray]").count() == 5
    assert opened.page.locator("tr.chosen").get_attribute("data-point") == "2"


def test_a_row_of_the_table_is_clicked_like_its_point(opened: Opened, device_page: Path) -> None:
    opened.go(device_page)
    opened.page.click("tr[data-point='7']")
    assert "front:7 on cpu" in opened.page.locator("#network h3").inner_text()


def test_the_page_picks_for_a_budget_what_export_picks(
    opened: Opened, device_page: Path, front: Front
) -> None:
    opened.go(device_page)
    for budget_ms in (0.1, 0.55, 1.6, 2.575, 2.576, 9):
        opened.ask(budget_ms)
        told = opened.page.locator("#answers").inner_text()
        try:
            number, _ = best_within(front, budget_ms)
        except InfeasibleConstraint:
            assert "No network of this front takes" in told
            continue
        assert f"front:{number} " in " ".join(told.split())
        assert f"harness export my-network --device cpu --max-latency-ms {budget_ms}" in told


def test_an_end_between_two_roundings_is_picked_as_export_picks_it(
    opened: Opened, tmp_path: Path, front: Front
) -> None:
    points = tuple(
        replace(point, latency_ms_measured_interval=(2.5, 2.5625)) if number == 4 else point
        for number, point in enumerate(front.points)
    )
    odd = replace(front, points=points)
    opened.go(save_device_page(shown(odd), None, (), save_pareto(odd, (), tmp_path), tmp_path))
    for budget_ms in (2.561, 2.562, 2.563):
        opened.ask(budget_ms)
        told = " ".join(opened.page.locator("#answers").inner_text().split())
        assert f"front:{best_within(odd, budget_ms)[0]} " in told


def test_what_is_infinite_does_not_break_a_page(
    opened: Opened, tmp_path: Path, front: Front
) -> None:
    endless = replace(shown(front), parts_ms={0: [math.inf] * 8})
    figures = save_pareto(front, (), tmp_path)
    opened.go(save_device_page(endless, None, (), figures, tmp_path))
    opened.page.click("tr[data-point='0']")
    assert "front:0 on cpu" in opened.page.locator("#network h3").inner_text()


def test_the_end_of_an_interval_as_it_is_shown_gets_its_network(
    opened: Opened, device_page: Path, front: Front
) -> None:
    opened.go(device_page)
    words = {"full": "at full speed, measured", "p90": "p90 on the wall clock"}
    for at, number in itertools.product(words, (3, 4, 8)):
        opened.page.select_option("#budget-time", at)
        opened.page.click(f"tr[data-point='{number}']")
        told = opened.page.locator("#network").inner_text()
        shown_end = re.search(rf"{words[at]}\s+[\d.]+ ms \([\d.]+ to ([\d.]+)\)", told)
        assert shown_end
        opened.ask(float(shown_end[1]))
        answer = " ".join(opened.page.locator("#answers").inner_text().split())
        assert f"front:{number} " in answer
        assert f"--max-latency-ms {float(shown_end[1])} --at {at}" in answer
        assert best_within(front, float(shown_end[1]), at)[0] == number


def test_what_is_no_budget_gets_no_answer(opened: Opened, device_page: Path) -> None:
    opened.go(device_page)
    for text in ("", "0", "-3"):
        opened.page.fill("#budget-ms", text)
        assert "above 0" in opened.page.locator("#answers").inner_text()
        opened.ask(2.2)
        assert "front:2" in opened.page.locator("#answers").inner_text()


def test_the_slider_moves_the_budget_and_the_answer(opened: Opened, device_page: Path) -> None:
    opened.go(device_page)
    found = []
    for key in ("Home", "End"):
        opened.page.press("#budget", key)
        opened.page.wait_for_timeout(100)
        told = opened.page.locator("#answers").inner_text()
        found.append(re.search(r"front:(\d+)", told))
    numbers = [match.group(1) for match in found if match]
    assert numbers == ["0", "9"]


def test_devices_and_runtimes_are_toggled(opened: Opened, devices_page: Path) -> None:
    opened.go(devices_page)
    page = opened.page

    def cards() -> list[str | None]:
        return [each.get_attribute("data-device") for each in page.locator("#answers .card").all()]

    def fronts() -> int:
        return int(page.evaluate("plot.data.filter((t) => t.kind === 'front' && t.visible).length"))

    assert cards() == ["phone", "board", NASTY]
    assert fronts() == 6
    page.click("[data-toggle=device] >> text=phone")
    assert cards() == ["board", NASTY]
    assert fronts() == 4
    page.click("[data-toggle=runtime] >> text=tensorrt")
    assert cards() == [NASTY]
    assert page.locator("[data-toggle=device] >> text=board").is_disabled()
    page.click("[data-toggle=device] >> text=phone")
    assert cards() == ["phone", NASTY]
    page.click("[data-toggle=cloud]")
    assert page.evaluate("plot.data.filter((t) => t.kind === 'cloud' && t.visible).length") == 2


def test_names_with_html_in_them_are_shown_as_text(opened: Opened, devices_page: Path) -> None:
    opened.go(devices_page)
    assert opened.page.locator("#answers h3", has_text=NASTY).count() == 1
    x, y = opened.place(NASTY, 5)
    opened.page.mouse.move(x - 4, y - 4)
    opened.page.mouse.move(x, y)
    label = opened.page.locator(".hoverlayer").text_content() or ""
    assert f"front:5 on {NASTY}" in label


def test_light_and_dark_follow_the_button_and_redraw_the_plot(
    opened: Opened, device_page: Path
) -> None:
    opened.go(device_page)
    page = opened.page
    ink = "plot._fullLayout.xaxis.color"
    light = page.evaluate(ink)
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(ink) != light
    page.click("#theme")
    assert page.evaluate(ink) == light


@pytest.mark.parametrize("opened", [400, 1600], indirect=True)
@pytest.mark.parametrize("which", ["device_page", "devices_page"])
def test_the_layout_holds_on_a_phone_and_on_a_wide_screen(
    opened: Opened, which: str, request: pytest.FixtureRequest
) -> None:
    opened.go(request.getfixturevalue(which))
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    cut = page.evaluate("""[...document.querySelectorAll("main > *, .card, figure")].filter((e) =>
        e.getBoundingClientRect().right > window.innerWidth + 1).map((e) => e.outerHTML)""")
    assert cut == []


def test_a_click_on_a_random_network_tells_the_fronts_network_that_is_as_fast(
    opened: Opened, device_page: Path
) -> None:
    opened.go(device_page)
    opened.page.locator("#plot").scroll_into_view_if_needed()
    dot = re.sub(r'"front".*\n.*?\)\)\)', '"cloud")', PLACE)
    opened.page.mouse.click(*opened.page.evaluate(dot, ["cpu", 5]))
    told = opened.page.locator("#network").inner_text()
    assert "A random sub-network takes 4.2 ms and reaches 71.0 %." in told
    assert "front:7, 4.08 ms and 77.5 %" in told
    assert opened.page.locator("tr.chosen").get_attribute("data-point") == "7"


def test_what_predicted_accuracies_are_off_by_stands_in_the_plot(
    opened: Opened, front: Front, tmp_path: Path
) -> None:
    told = front.accuracy_predictor | {"caveat": "it sits 3.4 points above & keeps their order"}
    page = replace(front, accuracy_predictor=told)
    opened.go(save_device_page(shown(page), None, (), (), tmp_path))
    note = opened.page.locator("#plot .annotation").text_content() or ""
    assert "above & keeps their order" in note


def test_a_network_far_below_the_others_does_not_press_the_front_to_the_edge(
    opened: Opened, front: Front, tmp_path: Path
) -> None:
    low = replace(front.points[0], accuracy=20.0, accuracy_measured=21.0)
    outlier = replace(front, points=(low, *front.points[1:]))
    opened.go(save_device_page(shown(outlier), None, (), (), tmp_path))
    low_end, high_end = opened.page.evaluate("plot._fullLayout.yaxis.range")
    assert 60 < low_end < 72
    assert 80 < high_end < 90


def test_a_page_of_several_begins_with_more_than_the_fastest_network_of_each(
    opened: Opened, devices_page: Path
) -> None:
    opened.go(devices_page)
    told = opened.page.locator("#answers .figures button").all_inner_texts()
    assert len(told) == 3
    assert "front:0" not in told
    link = opened.page.locator("td a", has_text="phone")
    assert link.get_attribute("href") == "../phone.digits/index.html"


@pytest.mark.parametrize("opened", [1400], indirect=True)
def test_the_table_of_a_front_fits_a_wide_screen_with_its_last_column(
    opened: Opened, device_page: Path
) -> None:
    opened.go(device_page)
    hidden = """[...document.querySelectorAll(".scroll")].filter((e) =>
        e.scrollWidth > e.clientWidth + 1).length"""
    assert opened.page.evaluate(hidden) == 0


@pytest.mark.parametrize("opened", [400], indirect=True)
def test_the_legend_is_whole_on_a_phone(opened: Opened, device_page: Path) -> None:
    opened.go(device_page)
    assert opened.page.evaluate("""[...document.querySelectorAll("#plot .legendtext")].every((e) =>
        e.getBoundingClientRect().right <= plot.getBoundingClientRect().right)""")
