"""The scripts of the page: tables that sort, and charts drawn by Vega-Embed, all of it inline."""

from functools import cache

import vl_convert

# A heading becomes a button; a click sorts by the first number of a cell, else by its letters, and
# a second click turns the order about. A dash, for no value, stays last.
SORT = """
const number = (text) => {
  const parts = text.match(/[-+]?[0-9][0-9.]*(e[-+]?[0-9]+)?/g);
  if (!parts || !/^[-+<]? ?[0-9]/.test(text)) return null;
  return text.includes("/") && parts.length > 1 ? parts[0] / parts[1] : Number(parts[0]);
};
const compare = (one, two, sign) => {
  if (one === "-" || two === "-") return (one === "-") - (two === "-");
  const [a, b] = [number(one), number(two)];
  return sign * (a !== null && b !== null ? a - b : one.localeCompare(two));
};
for (const table of document.querySelectorAll("main table")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      const text = (row) => row.cells[column].textContent.trim();
      rows.sort((a, b) => compare(text(a), text(b), down ? -1 : 1));
      table.tBodies[0].append(...rows);
    });
  });
}
addEventListener("beforeprint", () => {
  for (const block of document.querySelectorAll("details")) block.open = true;
});
"""

CHARTS = """
for (const live of document.querySelectorAll(".live")) {
  const spec = JSON.parse(live.querySelector("script").textContent);
  live.hidden = false;
  vegaEmbed(live.querySelector(".chart"), spec, { actions: false, renderer: "canvas" }).then(
    () => live.setAttribute("data-drawn", "yes"),
    (error) => { live.hidden = true; console.error(error); },
  );
}
"""


@cache
def scripts(charts: bool) -> str:
    """JavaScript for the end of the page: sorting alone, or with Vega-Embed and the charts."""
    if not charts:
        return SORT
    bundle: str = vl_convert.javascript_bundle(SORT + CHARTS)
    # inside HTML a script ends at the first such letters, wherever they stand
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
