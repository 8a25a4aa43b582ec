// Tables sort, the contents follow the reader, and charts are drawn when they are opened.
const number = (text) => {
  const parts = text.match(/[-+]?[0-9][0-9.]*(e[-+]?[0-9]+)?/g);
  if (!parts || !/^[-+<]? ?[0-9]/.test(text)) return null;
  return text.includes("/") && parts.length > 1 ? parts[0] / parts[1] : Number(parts[0]);
};
const compare = (left, right, sign) => {
  if (left === "-" || right === "-") return (left === "-") - (right === "-");
  const [a, b] = [number(left), number(right)];
  return sign * (a !== null && b !== null ? a - b : left.localeCompare(right));
};
for (const table of document.querySelectorAll("main table")) {
  // a few rows are sorted by eye, and each heading would be a stop of the keyboard
  if (table.tBodies[0].rows.length < 5) continue;
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const text = (row) => row.cells[column].textContent.trim();
      const rows = [...table.tBodies[0].rows];
      // numbers from the largest first
      const first = number(text(rows[0])) === null ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = heading.getAttribute("aria-sort") === first ? other : first;
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      rows.sort((a, b) => compare(text(a), text(b), order === "descending" ? -1 : 1));
      table.tBodies[0].append(...rows);
    });
  });
}

// a region that scrolls can be reached by the keyboard
const regions = () => {
  for (const region of document.querySelectorAll(".scroll")) {
    region.toggleAttribute("tabindex", false);
    if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
  }
};
addEventListener("resize", regions);
document.addEventListener("toggle", regions, true);
regions();

const links = new Map(
  [...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]),
);
const place = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  },
  { rootMargin: "-10% 0px -80% 0px" },
);
document.querySelectorAll("main section").forEach((section) => place.observe(section));

addEventListener("beforeprint", () => {
  for (const block of document.querySelectorAll("details:not(.screen-only)")) block.open = true;
});

const DRAW = {};
// the library that draws a kind of chart is unpacked for the first one
const LOADED = {};
const load = async (kind) => {
  const packed = document.querySelector(`script[data-draws=${kind}]`);
  if (!packed) return;
  const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(unpacked).text();
  document.body.append(script); // it runs now
};
for (const block of document.querySelectorAll(".chart-block")) {
  block.hidden = false;
  const fold = block.closest("details");
  const draw = () => {
    if (block.dataset.drawn || !fold?.open) return;
    block.dataset.drawn = "started";
    const data = JSON.parse(block.querySelector("script").textContent);
    const { kind } = block.dataset;
    LOADED[kind] ??= load(kind);
    LOADED[kind].then(() => DRAW[kind](block.querySelector(".chart"), data)).then(
      () => (block.dataset.drawn = "yes"),
      (error) => { block.hidden = true; console.error(error); },
    );
  };
  fold?.addEventListener("toggle", draw);
}
