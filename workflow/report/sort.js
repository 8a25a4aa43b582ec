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
