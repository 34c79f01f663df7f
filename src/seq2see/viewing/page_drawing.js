// ── text in drawings ────────────────────────────────────────────────────────────────────────────
const ruler = document.createElement("canvas").getContext("2d");
const letters = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const strong = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]|[A-Za-z\u00c0-\u02af\u0370-\u058f\u0900-\ud7ff]/u;
const rightToLeft = (text) => /^[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/u.test((text.match(strong) || [""])[0]);
function textWidth(text) {
  ruler.font = `italic 600 13px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}
function fitted(text, width) {
  if (textWidth(text) <= width) return text;
  const parts = Array.from(letters.segment(text.slice(0, 200)), (part) => part.segment);
  while (parts.length > 1 && textWidth(parts.join("") + "…") > width) parts.pop();
  return parts.join("") + "…";
}
function label(unit, x, y, width, onLeft, turn) {  // onLeft: the text ends at x, else it begins there
  const text = fitted(unit.label, width), rtl = rightToLeft(text);
  const made = drawn("text", { x, y, "text-anchor": onLeft === rtl ? "start" : "end", direction: rtl ? "rtl" : "ltr",
    "dominant-baseline": "central" }, text);
  if (turn) made.setAttribute("transform", `rotate(${turn} ${x} ${y})`);
  if (unit.special) made.setAttribute("class", state.special === "dim" ? "special dim" : "special");
  if (text !== unit.label) made.append(drawn("title", {}, unit.label));
  return made;
}
const widest = (list, limit) => Math.min(limit, Math.ceil(Math.max(8, ...list.map((unit) => textWidth(unit.label.slice(0, 60))))) + 2);

const MANY_CELLS = 10000;  // more are painted, not built of elements
function cellCanvas(width, height, top) {
  const scale = Math.min(devicePixelRatio, 8000 / Math.max(width, height, 1)), canvas = element("canvas", { className: "cells" });
  canvas.width = Math.ceil(width * scale);
  canvas.height = Math.ceil(height * scale);
  Object.assign(canvas.style, { top: `${top}px`, width: `${width}px`, height: `${height}px` });
  const paper = canvas.getContext("2d");
  paper.scale(scale, scale);
  paper.fillStyle = colour(0);
  paper.fillRect(0, 0, width, height);
  const put = (x, y, size, fill, opacity) => {
    paper.globalAlpha = opacity;
    paper.fillStyle = fill;
    paper.fillRect(x, y, size, size);
  };
  return { element: canvas, put };
}

// ── the heat map ────────────────────────────────────────────────────────────────────────────────
const TURN = 55;
function drawHeat(view, box) {
  const { rows, columns, weights } = view, room = box.clientWidth;
  const side = widest(rows, room < 420 ? 84 : 150) + 8, tall = widest(columns, 120);
  const slope = Math.PI * TURN / 180, flat = columns.every((unit) => unit.special || textWidth(unit.label) <= 14);
  const top = Math.ceil(tall * Math.sin(slope)) + 14, over = Math.ceil(tall * Math.cos(slope)) + 6;
  const size = Math.max(13, Math.min(34, Math.floor((room - side - over - 4) / columns.length)));
  const width = columns.length * size, height = rows.length * size;
  const place = (column) => (view.rtl ? columns.length - 1 - column : column) * size;
  const names = drawn("svg", { width: side, height: top + height + 2, class: "names", "aria-hidden": "true" });
  const rowNames = rows.map((unit, row) => label(unit, side - 7, top + (row + 0.5) * size, side - 10, true));
  names.append(...rowNames);
  const map = drawn("svg", { width: width + over, height: top + height + 2, tabindex: 0, role: "application",
    "aria-roledescription": "heat map", "aria-label": `Attention of ${rows.length} rows to ${columns.length} columns. The arrow keys move over the cells; the table below has all weights.` });
  const columnNames = columns.map((unit, column) => label(unit, place(column) + size / 2 + (flat ? 0 : 2), top - 9, tall, false, -TURN));
  const letters = `${Math.max(10, Math.min(13, Math.round(size * 0.85)))}px`;
  for (const name of [...rowNames, ...columnNames]) name.style.fontSize = letters;
  const gap = size > 16 ? 1 : 0;
  const canvas = rows.length * columns.length > MANY_CELLS ? cellCanvas(width, height, top) : null;
  if (!canvas) map.append(drawn("rect", { x: 0, y: top, width, height, fill: colour(0) }));
  map.append(...columnNames);
  weights.forEach((row, i) => row.forEach((weight, j) => {
    if (weight / view.full < 0.004) return;
    const faint = state.special === "dim" && (rows[i].special || columns[j].special);
    const fill = colour(weight / view.full), opacity = faint ? 0.4 : 1;
    if (canvas) canvas.put(place(j), i * size, size, fill, opacity);
    else map.append(drawn("rect", { x: place(j), y: top + i * size, width: size - gap, height: size - gap, fill, opacity }));
  }));
  const across = drawn("rect", { class: "cross", x: 0, width, height: size, visibility: "hidden" });
  const down = drawn("rect", { class: "cross", y: top, width: size, height, visibility: "hidden" });
  const cell = drawn("rect", { class: "cell", width: size, height: size, visibility: "hidden" });
  map.append(drawn("rect", { class: "frame", x: 0.5, y: top + 0.5, width: width - 1, height: height - 1 }), across, down, cell);
  box.replaceChildren(names, element("div", { className: "map" }, ...(canvas ? [canvas.element, map] : [map])));
  pointed(map, (x, y) => {
    const visual = Math.floor(x / size), row = Math.floor((y - top) / size);
    const inside = visual >= 0 && visual < columns.length && row < rows.length;
    return inside ? [row >= 0 ? row : -1, view.rtl ? columns.length - 1 - visual : visual] : null;
  });
  pointed(names, (x, y) => y > top && y < top + height ? [Math.floor((y - top) / size), -1] : null);
  keyed(map);
  return () => {
    mark(across, state.row >= 0, { y: top + state.row * size });
    mark(down, state.column >= 0, { x: place(state.column) });
    mark(cell, state.row >= 0 && state.column >= 0, { x: place(state.column), y: top + state.row * size });
    rowNames.forEach((name, row) => name.classList.toggle("on", row === state.row));
    columnNames.forEach((name, column) => name.classList.toggle("on", column === state.column));
  };
}
function mark(shape, visible, attributes) {
  shape.setAttribute("visibility", visible ? "visible" : "hidden");
  if (visible) for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
}
function drawScale(view) {
  const ramp = dark.matches ? data.ramps.dark : data.ramps.light, bar = element("i");
  bar.style.background = `linear-gradient(90deg, ${ramp.join(",")})`;
  const unseen = view.unseen >= 0.0005 ? `· hidden columns hold ${percent(view.unseen)} of a row on average` : "";
  byId("scale").replaceChildren("0", bar, percent(view.full), unseen);
}

// ── the ribbons ─────────────────────────────────────────────────────────────────────────────────
function drawRibbons(view, box) {
  const { rows, columns, weights } = view, room = Math.max(260, box.clientWidth), value = 44;
  const limit = (room - 2 * value) * 0.33, left = widest(columns, limit), right = widest(rows, limit);
  const pitch = Math.max(rows.length, columns.length) > 40 ? 20 : 26, band = pitch - 5;
  const height = Math.max(rows.length, columns.length) * pitch;
  const start = value + left + 8, end = room - value - right - 8, middle = (start + end) / 2;
  const rowAt = (row) => (height - rows.length * pitch) / 2 + (row + 0.5) * pitch;
  const columnAt = (column) => (height - columns.length * pitch) / 2 + (column + 0.5) * pitch;
  const received = columns.map((_, j) => weights.reduce((sum, row) => sum + row[j], 0));
  const map = drawn("svg", { width: room, height, tabindex: 0, role: "application", "aria-roledescription": "ribbons",
    "aria-label": "Bands from what was looked at, left, to the words that looked, right; as wide as the weight. The arrow keys move." });
  const used = columns.map(() => 0), bands = [];
  weights.forEach((row, i) => {
    let top = rowAt(i) - band / 2;
    row.forEach((weight, j) => {
      const thin = weight * band / Math.max(1, received[j]), thick = weight * band;
      const from = columnAt(j) - band * Math.min(1, received[j]) / 2 + used[j], to = top;
      used[j] += thin;
      top += thick;
      if (weight < state.threshold || weight < 0.001) return;
      const faint = state.special === "dim" && (rows[i].special || columns[j].special);
      const path = drawn("path", { class: "band", d: `M${start} ${from}C${middle} ${from} ${middle} ${to} ${end} ${to}v${thick}`
        + `C${middle} ${to + thick} ${middle} ${from + thin} ${start} ${from + thin}z` });
      bands.push({ path, i, j, opacity: (0.28 + 0.6 * weight) * (faint ? 0.4 : 1) });
    });
  });
  map.append(...bands.map((each) => each.path));
  const columnNames = columns.map((unit, column) => label(unit, start - 7, columnAt(column), left, true));
  const rowNames = rows.map((unit, row) => label(unit, end + 7, rowAt(row), right, false));
  const atColumns = columns.map((_, j) => drawn("text", { class: "value", x: 2, y: columnAt(j), "dominant-baseline": "central" }));
  const atRows = rows.map((_, i) => drawn("text", { class: "value", x: room - 2, y: rowAt(i), "text-anchor": "end", "dominant-baseline": "central" }));
  map.append(...columnNames, ...rowNames, ...atColumns, ...atRows);
  box.replaceChildren(map);
  pointed(map, (x, y) => {
    const near = (list, at) => list.findIndex((_, index) => Math.abs(at(index) - y) <= pitch / 2);
    if (x < start) return [-1, near(columns, columnAt)];
    if (x > end) return [near(rows, rowAt), -1];
    return null;
  }, (target) => { const hit = bands.find((each) => each.path === target); return hit ? [hit.i, hit.j] : null; });
  keyed(map);
  return () => {
    const some = state.row >= 0 || state.column >= 0;
    for (const { path, i, j, opacity } of bands) {
      const on = some && (state.row < 0 || i === state.row) && (state.column < 0 || j === state.column);
      const near = some && (i === state.row || j === state.column);
      path.classList.toggle("on", on);
      path.setAttribute("opacity", on ? Math.max(0.55, opacity) : some ? (near ? opacity * 0.6 : 0.06) : opacity);
    }
    columnNames.forEach((name, j) => name.classList.toggle("on", j === state.column));
    rowNames.forEach((name, i) => name.classList.toggle("on", i === state.row));
    atColumns.forEach((text, j) => { text.textContent = state.row >= 0 && (weights[state.row][j] >= 0.005 || j === state.column) ? short(weights[state.row][j]) : ""; });
    atRows.forEach((text, i) => { text.textContent = state.row < 0 && state.column >= 0 && weights[i][state.column] >= 0.005 ? short(weights[i][state.column]) : ""; });
  };
}

// ── pointer and keys ────────────────────────────────────────────────────────────────────────────
function go(row, column) {
  if (row === state.row && column === state.column) return;
  state.row = row;
  state.column = column;
  paint();
}
function pointed(map, locate, onShape = () => null) {
  const find = (event) => {
    const frame = map.getBoundingClientRect();
    return onShape(event.target) || locate(event.clientX - frame.left, event.clientY - frame.top);
  };
  map.addEventListener("pointermove", (event) => { if (!state.held && event.pointerType !== "touch") go(...(find(event) || [-1, -1])); });
  map.addEventListener("pointerleave", (event) => { if (!state.held && event.pointerType !== "touch") go(-1, -1); });
  map.addEventListener("click", (event) => {
    const [row, column] = find(event) || [-1, -1];
    state.held = (row >= 0 || column >= 0) && !(state.held && row === state.row && column === state.column);
    go(row, column);
    paint();
  });
}
function keyed(map) {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  map.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { state.held = false; go(-1, -1); paint(); return; }
    if (event.key === "Enter" || event.key === " ") { state.held = !state.held; paint(); event.preventDefault(); return; }
    if (!(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const mirrored = shown.rtl && map.getAttribute("aria-roledescription") === "heat map" ? -1 : 1;
    const clip = (at, size) => Math.max(0, Math.min(size - 1, at));
    const row = state.row < 0 ? 0 : clip(state.row + moves[event.key][0], shown.rows.length);
    const column = state.column < 0 ? 0 : clip(state.column + mirrored * moves[event.key][1], shown.columns.length);
    state.held = true;
    go(row, column);
  });
}

