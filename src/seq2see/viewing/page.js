const dark = matchMedia("(prefers-color-scheme: dark)");
// An answer of one word (a date, a name) has only its pieces to show.
const wordy = data.records.some((record) => record.target.groups.filter((group) => !record.target.special[group[0]]).length > 1);
const state = { record: 0, kind: "cross", layer: -1, head: -1, units: wordy ? "words" : "pieces", special: "dim", scale: "largest",
  threshold: 0.05, row: -1, column: -1, held: false };
let shown = null;  // what view() computed last
let paint = () => {};  // shows the current row and column in every drawing

const percent = (share) => share >= 0.9995 ? "100 %" : share >= 0.0005 ? `${(100 * share).toFixed(1)} %` : share > 0 ? "< 0.1 %" : "0 %";
const short = (share) => share >= 0.995 ? "100 %" : share >= 0.01 ? `${Math.round(100 * share)} %` : share > 0 ? "< 1 %" : "0 %";
const isolated = (text) => element("bdi", { textContent: text });

// ── what is shown: labels, groups of pieces, weights ────────────────────────────────────────────
function units(side) {
  const groups = state.units === "words" ? side.groups : side.labels.map((_, piece) => [piece]);
  return groups.map((pieces, at) => ({ pieces, special: side.special[pieces[0]],
    label: state.units === "words" ? side.words[at] : side.labels[pieces[0]] }));
}
function readUnits(side) {  // what a decoder has read before each piece: <sos>, then all but the last
  const last = side.labels.length - 1;
  const shifted = units(side).map((unit) => ({ ...unit, pieces: unit.pieces.filter((p) => p < last).map((p) => p + 1) }));
  return [{ pieces: [0], special: true, label: "<sos>" }, ...shifted.filter((unit) => unit.pieces.length)];
}
function matrix(map) {  // mean over the chosen layers and heads, as rows
  const size = map.rows * map.columns, sum = new Float64Array(size);
  let count = 0;
  for (let layer = 0; layer < map.layers; layer++) {
    for (let head = 0; head < map.heads; head++) {
      if ((state.layer >= 0 && layer !== state.layer) || (state.head >= 0 && head !== state.head)) continue;
      const start = (layer * map.heads + head) * size;
      for (let at = 0; at < size; at++) sum[at] += map.weights[start + at];
      count++;
    }
  }
  return (row, column) => sum[row * map.columns + column] / count / data.unit;
}
function view() {
  const record = data.records[state.record], map = record.attention[state.kind];
  const rowSide = state.kind === "encoder" ? record.source : record.target;
  const columnSide = state.kind === "decoder" ? record.target : record.source;
  const keep = (unit) => state.special !== "hide" || !unit.special;
  const allRows = units(rowSide), allColumns = state.kind === "decoder" ? readUnits(columnSide) : units(columnSide);
  const rows = allRows.filter(keep), columns = allColumns.filter(keep);
  if (!map) return { record, rows, columns, weights: null };
  const at = matrix(map);
  const weights = rows.map((row) => columns.map((column) =>  // added over what is looked at, mean over what looks
    row.pieces.reduce((sum, r) => sum + column.pieces.reduce((inner, c) => inner + at(r, c), 0), 0) / row.pieces.length));
  const onlySpecial = columns.every((column) => column.special);  // else <eos> and the like do not set the scale
  const largest = weights.reduce((most, row) => row.reduce((high, weight, j) => onlySpecial || !columns[j].special ? Math.max(high, weight) : high, most), 0);
  const seen = weights.reduce((sum, row) => sum + row.reduce((a, b) => a + b, 0), 0) / Math.max(1, rows.length);
  return { record, rows, columns, weights, rtl: columnSide.rtl, full: state.scale === "one" || !largest ? 1 : largest,
    unseen: columns.length < allColumns.length ? Math.max(0, 1 - seen) : 0 };
}
function colour(share) {
  const ramp = dark.matches ? data.ramps.dark : data.ramps.light;
  const place = Math.min(1, Math.max(0, share)) * (ramp.length - 1), lower = Math.min(Math.floor(place), ramp.length - 2);
  const part = (index) => parseInt(ramp[lower].slice(index, index + 2), 16) * (1 - place + lower)
    + parseInt(ramp[lower + 1].slice(index, index + 2), 16) * (place - lower);
  return `rgb(${[1, 3, 5].map((index) => Math.round(part(index))).join(" ")})`;
}

