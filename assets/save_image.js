// Saves the chart beside these buttons in the format that is pressed, as it stands on the page.
export default function ({ parentElement }) {
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
      const paper = chart.layout.paper_bgcolor;
      chart.layout.paper_bgcolor = getComputedStyle(document.querySelector(".stApp")).backgroundColor;
      chart._context.toImageButtonOptions.format = button.dataset.format;
      camera.click();
      chart.layout.paper_bgcolor = paper;
    };
  }
}
