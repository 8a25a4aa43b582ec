"""The page in a real browser: Debian's Chromium, driven by Selenium."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from reprise.params.load import Params
from reprise.report.sections import report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="no chromium or chromedriver; apt-get install chromium chromium-driver",
    ),
]
# a phone, a tablet and a desktop, in CSS pixels
WIDTHS = (390, 820, 1280)
# Relative luminance and contrast of WCAG 2.2, of every visible text and its background (that of an
# enclosing element where it has none).
CONTRAST = """
const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const numbers = (color) => color.match(/[0-9.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const background = (element) => {
  for (; element; element = element.parentElement) {
    const color = numbers(getComputedStyle(element).backgroundColor);
    if (color.length === 3 || color[3] > 0) return color;
  }
  return [255, 255, 255];
};
const low = [];
for (const element of document.querySelectorAll("body *")) {
  const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!text || element.closest("svg, canvas, script, style")) continue;
  if (!element.checkVisibility()) continue;
  const ink = numbers(getComputedStyle(element).color);
  const [a, b] = [light(ink), light(background(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) low.push([ratio, element.tagName, element.textContent.slice(0, 40)]);
}
return low;
"""


@pytest.fixture(scope="module")
def address(whole_results: Path, params: Params, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report(whole_results, params)[0])
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    profile = tmp_path_factory.mktemp("profile")
    # a sandbox cannot be set up by root, nor in most containers
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, address: str) -> webdriver.Chrome:
    """The report, newly opened, with all charts drawn."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    resize(browser, 1280)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(address)
    drawn = "return document.querySelectorAll('.chart-block:not([data-drawn])').length"
    WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(drawn) == 0)
    return browser


def resize(browser: webdriver.Chrome, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def chart_image(page: webdriver.Chrome, position: int) -> str:
    """What a chart shows, as the data of its canvas."""
    script = "return document.querySelectorAll('.chart-block canvas')[arguments[0]].toDataURL()"
    return str(page.execute_script(script, position))


def changed(page: webdriver.Chrome, position: int, before: str) -> bool:
    return bool(WebDriverWait(page, 10).until(lambda _: chart_image(page, position) != before))


# moves over a chart, line by line, until the pointer is on a point; returns its image
HOVER = """
const [canvas] = arguments, box = canvas.getBoundingClientRect();
for (let y = 2; y < box.height; y += 4) {
  for (let x = 2; x < box.width; x += 4) {
    const at = { clientX: box.left + x, clientY: box.top + y, bubbles: true };
    for (const kind of ["pointermove", "mousemove"]) {
      canvas.dispatchEvent(new (kind[0] === "p" ? PointerEvent : MouseEvent)(kind, at));
    }
    const image = document.querySelector("#vg-tooltip-element.visible img");
    if (image) return image.src;
  }
}
return "";
"""


def test_a_point_of_a_layout_shows_its_image(page: webdriver.Chrome) -> None:
    canvas = page.find_elements(By.CSS_SELECTOR, ".chart-block canvas")[0]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    assert page.execute_script(HOVER, canvas).startswith("data:image/webp;base64,")
    assert page.get_log("browser") == []  # the page's policy allows the image


def test_every_chart_is_drawn_and_the_console_is_silent(page: webdriver.Chrome) -> None:
    assert len(page.find_elements(By.CSS_SELECTOR, ".chart-block[data-drawn] canvas")) == 4
    assert page.get_log("browser") == []


def test_no_request_leaves_the_file(page: webdriver.Chrome, address: str) -> None:
    requests = set()
    for entry in page.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            requests.add(message["params"]["request"]["url"])
    assert {url for url in requests if not url.startswith("data:")} == {address}


def test_the_policy_stops_a_request(page: webdriver.Chrome) -> None:
    """The test above would see a request: one is made, logged and refused."""
    script = "fetch('https://example.invalid/').then(() => 0, () => 0).then(arguments[0])"
    page.execute_async_script(script)
    assert any("Content Security Policy" in entry["message"] for entry in page.get_log("browser"))


def test_a_table_sorts_by_the_keyboard_and_says_so(page: webdriver.Chrome) -> None:
    table = page.find_element(By.CSS_SELECTOR, "#finetune-tiny table")

    def column(place: int) -> list[str]:
        cells = table.find_elements(By.CSS_SELECTOR, f"tbody tr > :nth-child({place})")
        return [cell.text for cell in cells]

    heading = table.find_element(By.CSS_SELECTOR, "thead th:nth-child(5)")
    button = heading.find_element(By.TAG_NAME, "button")
    assert heading.text.startswith("Test accuracy")
    button.send_keys(Keys.ENTER)
    values = [float(text) for text in column(5)]
    assert values == sorted(values) and len(set(values)) > 1
    assert heading.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.SPACE)
    assert [float(text) for text in column(5)] == values[::-1]
    assert heading.get_attribute("aria-sort") == "descending"
    # text sorts by letters, and a row moves as a whole
    rows = dict(zip(column(1), column(5), strict=True))
    table.find_element(By.CSS_SELECTOR, "thead th:nth-child(1) button").click()
    assert column(1) == ["A", "B", "C", "D", "E"]
    assert dict(zip(column(1), column(5), strict=True)) == rows


def test_the_slider_goes_through_the_epochs(page: webdriver.Chrome) -> None:
    slider = page.find_element(By.CSS_SELECTOR, "#classify-baseline .chart-block input[type=range]")
    assert slider.accessible_name.startswith("Epoch")
    before = chart_image(page, 1)
    slider.send_keys(Keys.HOME)
    assert changed(page, 1, before)
    first = chart_image(page, 1)
    slider.send_keys(Keys.END)
    assert changed(page, 1, first) and chart_image(page, 1) == before


def test_a_class_and_a_method_can_be_chosen(page: webdriver.Chrome) -> None:
    lists = page.find_elements(By.CSS_SELECTOR, "#classify-baseline .chart-block select")
    assert [element.accessible_name.rstrip(": ") for element in lists] == ["Method", "Class"]
    for element, value in zip(lists, ("t-SNE", "dry <b>|"), strict=True):
        before = chart_image(page, 1)
        Select(element).select_by_visible_text(value)
        assert changed(page, 1, before)


def test_masks_follow_image_run_epoch_and_class(page: webdriver.Chrome) -> None:
    block = page.find_element(By.CSS_SELECTOR, "#segment-skips .chart-block")
    slider = block.find_element(By.CSS_SELECTOR, "input[type=range]")
    before = chart_image(page, 3)
    slider.send_keys(Keys.HOME)
    assert changed(page, 3, before)
    for element in block.find_elements(By.TAG_NAME, "select"):
        options = [option.text for option in Select(element).options]
        if len(options) > 1:
            before = chart_image(page, 3)
            Select(element).select_by_visible_text(options[-1])
            assert changed(page, 3, before)


def test_a_chart_zooms(page: webdriver.Chrome) -> None:
    before = chart_image(page, 1)
    canvas = page.find_elements(By.CSS_SELECTOR, ".chart-block canvas")[1]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    over = ScrollOrigin.from_element(canvas, -100, 0)
    ActionChains(page).move_to_element_with_offset(canvas, -100, 0).perform()
    ActionChains(page).scroll_from_origin(over, 0, -300).perform()
    assert changed(page, 1, before)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width_and_its_contrast_is_enough(
    page: webdriver.Chrome, width: int, scheme: str
) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    resize(page, width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.execute_script(CONTRAST) == []
    ink = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (re.findall(r"\d+", ink)[0] == "255") == (scheme == "light")


def test_without_scripts_every_table_and_figure_is_there_and_no_chart(
    page: webdriver.Chrome, address: str
) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.get(address)
    assert len(page.find_elements(By.CSS_SELECTOR, "main table")) > 20
    assert page.find_elements(By.CSS_SELECTOR, "thead button") == []
    figures = page.find_elements(By.CSS_SELECTOR, "main img")
    assert figures and all(figure.is_displayed() for figure in figures)
    charts = page.find_elements(By.CSS_SELECTOR, ".chart-block")
    assert charts and not any(chart.is_displayed() for chart in charts)


def test_on_paper_nothing_is_closed_and_no_chart_is_left(page: webdriver.Chrome) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert all(
        element.get_attribute("open") for element in page.find_elements(By.TAG_NAME, "details")
    )
    charts = page.find_elements(By.CSS_SELECTOR, ".chart-block")
    assert charts and not any(chart.is_displayed() for chart in charts)
    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    assert len(printed["data"]) > 10_000
