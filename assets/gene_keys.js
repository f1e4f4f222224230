// The genes of the image above as one stop of the keyboard. The pointer is moved for it, so that plotly names the gene
// and takes Enter for a click on it.
const GENES = "genes"; // the trace of core/plots/figures.py that takes hovers and clicks

const number = (value) => (typeof value === "number" ? Number(value.toPrecision(3)).toString() : "");

export default function ({ parentElement }) {
  const button = parentElement.querySelector("button");
  const said = parentElement.querySelector(".said");
  let at = null; // the number of the gene under the cursor

  const findChart = () => {
    let box = parentElement.host ?? parentElement;
    while (box && !box.querySelector(".js-plotly-plot")) box = box.parentElement;
    return box?.querySelector(".js-plotly-plot");
  };
  const read = () => {
    const chart = findChart();
    const genes = chart?._fullData?.find((trace) => trace.name === GENES);
    return genes && { chart, genes, size: genes.x.length };
  };

  const point = ({ chart, genes }, kind, target) => {
    const { xaxis, yaxis } = chart._fullLayout;
    const frame = chart.getBoundingClientRect();
    const place = {
      clientX: frame.left + xaxis._offset + xaxis.l2p(genes.x[at]), clientY: frame.top + yaxis._offset + yaxis.l2p(genes.y[at]),
      bubbles: true, view: window,
    };
    (target ?? chart.querySelector(".nsewdrag")).dispatchEvent(new MouseEvent(kind, place));
  };

  const say = (image) => {
    const { genes } = image;
    const value = number(genes.customdata?.[at]?.[0]);
    const words = new DOMParser().parseFromString(genes.text[at].replaceAll("<br>", ", "), "text/html").body.textContent;
    said.textContent = `${words}, row ${genes.y[at] + 1}, column ${genes.x[at] + 1}${value && `, ${value}`}`;
    point(image, "mousemove");
  };

  // The nearest gene to one side: straight on before aside.
  const step = ({ genes, size }, right, down) => {
    let best = at;
    let least = Infinity;
    for (let other = 0; other < size; other++) {
      const across = genes.x[other] - genes.x[at];
      const along = genes.y[other] - genes.y[at];
      const ahead = right * across + down * along;
      const distance = ahead + 3 * Math.abs(right ? along : across);
      if (ahead > 0 && distance < least) [best, least] = [other, distance];
    }
    return best;
  };
  const first = ({ genes, size }) => {
    let best = 0;
    for (let other = 1; other < size; other++) {
      if ((genes.y[other] - genes.y[best] || genes.x[other] - genes.x[best]) < 0) best = other;
    }
    return best;
  };
  const end = ({ genes, size }, way) => {
    let best = at;
    for (let other = 0; other < size; other++) {
      if (genes.y[other] === genes.y[at] && way * (genes.x[other] - genes.x[best]) > 0) best = other;
    }
    return best;
  };
  const MOVES = {
    ArrowRight: (image) => step(image, 1, 0), ArrowLeft: (image) => step(image, -1, 0),
    ArrowDown: (image) => step(image, 0, 1), ArrowUp: (image) => step(image, 0, -1),
    Home: (image) => end(image, -1), End: (image) => end(image, 1),
  };

  button.onkeydown = (event) => {
    const image = read();
    if (!image || !MOVES[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    at = at === null || at >= image.size ? first(image) : MOVES[event.key](image);
    say(image);
  };
  button.onclick = () => {
    const image = read();
    if (!image || at === null || at >= image.size) return;
    say(image);
    setTimeout(() => {
      point(image, "mousedown");
      point(image, "mouseup", document);
    }, 80); // plotly looks at the pointer some times a second
  };
  button.onblur = () => {
    findChart()?.querySelector(".nsewdrag")?.dispatchEvent(new MouseEvent("mouseout", { bubbles: true }));
  };
}
