const side = 160;  // pixels of the longer side of a picture
const state = { layer: -1, head: -1, units: "words", scale: "own", glow: 0.75 };

const percent = (share) => share >= 0.0995 ? `${Math.round(100 * share)} %` : share >= 0.0005 ? `${(100 * share).toFixed(1)} %` : share > 0 ? "< 0.1 %" : "0 %";

// ── what is shown: units, and for each its weights over the places ──────────────────────────────
function units(record) {
  const groups = state.units === "words" ? record.groups : record.labels.map((_, piece) => [piece]);
  return groups.map((pieces, at) => ({ pieces, special: record.special[pieces[0]],
    label: state.units === "words" ? record.words[at] : record.labels[pieces[0]],
    sure: Math.exp(pieces.reduce((sum, piece) => sum + record.logProbs[piece], 0)),
    weights: record.map ? weights(record, pieces) : null }));
}
function weights(record, pieces) {  // mean over the pieces of a word, and over the chosen layers and heads
  const { layers, heads, columns, weights: all } = record.map, sum = new Float64Array(columns), rows = record.labels.length;
  let count = 0;
  for (let layer = 0; layer < layers; layer++) {
    for (let head = 0; head < heads; head++) {
      if ((state.layer >= 0 && layer !== state.layer) || (state.head >= 0 && head !== state.head)) continue;
      for (const piece of pieces) {
        const start = ((layer * heads + head) * rows + piece) * columns;
        for (let place = 0; place < columns; place++) sum[place] += all[start + place];
        count++;
      }
    }
  }
  return Array.from(sum, (weight) => weight / count / data.unit);
}

// ── drawings ────────────────────────────────────────────────────────────────────────────────────
function picture(record, name) {
  const { width, height } = record.picture, scale = side / Math.max(width, height);
  const map = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width: Math.max(40, width * scale), height: Math.max(40, height * scale),
    role: "img", "aria-label": name, preserveAspectRatio: "none", class: Math.max(width, height) < side ? "crisp" : "" });
  map.append(drawn("image", { width, height, href: `data:image/png;base64,${record.picture.png}` }));
  return map;
}
function figure(record, unit, full) {
  const { width, height, rows, columns } = record.picture, map = picture(record, `${unit.label}: where the model looked`);
  if (unit.weights) {
    const largest = Math.max(...unit.weights), top = state.scale === "one" ? full : largest;
    unit.weights.forEach((weight, place) => {
      const row = Math.floor(place / columns), column = place % columns;
      map.append(drawn("rect", { x: column * width / columns, y: row * height / rows, width: width / columns, height: height / rows,
        "fill-opacity": top ? state.glow * weight / top : 0 },
        drawn("title", {}, `row ${row + 1}, column ${column + 1}: ${percent(weight)}`)));
    });
  }
  return element("figure", { className: `${unit.special ? "special" : ""} ${unit.sure < 0.5 ? "unsure" : ""}` },
    map, element("figcaption", { title: unit.label }, element("bdi", { textContent: unit.label }), element("small", { textContent: percent(unit.sure) })));
}
function likeliest(record) {
  const table = element("table");
  for (const [label, logProb] of record.runnersUp) {
    const row = table.insertRow(), bar = element("i");
    bar.style.width = `${100 * Math.exp(logProb)}%`;
    row.insertCell().append(element("bdi", { textContent: label }));
    row.insertCell().textContent = percent(Math.exp(logProb));
    row.insertCell().append(bar);
  }
  return table;
}
function card(record) {
  const shown = units(record), full = Math.max(0, ...shown.map((unit) => unit.weights ? Math.max(...unit.weights) : 0));
  const lines = [["Picture", record.source], [record.given ? "Answer, given" : "Answer", record.target]];
  if (record.reference !== null) lines.push(["Reference", record.reference]);
  const texts = element("dl", {}, ...lines.flatMap(([name, text]) => [element("dt", { textContent: name }), element("dd", { dir: "auto", textContent: text || "(blank)" })]));
  const first = element("figure", {}, picture(record, record.source), element("figcaption", { textContent: "the picture" }));
  const list = element("ol", { className: "panels" }, ...[first, ...shown.map((unit) => figure(record, unit, full))].map((each) => element("li", {}, each)));
  const made = element("section", { className: "card" }, texts, list);
  if (record.runnersUp.length) made.append(likeliest(record));
  if (record.facts.length) made.append(element("ul", { className: "notes" }, ...record.facts.map((fact) => element("li", { textContent: fact }))));
  return made;
}
function redraw() {
  byId("records").replaceChildren(...data.records.map(card));
}

// ── controls ────────────────────────────────────────────────────────────────────────────────────
function options(id, size) {
  const list = Array.from({ length: size }, (_, at) => element("option", { value: at, textContent: `${at + 1} of ${size}` }));
  byId(id).replaceChildren(element("option", { value: -1, textContent: "mean of all" }), ...list);
  byId(`${id}-field`).hidden = size < 2;
  byId(id).addEventListener("change", (event) => { state[id] = Number(event.target.value); redraw(); });
}
const maps = data.records.map((record) => record.map).filter(Boolean);
options("layer", Math.min(...maps.map((map) => map.layers), maps.length ? Infinity : 0));
options("head", Math.min(...maps.map((map) => map.heads), maps.length ? Infinity : 0));
byId("units").hidden = data.records.every((record) => record.groups.length === record.labels.length);
byId("controls").hidden = !maps.length;
document.querySelector(`input[name=units][value=${state.units}]`).checked = true;
for (const name of ["units", "scale"]) document.querySelectorAll(`input[name=${name}]`).forEach((input) => input.addEventListener("change", () => { state[name] = input.value; redraw(); }));
byId("glow").addEventListener("input", (event) => { state.glow = Number(event.target.value) / 100; redraw(); });
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("about").textContent = data.about;
redraw();
