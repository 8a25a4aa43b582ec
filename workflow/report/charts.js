for (const block of document.querySelectorAll(".chart-block")) {
  const spec = JSON.parse(block.querySelector("script").textContent);
  block.hidden = false;
  vegaEmbed(block.querySelector(".chart"), spec, { actions: false, renderer: "canvas" }).then(
    () => block.setAttribute("data-drawn", "yes"),
    (error) => { block.hidden = true; console.error(error); },
  );
}
