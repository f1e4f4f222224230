// Draws each chart when it comes near the window, and all of them before the page is printed.
(() => {
  const read = id => JSON.parse(document.getElementById(id).textContent)
  const draw = box => {
    if (box.dataset.drawn) return
    box.dataset.drawn = "yes"
    const {data, layout} = read(box.dataset.chart)
    Plotly.newPlot(box, data, layout, {displaylogo: false, toImageButtonOptions: {format: "svg"}})
  }
  const boxes = document.querySelectorAll("[data-chart]")
  const near = new IntersectionObserver(
    seen => seen.filter(one => one.isIntersecting).forEach(one => draw(one.target)),
    {rootMargin: "800px"},
  )
  boxes.forEach(box => near.observe(box))
  addEventListener("beforeprint", () => boxes.forEach(draw))
  document.querySelectorAll("[data-csv]").forEach(button => button.addEventListener("click", () => {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(new Blob([read(button.dataset.csv)], {type: "text/csv"}))
    link.download = `${button.dataset.csv}.csv`
    link.click()
    URL.revokeObjectURL(link.href)
  }))
})()
