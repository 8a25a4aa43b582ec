// Label maps as images: what a pixel is, is looked up by its color.
const pixels = async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return [canvas, context.getImageData(0, 0, canvas.width, canvas.height)];
};
const chooser = (place, name, options) => {
  const label = document.createElement("label");
  const select = document.createElement("select");
  select.append(...options.map((text) => new Option(text)));
  label.append(`${name}: `, select);
  place.append(label);
  return select;
};
DRAW.maps = async (place, data) => {
  const controls = document.createElement("div");
  const image = chooser(controls, "Image", data.images);
  const run = chooser(controls, "Run", Object.keys(data.runs));
  const epoch = chooser(controls, "Epoch", data.epochs);
  epoch.value = data.epochs.at(-1);
  const only = chooser(controls, "Class", ["all classes"]);
  const maps = document.createElement("div");
  maps.className = "maps";
  const legend = document.createElement("ul");
  legend.className = "legend";
  place.append(controls, maps, legend);
  const panels = data.panels.map((title) => {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    figure.append(canvas, caption);
    maps.append(figure);
    return { title, canvas, caption, names: new Map() };
  });
  // of two with one color, the first
  const names = () => new Map(data.runs[run.value].toReversed().map(([name, color]) => [color, name]));
  const hex = (bytes, at) =>
    "#" + [0, 1, 2].map((i) => bytes[at + i].toString(16).padStart(2, "0")).join("");
  const show = async () => {
    const classes = names();
    for (const panel of panels) {
      const key = data.keys(panel.title, image.value, run.value, epoch.value);
      panel.canvas.hidden = !data.maps[key];
      panel.caption.textContent = data.maps[key] ? panel.title : `${panel.title}: missing`;
      if (!data.maps[key]) continue;
      const [, bitmap] = await pixels(data.maps[key]);
      panel.bitmap = bitmap;
      [panel.canvas.width, panel.canvas.height] = [bitmap.width, bitmap.height];
      const shown = new ImageData(bitmap.data.slice(), bitmap.width, bitmap.height);
      if (panel.title !== "image" && only.selectedIndex > 0) {
        for (let at = 0; at < shown.data.length; at += 4) {
          if (classes.get(hex(shown.data, at)) !== only.value) shown.data[at + 3] = 40;
        }
      }
      panel.canvas.getContext("2d").putImageData(shown, 0, 0);
    }
  };
  const choose = () => {
    only.replaceChildren(...["all classes", ...names().values()].map((text) => new Option(text)));
    legend.replaceChildren(...data.runs[run.value].map(([name, color]) => {
      const item = document.createElement("li");
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = color;
      item.append(swatch, name);
      return item;
    }));
    return show();
  };
  data.keys = (title, image, run, epoch) =>
    [title, image, ...({ image: [data.crops[run]], truth: [run] }[title] ?? [run, epoch])].join("/");
  for (const panel of panels.slice(1)) {
    panel.canvas.addEventListener("mousemove", (event) => {
      const { width, height } = panel.canvas.getBoundingClientRect();
      const x = Math.floor((event.offsetX / width) * panel.bitmap.width);
      const y = Math.floor((event.offsetY / height) * panel.bitmap.height);
      const name = names().get(hex(panel.bitmap.data, 4 * (y * panel.bitmap.width + x)));
      panel.caption.textContent = name ? `${panel.title}: ${name}` : panel.title;
    });
    panel.canvas.addEventListener("mouseleave", () => (panel.caption.textContent = panel.title));
  }
  run.addEventListener("change", choose);
  for (const select of [image, epoch, only]) select.addEventListener("change", show);
  await choose();
};