// ── words: probabilities, runners-up, readout, table ────────────────────────────────────────────
function drawChips(view) {
  const { record } = view, list = units(record.target);
  const rowOf = (unit) => state.kind === "encoder" ? -1 : view.rows.findIndex((row) => row.pieces[0] === unit.pieces[0]);
  byId("chips").dir = record.target.rtl ? "rtl" : "ltr";
  const chips = list.map((unit) => {
    const sure = Math.exp(unit.pieces.reduce((sum, piece) => sum + record.logProbs[piece], 0)), bar = element("b");
    bar.style.width = `${100 * sure}%`;
    const button = element("button", { type: "button", className: `${sure < 0.5 ? "unsure" : ""} ${unit.special ? "special" : ""}`, title: unit.label },
      element("span", { dir: "auto", textContent: unit.label }), element("small", { dir: "ltr", textContent: short(sure) }), element("i", {}, bar));
    button.addEventListener("pointerenter", (event) => { if (!state.held && event.pointerType !== "touch") { drawRunners(record, unit); go(rowOf(unit), -1); } });
    button.addEventListener("focus", () => { drawRunners(record, unit); });
    button.addEventListener("click", () => { drawRunners(record, unit); state.held = rowOf(unit) >= 0; go(rowOf(unit), -1); paint(); });
    return button;
  });
  byId("chips").replaceChildren(...chips.map((chip) => element("li", {}, chip)));
  const doubt = (unit) => Math.min(...unit.pieces.map((piece) => record.logProbs[piece]));
  if (list.length) drawRunners(record, list.reduce((least, unit) => doubt(unit) < doubt(least) ? unit : least));
  return () => {
    const row = state.kind === "encoder" ? null : view.rows[state.row];
    list.forEach((unit, at) => chips[at].classList.toggle("on", Boolean(row) && row.pieces[0] === unit.pieces[0]));
    if (row) drawRunners(record, row);
  };
}
function drawRunners(record, unit) {
  const tables = unit.pieces.map((piece) => {
    const own = [record.target.labels[piece], record.logProbs[piece]];
    const table = element("table", {}, element("caption", {}, isolated(own[0]), ` ${percent(Math.exp(own[1]))}, runners-up:`));
    for (const [text, logProb] of record.runnersUp[piece] || []) {
      const bar = element("i"), row = table.insertRow();
      bar.style.width = `${100 * Math.exp(logProb)}%`;
      row.insertCell().append(isolated(text));
      row.insertCell().textContent = percent(Math.exp(logProb));
      row.insertCell().append(bar);
    }
    return table;
  });
  byId("runners").replaceChildren(...(record.runnersUp.some((row) => row.length) ? tables : []));
}
function readout(view) {
  const { rows, columns, weights } = view, { row, column } = state, parts = [], out = byId("readout");
  if (!weights) { out.hidden = true; return; }
  out.hidden = false;
  const listed = (entries) => entries.map(([unit, weight]) => [unit, weight]).sort((a, b) => b[1] - a[1]).slice(0, 4)
    .filter(([, weight]) => weight >= 0.0005).flatMap(([unit, weight], at) => [at ? ", " : "", isolated(unit.label), ` ${percent(weight)}`]);
  if (row >= 0 && column >= 0) parts.push(isolated(rows[row].label), " looks at ", isolated(columns[column].label), ": ", element("strong", { textContent: percent(weights[row][column]) }));
  else if (row >= 0) parts.push(isolated(rows[row].label), " looks at ", ...listed(columns.map((unit, j) => [unit, weights[row][j]])));
  else if (column >= 0) parts.push(isolated(columns[column].label), " is looked at by ", ...listed(rows.map((unit, i) => [unit, weights[i][column]])));
  else parts.push("Point at a word, a cell or a ribbon to read its weights; click to hold it.");
  if (state.held && (row >= 0 || column >= 0)) parts.push(" · held");
  out.replaceChildren(...parts);
}
function drawTable(view) {
  const { rows, columns, weights } = view, table = element("table"), head = table.createTHead().insertRow();
  table.createCaption().textContent = `Weights in per cent; a row for each ${byId("readout").dataset.row} word`;
  head.append(element("td"), ...columns.map((unit) => element("th", { scope: "col", dir: "auto", textContent: unit.label })));
  const body = table.createTBody();
  rows.forEach((unit, i) => {
    const line = body.insertRow();
    line.append(element("th", { scope: "row", dir: "auto", textContent: unit.label }), ...weights[i].map((weight) => element("td", { textContent: (100 * weight).toFixed(1) })));
  });
  byId("table-body").replaceChildren(table);
}

