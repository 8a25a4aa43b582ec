"""The page in a real browser: Debian's Chromium, driven by Selenium."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdfium2 import PdfDocument
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from reprise.datasets.packages import package_file
from reprise.params.load import Params
from reprise.report.sections import report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
LACKING = "no chromium or chromedriver; apt-get install chromium chromium-driver"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.needs(None if CHROMIUM and DRIVER else LACKING),
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
    """The report, newly opened, with all that is folded open and all charts drawn."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    resize(browser, 1280)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(address)
    browser.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    drawn = "return document.querySelectorAll('.chart-block:not([data-drawn=yes])').length"
    WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(drawn) == 0)
    return browser


def resize(browser: webdriver.Chrome, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def chart_image(page: webdriver.Chrome, position: int) -> str:
    """What a chart shows, as the data of its canvas."""
    script = "return document.querySelectorAll('[data-kind=scatter] canvas')[arguments[0]]"
    script += ".toDataURL()"
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
    canvas = page.find_elements(By.CSS_SELECTOR, "[data-kind=scatter] canvas")[0]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    assert page.execute_script(HOVER, canvas).startswith("data:image/webp;base64,")
    assert page.get_log("browser") == []  # the page's policy allows the image


def test_every_chart_is_drawn_and_the_console_is_silent(page: webdriver.Chrome) -> None:
    drawn = page.find_elements(By.CSS_SELECTOR, ".chart-block[data-drawn=yes]")
    assert len(drawn) == 4 and all(chart.find_elements(By.TAG_NAME, "canvas") for chart in drawn)
    assert page.get_log("browser") == []


def test_the_page_is_there_before_any_chart(browser: webdriver.Chrome, address: str) -> None:
    """Half a second to the first paint, and nothing of Vega is read before a chart is opened."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    paints = []
    script = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    for _ in range(3):  # the best one: other processes of the machine are not the page's
        browser.get(address)
        painted = WebDriverWait(browser, 10).until(lambda driver: driver.execute_script(script))
        paints.append(painted)
        assert browser.execute_script("return typeof vegaEmbed") == "undefined"
        assert browser.find_elements(By.CSS_SELECTOR, "canvas") == []
    assert min(paints) < 500  # ms
    fold = browser.find_element(By.XPATH, "//details[.//div[@data-kind='scatter']]")
    browser.execute_script("arguments[0].open = true", fold)
    drawn = "return arguments[0].querySelectorAll('[data-drawn=yes] canvas').length"
    WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(drawn, fold))


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

    heading = table.find_element(By.CSS_SELECTOR, "thead th:nth-child(4)")
    button = heading.find_element(By.TAG_NAME, "button")
    assert heading.text.startswith("Test accuracy")
    button.send_keys(Keys.ENTER)  # numbers: the largest first
    values = [float(text) for text in column(4)]
    assert values == sorted(values, reverse=True) and len(set(values)) > 1
    assert heading.get_attribute("aria-sort") == "descending"
    button.send_keys(Keys.SPACE)
    assert [float(text) for text in column(4)] == values[::-1]
    assert heading.get_attribute("aria-sort") == "ascending"
    # text sorts by letters, and a row moves as a whole
    rows = dict(zip(column(1), column(4), strict=True))
    table.find_element(By.CSS_SELECTOR, "thead th:nth-child(1) button").click()
    assert column(1) == ["A", "B", "C", "D", "E"]
    assert dict(zip(column(1), column(4), strict=True)) == rows


def test_the_epochs_are_those_that_were_kept(page: webdriver.Chrome) -> None:
    stops = page.find_elements(By.CSS_SELECTOR, "#classify-baseline .chart-block input[type=radio]")
    assert [stop.get_attribute("value") for stop in stops] == ["1", "6", "12"]
    before = chart_image(page, 1)
    stops[0].click()
    assert changed(page, 1, before)
    first = chart_image(page, 1)
    stops[-1].click()
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
    lists = block.find_elements(By.TAG_NAME, "select")
    names = [element.accessible_name.rstrip(": ") for element in lists]
    assert names == ["Image", "Run", "Epoch", "Class"]
    script = "return [...arguments[0].querySelectorAll('canvas')].map((c) => c.toDataURL()).join()"
    for element in reversed(lists):
        options = [option.text for option in Select(element).options]
        if len(options) > 1:
            before = page.execute_script(script, block)
            chosen = Select(element).first_selected_option.text
            other = [text for text in options if text != chosen][-1]
            Select(element).select_by_visible_text(other)
            WebDriverWait(page, 10).until(lambda _: page.execute_script(script, block) != before)  # noqa: B023
    assert len(block.find_elements(By.CSS_SELECTOR, ".swatch")) > 3
    border = "return getComputedStyle(arguments[0].querySelector('.swatch')).borderTopWidth"
    assert page.execute_script(border, block) == "1px"  # a white class can be seen


def test_the_class_below_the_pointer_is_named(page: webdriver.Chrome) -> None:
    block = page.find_element(By.CSS_SELECTOR, "#segment-skips .chart-block")
    panel = block.find_elements(By.CSS_SELECTOR, ".maps figure")[1]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", panel)
    canvas = panel.find_element(By.TAG_NAME, "canvas")
    ActionChains(page).move_to_element(canvas).perform()
    named = panel.find_element(By.TAG_NAME, "figcaption").text.removeprefix("truth: ")
    assert named in [item.text for item in block.find_elements(By.CSS_SELECTOR, ".legend li")]


def test_the_wheel_over_a_chart_scrolls_the_page(page: webdriver.Chrome) -> None:
    before = chart_image(page, 1)
    canvas = page.find_elements(By.CSS_SELECTOR, "[data-kind=scatter] canvas")[1]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    start = page.execute_script("return scrollY")
    over = ScrollOrigin.from_element(canvas, -100, 0)
    ActionChains(page).scroll_from_origin(over, 0, 300).perform()
    WebDriverWait(page, 10).until(lambda _: page.execute_script("return scrollY") > start + 200)
    assert chart_image(page, 1) == before


def test_a_chart_zooms_with_ctrl_and_the_wheel(page: webdriver.Chrome) -> None:
    before = chart_image(page, 1)
    canvas = page.find_elements(By.CSS_SELECTOR, "[data-kind=scatter] canvas")[1]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    at = page.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return [b.x, b.y]", canvas
    )
    wheel = {"type": "mouseWheel", "x": at[0] + 150, "y": at[1] + 150, "deltaX": 0, "deltaY": -300}
    page.execute_cdp_cmd("Input.dispatchMouseEvent", wheel | {"type": "mouseMoved"})
    page.execute_cdp_cmd("Input.dispatchMouseEvent", wheel | {"modifiers": 2})
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


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(page: webdriver.Chrome, width: int, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    resize(page, width)
    axe = package_file("axe-playwright-python", "axe.min.js").read_text()
    page.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    page.set_script_timeout(120)
    script = """axe.run({exclude: ["#vg-tooltip-element"]}, {resultTypes: ["violations"]}).then(
      (found) => arguments[0](found.violations.map((one) => [one.id, one.nodes[0].html])))"""
    assert page.execute_async_script(script) == []
    # it would find one
    page.execute_script("document.querySelector('main img').removeAttribute('alt')")
    assert [name for name, _ in page.execute_async_script(script)] == ["image-alt"]


def test_every_region_that_scrolls_can_be_reached_by_the_keyboard(page: webdriver.Chrome) -> None:
    for width in (390, 1440):
        resize(page, width)
        page.execute_script("dispatchEvent(new Event('resize'))")
        script = """return [...document.querySelectorAll('.scroll')].filter((region) =>
          region.scrollWidth > region.clientWidth && region.tabIndex < 0).length"""
        assert page.execute_script(script) == 0


def test_at_1440_pixels_no_first_table_scrolls_and_there_are_few_tab_stops(
    browser: webdriver.Chrome, address: str
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    stops = """return [...document.querySelectorAll('a[href], button, select, summary, [tabindex]')]
      .filter((element) => element.tabIndex >= 0 && element.checkVisibility()).length"""
    for width in (390, 1440):
        resize(browser, width)
        browser.get(address)
        assert 20 < browser.execute_script(stops) < 120
    wide = """return [...document.querySelectorAll('main .scroll')].filter((region) =>
      region.checkVisibility() && region.scrollWidth > region.clientWidth + 1).length"""
    assert browser.execute_script(wide) == 0
    marked = "return document.querySelector('nav [aria-current]').hash"
    for place in ("#networks", "#training"):
        browser.execute_script(f"document.querySelector('{place}').scrollIntoView()")
        WebDriverWait(browser, 10).until(lambda _, p=place: browser.execute_script(marked) == p)
        assert browser.find_element(By.CSS_SELECTOR, "nav [aria-current]").is_displayed()


def test_on_a_phone_the_accuracy_of_a_run_is_visible(page: webdriver.Chrome) -> None:
    resize(page, 390)
    table = page.find_element(By.CSS_SELECTOR, "#finetune-tiny table")
    script = """const cell = [...arguments[0].querySelectorAll('tbody tr:first-child td')]
      .find((one) => one.dataset.label === 'Test accuracy');
      return cell.getBoundingClientRect().right;"""
    assert page.execute_script(script, table) <= 390


def test_without_scripts_every_table_and_figure_is_there_and_no_chart(
    page: webdriver.Chrome, address: str
) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.get(address)
    assert len(page.find_elements(By.CSS_SELECTOR, "main table")) > 20
    assert page.find_elements(By.CSS_SELECTOR, "thead button") == []
    for fold in page.find_elements(By.CSS_SELECTOR, "summary"):
        if fold.is_displayed():
            fold.click()  # works without scripts
    figures = page.find_elements(By.CSS_SELECTOR, "main img")
    assert figures and all(figure.is_displayed() for figure in figures)
    charts = page.find_elements(By.CSS_SELECTOR, ".chart-block")
    assert charts and not any(chart.is_displayed() for chart in charts)


def test_on_paper_what_is_read_is_open_and_the_rest_is_left_out(page: webdriver.Chrome) -> None:
    page.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = false))")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    for fold in page.find_elements(By.CSS_SELECTOR, "details"):
        only_screen = "screen-only" in (fold.get_attribute("class") or "")
        assert bool(fold.get_attribute("open")) != only_screen
    charts = page.find_elements(By.CSS_SELECTOR, ".chart-block")
    assert charts and not any(chart.is_displayed() for chart in charts)
    yaml = page.find_elements(By.XPATH, "//details[summary[starts-with(., 'Parameters of')]]")
    assert yaml and not any(fold.is_displayed() for fold in yaml)


@pytest.mark.parametrize(("inches", "margins"), [(8.27, 0.8), (8.5, 0.8)])
def test_no_cell_of_a_table_is_cut_on_paper(
    page: webdriver.Chrome, inches: float, margins: float
) -> None:
    """At the width of A4 and of letter paper, with the margins that Chromium prints."""
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    width = int(96 * (inches - margins))
    resize(page, width)
    script = """return [...document.querySelectorAll('th, td')].filter((cell) => cell.offsetWidth)
      .map((cell) => [cell.innerText, cell.getBoundingClientRect().right,
                      cell.scrollWidth - cell.clientWidth])"""
    cells = page.execute_script(script)
    assert "Ours" in [text for text, *_ in cells]
    cut = [text for text, right, over in cells if right > width or over > 1]
    assert cut == []


# the text of each row of a table that is printed, cell by cell
ROWS = """return [...document.querySelectorAll('tr')].filter((row) => row.offsetWidth)
  .map((row) => [...row.cells].map((cell) => cell.innerText).join(' '))"""


def letters(text: str) -> str:
    """A text without what a line break changes: spaces, and hyphens, which PDFium replaces."""
    return re.sub(r"[\s\-\ufffe]", "", text)


@pytest.mark.parametrize(("wide", "high"), [(8.27, 11.69), (8.5, 11)], ids=["A4", "letter"])
def test_every_row_of_a_table_is_in_the_printed_file_within_its_margins(
    page: webdriver.Chrome, wide: float, high: float
) -> None:
    """The text of the PDF and its boxes: what is cut at an edge is drawn outside, or left out."""
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    rows = page.execute_script(ROWS)
    size = {"paperWidth": wide, "paperHeight": high}
    text, outside = printed(page.execute_cdp_cmd("Page.printToPDF", size)["data"], 72 * wide)
    assert outside == []
    known = letters(text)
    assert len(rows) > 100 and [row for row in rows if letters(row) not in known] == []


def printed(data: str, width: float) -> tuple[str, list[str]]:
    """The text of a PDF, and the letters outside the margins that Chromium leaves, 0.4 inches."""
    margin = 0.4 * 72 - 2  # points; a letter may reach over its place by a little
    texts, outside = [], []
    with PdfDocument(base64.b64decode(data)) as file:
        for leaf in file:
            words = leaf.get_textpage()
            texts.append(words.get_text_range())
            for place in range(words.count_chars()):
                letter = words.get_text_range(place, 1).strip()  # PDFium adds spaces
                left, _, right, _ = words.get_charbox(place)
                if letter and not margin < left < right < width - margin:
                    outside.append(letter)
    return "".join(texts), outside


def test_a_cell_that_is_cut_on_paper_is_found(page: webdriver.Chrome) -> None:
    """The test above fails for a table that is too wide, and for one that is clipped."""
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    for overflow in ("visible", "hidden"):
        page.execute_script(
            "document.body.innerHTML = `<div style='overflow: ${arguments[0]}'><table><tr><td>first"
            "<td style='padding-left: 2000px; min-width: 2000px'>last</table></div>`",
            overflow,
        )
        # Chromium shrinks a page that is too wide, by half at most
        (row,) = page.execute_script(ROWS)
        text, outside = printed(page.execute_cdp_cmd("Page.printToPDF", {})["data"], 72 * 8.5)
        assert letters(row) == "firstlast"
        assert outside or letters(row) not in letters(text)
