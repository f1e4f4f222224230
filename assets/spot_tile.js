// The tile of the spot under the pointer, enlarged at once, with what the charts of this section say of the spot. All
// tiles have come in one picture before.
const SPOTS = "spots"; // the trace of core/plots/tissue.py that has a point for each spot
const stops = new WeakMap();

const findSpots = (chart) => chart._fullData?.find((trace) => trace.name === SPOTS);
const toWords = (markup) => new DOMParser().parseFromString(markup, "text/html").body.textContent; // shown as text only

export default function ({ parentElement, data }) {
  stops.get(parentElement)?.();
  const { sheet, side, columns, spots } = data;
  const [card, name, canvas, numbers] = ["figure", "figcaption", "canvas", "ul"].map((tag) => parentElement.querySelector(tag));
  const places = new Map(spots.map((spot, place) => [spot, place]));
  const heard = new Set();
  let tiles = null;
  let at = null; // the place of the spot under the pointer

  // The charts that show this section: those of the nearest part of the page that has any.
  const findCharts = () => {
    for (let box = parentElement.host ?? parentElement; box; box = box.parentElement) {
      const charts = [...box.querySelectorAll(".js-plotly-plot")].filter(findSpots);
      if (charts.length) return charts;
    }
    return [];
  };
  const draw = () => {
    if (at === null || !tiles) return;
    canvas.width = canvas.height = side;
    canvas.getContext("2d").drawImage(tiles, (at % columns) * side, Math.floor(at / columns) * side, side, side, 0, 0, side, side);
  };
  const hide = () => {
    at = null;
    card.hidden = true;
  };
  const show = ({ points }) => {
    const point = points.find((one) => one.data.name === SPOTS);
    if (!places.has(point?.text)) return hide();
    at = places.get(point.text);
    const spot = toWords(point.text);
    const lines = findCharts().map((chart) => {
      const { text, customdata } = findSpots(chart);
      const value = customdata[text.indexOf(point.text)];
      return `${toWords(chart.layout.title.text)}: ${Number.isFinite(value) ? `${value.toFixed(2)} SD` : "not known"}`;
    });
    name.textContent = spot;
    numbers.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
    canvas.setAttribute("aria-label", `The tile of ${spot}, which is under the pointer. ${lines.join("; ")}`);
    draw();
    card.hidden = false;
  };

  // Charts come and go, and forget who listens to them when they are drawn anew.
  const forget = (chart) => {
    chart.removeListener?.("plotly_hover", show);
    chart.removeListener?.("plotly_unhover", hide);
  };
  const listen = ({ target }) => {
    const chart = target.closest?.(".js-plotly-plot");
    if (!chart || !findCharts().includes(chart)) return hide();
    forget(chart);
    chart.on("plotly_hover", show);
    chart.on("plotly_unhover", hide);
    heard.add(chart);
  };
  addEventListener("pointermove", listen, true);

  const picture = new Image();
  picture.src = `data:image/jpeg;base64,${sheet}`;
  picture.decode().then(() => createImageBitmap(picture)).then((bitmap) => {
    tiles = bitmap;
    draw();
  });
  hide();
  const stop = () => {
    removeEventListener("pointermove", listen, true);
    heard.forEach(forget);
    tiles?.close();
  };
  stops.set(parentElement, stop);
  return stop;
}
