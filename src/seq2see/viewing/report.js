const data = JSON.parse(document.getElementById("data").textContent);
const frame = data.frame;  // the place of the curves in every drawing: width, height, left, right, top, bottom
const shown = (value) => Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));
function place(value, seconds) {
  if (!seconds) return `step ${shown(value)}`;
  const whole = Math.round(value), two = (part) => String(part).padStart(2, "0");
  return whole < 60 ? `${whole} s` : whole < 3600 ? `${Math.floor(whole / 60)} min ${two(whole % 60)} s`
    : `${Math.floor(whole / 3600)} h ${two(Math.floor(whole % 3600 / 60))} min`;
}
function nearest(points, x) {
  let low = 0, high = points.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle + 1; else high = middle;
  }
  return low > 0 && x - points[low - 1][0] < points[low][0] - x ? low - 1 : low;
}
document.querySelectorAll("[data-chart]").forEach((figure) => {
  const chart = data.charts[Number(figure.dataset.chart)], drawing = figure.querySelector("svg"), out = figure.querySelector(".read");
  const longest = chart.curves.reduce((most, curve) => curve.points.length > most.points.length ? curve : most, chart.curves[0]);
  const hair = document.createElementNS("http://www.w3.org/2000/svg", "path");
  let at = -1;
  hair.setAttribute("class", "hair");
  drawing.append(hair);
  function show(x) {
    const share = (x - chart.x[0]) / (chart.x[1] - chart.x[0]);
    hair.setAttribute("d", `M${frame.left + share * (frame.width - frame.left - frame.right)} ${frame.top}V${frame.height - frame.bottom}`);
    const values = chart.curves.filter((curve) => curve.points.length).map((curve) => {
      const point = curve.points[nearest(curve.points, x)];
      return `${curve.name} ${shown(point[1])}` + (Math.abs(point[0] - x) > 0.01 * (chart.x[1] - chart.x[0]) ? ` (${place(point[0], chart.seconds)})` : "");
    });
    out.textContent = `${place(x, chart.seconds)}: ${values.join(" · ")}`;
  }
  function clear() { at = -1; hair.setAttribute("d", ""); out.textContent = ""; }
  if (!longest || !longest.points.length) return;
  drawing.tabIndex = 0;
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect(), inside = (event.clientX - box.left) / box.width * frame.width;
    const share = (inside - frame.left) / (frame.width - frame.left - frame.right);
    if (share < -0.02 || share > 1.02) return clear();
    at = nearest(longest.points, chart.x[0] + share * (chart.x[1] - chart.x[0]));
    show(longest.points[at][0]);
  });
  drawing.addEventListener("pointerleave", clear);
  drawing.addEventListener("blur", clear);
  drawing.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return clear();
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    at = Math.max(0, Math.min(longest.points.length - 1, at < 0 ? 0 : at + step * (event.shiftKey ? 10 : 1)));
    show(longest.points[at][0]);
  });
});
document.querySelectorAll("input[name=axis]").forEach((input) => input.addEventListener("change", () => {
  document.body.classList.toggle("by-time", input.value === "time" && input.checked);
}));
