// Layouts of features, by Vega-Embed, in the colors of the page.
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const DARK = {
  background: "#1d2327", title: { color: "#e4e8eb" }, view: { stroke: "#5b656d" },
  legend: { labelColor: "#e4e8eb", titleColor: "#e4e8eb" },
};
DRAW.scatter = (place, spec) => {
  if (dark) spec.config = { ...spec.config, ...DARK };
  return vegaEmbed(place, spec, { actions: false, renderer: "canvas" });
};
