// Saves the chart beside these buttons for papers and slides: on white, in type of 16 pixels, with what it shows and
// what it is of above it. The camera over the chart saves it as it stands on the page.
const TYPE = 16;
const TITLE_TYPE = 18;
const LEAST_WIDTH = 720;
const PAPER = "#FFFFFF";
const INK = "#1B262C";
const AXES = { gridcolor: "#E3E7E9", zerolinecolor: "#9AA3A8", linecolor: "#9AA3A8" };
const FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
const type = { size: TYPE, color: INK };

const escape = (text) => text.replace(/[&<>{]/g, (sign) => `&#${sign.charCodeAt(0)};`);

const wrap = (text, most) => {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const line = `${lines.at(-1)} ${word}`.trim();
    if (line.length <= most || !lines.at(-1)) lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines.map(escape);
};

const withType = (part) => ({ ...part, tickfont: type, title: { ...part?.title, font: type } });

const forPaper = (chart, { title, source }) => {
  const width = Math.max(LEAST_WIDTH, chart.clientWidth);
  const letters = Math.floor(width / (TITLE_TYPE * 0.52));
  const [shows, of] = [wrap(title, letters), source ? wrap(source, letters) : []];
  const above = 24 + 1.3 * (shows.length * TITLE_TYPE + of.length * TYPE);
  const height = chart.clientHeight + above;
  const layout = structuredClone(chart.layout);
  const axes = [...new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))])];
  for (const name of axes) layout[name] = { ...withType(layout[name]), ...AXES };
  for (const note of layout.annotations ?? []) {
    note.font = { ...note.font, size: Math.max(TYPE, note.font?.size ?? 0) };
  }
  if (layout.coloraxis) layout.coloraxis.colorbar = withType(layout.coloraxis.colorbar);
  Object.assign(layout, {
    paper_bgcolor: PAPER, plot_bgcolor: PAPER, font: { ...type, family: FAMILY }, width, height, legend: { ...layout.legend, font: type },
    margin: { ...layout.margin, t: (layout.margin?.t ?? 20) + above },
    title: {
      text: [`<b>${shows.join("</b><br><b>")}</b>`, ...of.map((line) => `<span style="font-size:${TYPE}px">${line}</span>`)].join("<br>"),
      x: 0, xref: "container", xanchor: "left", y: 1 - TYPE / height, yref: "container", yanchor: "top", pad: { l: 12 },
      font: { size: TITLE_TYPE, color: INK },
    },
  });
  const data = chart.data.map((trace) => (trace.colorbar ? { ...trace, colorbar: withType(trace.colorbar) } : trace));
  return { layout, data };
};

// Plotly gives its file to a link that it clicks; this takes the file instead.
const take = (use) => {
  const make = URL.createObjectURL;
  const hold = (event) => event.target.download && event.preventDefault();
  const restore = () => {
    URL.createObjectURL = make;
    removeEventListener("click", hold, true);
  };
  addEventListener("click", hold, true);
  URL.createObjectURL = (file) => {
    use(file);
    setTimeout(restore);
    return make.call(URL, file);
  };
};

const print = async (file) => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-same-origin allow-modals"; // no script runs in it
  frame.style.cssText = "position: fixed; width: 0; height: 0; border: 0";
  const picture = await file.text();
  const [, width, height] = picture.match(/<svg[^>]*? width="([\d.]+)" height="([\d.]+)"/);
  frame.srcdoc = `<!doctype html><style>@page { size: ${width}px ${height}px; margin: 0 } body { margin: 0 } svg { display: block }</style>${picture}`;
  frame.onload = () => {
    frame.contentWindow.onafterprint = () => frame.remove();
    frame.contentWindow.print();
  };
  document.body.append(frame);
};

export default function ({ parentElement, data: words }) {
  const findChart = () => {
    let box = parentElement.host ?? parentElement;
    while (box && !box.querySelector(".js-plotly-plot")) box = box.parentElement;
    return box?.querySelector(".js-plotly-plot");
  };
  for (const button of parentElement.querySelectorAll("button")) {
    button.onclick = () => {
      const chart = findChart();
      const camera = chart?.querySelector('.modebar-btn[data-attr="toImage"], .modebar-btn');
      if (!camera) return;
      const { layout, data } = chart;
      const options = chart._context.toImageButtonOptions;
      const paper = forPaper(chart, words);
      const pdf = button.dataset.format === "pdf";
      Object.assign(chart, paper);
      chart._context.toImageButtonOptions = {
        ...options, format: pdf ? "svg" : button.dataset.format, scale: Number(button.dataset.scale ?? 1),
        width: paper.layout.width, height: paper.layout.height,
      };
      if (pdf) take(print);
      camera.click();
      Object.assign(chart, { layout, data });
      chart._context.toImageButtonOptions = options;
    };
  }
}