// ── controls ────────────────────────────────────────────────────────────────────────────────────
function drawSentences(record) {
  const lines = [["Source", record.source.text], [record.given ? "Target, given" : "Target, found", record.target.text]];
  if (record.reference !== null) lines.push(["Reference", record.reference]);
  byId("sentences").replaceChildren(...lines.flatMap(([name, text]) => [element("dt", { textContent: name }), element("dd", { dir: "auto", textContent: text || "(blank)" })]));
  byId("about").replaceChildren(isolated(record.model), " · ", isolated(record.task));
  byId("notes").replaceChildren(...record.facts.map((fact) => element("li", { textContent: fact })));
}
function options(id, names, chosen, mean) {
  const list = names.map((text, at) => element("option", { value: at, textContent: text }));
  if (mean && names.length > 1) list.unshift(element("option", { value: -1, textContent: "mean of all" }));
  byId(id).replaceChildren(...list);
  byId(id).value = chosen;
  byId(`${id}-field`).hidden = names.length < 2;
}
function refreshControls() {
  const record = data.records[state.record], kinds = Object.keys(record.attention);
  if (!kinds.includes(state.kind)) state.kind = kinds[0] || "cross";
  const map = record.attention[state.kind] || { layers: 0, heads: 0 };
  if (state.layer >= map.layers || map.layers === 1) state.layer = -1;
  if (state.head >= map.heads || map.heads === 1) state.head = -1;
  const titles = { cross: "target → source", encoder: "source → source (encoder)", decoder: "target → target (decoder)" };
  options("kind", kinds.map((kind) => titles[kind]), kinds.indexOf(state.kind), false);
  const counted = (size) => Array.from({ length: size }, (_, at) => `${at + 1} of ${size}`);
  options("layer", counted(map.layers), state.layer, true);
  options("head", counted(map.heads), state.head, true);
  for (const name of ["units", "special", "scale"]) document.querySelector(`input[name=${name}][value=${state[name]}]`).checked = true;
  byId("threshold").value = Math.round(100 * state.threshold);
  byId("threshold-value").textContent = `${Math.round(100 * state.threshold)} %`;
}
function redraw() {
  shown = view();
  const names = { cross: ["target", "source"], encoder: ["source", "source"], decoder: ["target", "target read before"] }[state.kind];
  document.querySelectorAll(".row-name").forEach((each) => { each.textContent = names[0]; });
  document.querySelectorAll(".column-name").forEach((each) => { each.textContent = names[1] + (shown.rtl && each.closest("figcaption").textContent.startsWith("Heat") ? ", right to left" : ""); });
  byId("readout").dataset.row = names[0];
  const drawable = Boolean(shown.weights && shown.rows.length && shown.columns.length);
  byId("none").hidden = Boolean(shown.weights);
  byId("views").hidden = byId("table").hidden = !drawable;
  for (const id of ["special", "scale"]) document.querySelector(`input[name=${id}]`).closest("fieldset").hidden = !shown.weights;
  byId("threshold").closest("label").hidden = !shown.weights;
  if (state.row >= shown.rows.length || state.column >= shown.columns.length) state.row = state.column = -1;
  byId("views").classList.toggle("stacked", shown.columns.length * 20 + 170 > byId("views").clientWidth / 2);
  const painters = [drawChips(shown)];
  if (drawable) {
    const focused = document.activeElement && document.activeElement.getAttribute("aria-roledescription");
    painters.push(drawHeat(shown, byId("heat")), drawRibbons(shown, byId("ribbons")));
    drawScale(shown);
    if (byId("table").open) drawTable(shown);
    if (focused) document.querySelector(`svg[aria-roledescription="${focused}"]`).focus({ preventScroll: true });
  }
  paint = () => { painters.forEach((each) => each()); readout(shown); };
  paint();
}
function change(key, value) {
  state[key] = value;
  if (["record", "kind", "units", "special"].includes(key)) {  // rows and columns are other ones now
    state.row = state.column = -1;
    state.held = false;
  }
  refreshControls();
  if (key === "record") drawSentences(data.records[state.record]);
  redraw();
}
byId("record").append(...data.records.map((record, at) => element("option", { value: at, textContent: `${at + 1}. ${Array.from(record.source.text).slice(0, 80).join("")}` })));
byId("choose").hidden = data.records.length < 2;
byId("record").addEventListener("change", (event) => change("record", Number(event.target.value)));
byId("kind").addEventListener("change", (event) => change("kind", Object.keys(data.records[state.record].attention)[event.target.value]));
for (const name of ["layer", "head"]) byId(name).addEventListener("change", (event) => change(name, Number(event.target.value)));
for (const name of ["units", "special", "scale"]) document.querySelectorAll(`input[name=${name}]`).forEach((input) => input.addEventListener("change", () => change(name, input.value)));
byId("threshold").addEventListener("input", (event) => change("threshold", Number(event.target.value) / 100));
byId("table").addEventListener("toggle", () => { if (byId("table").open) drawTable(shown); });
byId("controls").addEventListener("submit", (event) => event.preventDefault());
dark.addEventListener("change", redraw);
let lastWidth = innerWidth;
addEventListener("resize", () => { if (innerWidth !== lastWidth) { lastWidth = innerWidth; redraw(); } });
change("record", 0);
