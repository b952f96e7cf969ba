// The drawings on canvas: the map of probabilities, the scatter with its lines, prices beside prices.
const LEFT = 52, RIGHT = 14, TOP = 24, BOTTOM = 36;
const shown = new WeakMap(); // canvas → the points on it, and which one is pointed at

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function number(value) {
  return Number(value.toPrecision(3)).toLocaleString("en").replace("-", "−");
}

function prepare(canvas) {
  const ratio = devicePixelRatio || 1;
  const {width, height} = canvas.getBoundingClientRect();
  if (!width) return null;
  if (canvas.width !== Math.round(width * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  return {pen, width, height};
}

function scales({width, height}, [x0, x1], [y0, y1]) {
  const x = (value) => LEFT + (value - x0) / (x1 - x0 || 1) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - (value - y0) / (y1 - y0 || 1) * (height - TOP - BOTTOM);
  return {x, y, x0, x1, y0, y1};
}

// About five round numbers: steps of 1, 2 or 5 times a power of ten.
function roundTicks(from, to) {
  const rough = (to - from) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const first = Math.ceil(from / step);
  const count = Math.max(Math.floor(to / step) - first + 1, 0);
  return Array.from({length: count}, (_, place) => ({at: (first + place) * step, text: number((first + place) * step)}));
}

// On a scale of log10: powers of ten, and twice and five times these where there are few.
function dollarTicks(from, to) {
  const steps = to - from < 2 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = Math.floor(from); power <= to; power += 1) {
    for (const step of steps) ticks.push({at: power + Math.log10(step), text: COMPACT.format(step * 10 ** power)});
  }
  return ticks.filter(({at}) => at >= from && at <= to);
}

const COMPACT = new Intl.NumberFormat("en", {notation: "compact"});

function axes({pen, width, height}, {x, y, x0, x1, y0, y1}, xName, yName, ticks = roundTicks) {
  pen.fillStyle = color("quiet");
  pen.strokeStyle = color("third");
  pen.strokeRect(LEFT, TOP, width - LEFT - RIGHT, height - TOP - BOTTOM);
  pen.textAlign = "center";
  for (const {at, text} of ticks(x0, x1)) {
    pen.fillText(text, x(at), height - BOTTOM + 15);
    pen.fillRect(x(at), height - BOTTOM, 1, 4);
  }
  pen.fillText(xName.replaceAll("_", " "), (LEFT + width - RIGHT) / 2, height - 4);
  pen.textAlign = "right";
  for (const {at, text} of ticks(y0, y1)) {
    pen.fillText(text, LEFT - 7, y(at) + 4);
    pen.fillRect(LEFT - 4, y(at), 4, 1);
  }
  pen.textAlign = "left";
  pen.fillText(`↑ ${yName.replaceAll("_", " ")}`, LEFT, TOP - 9);
}

function clipped({pen, width, height}, what) {
  pen.save();
  pen.beginPath();
  pen.rect(LEFT, TOP, width - LEFT - RIGHT, height - TOP - BOTTOM);
  pen.clip();
  what();
  pen.restore();
}

function point(pen, x, y, tone, isYes, isPointed) {
  pen.beginPath();
  pen.arc(x, y, isPointed ? 7 : 3.2, 0, 2 * Math.PI);
  pen.strokeStyle = pen.fillStyle = color(tone);
  pen.lineWidth = isPointed ? 2.5 : 1.2;
  if (isYes) pen.fill(); else pen.stroke();
  if (isPointed) { pen.strokeStyle = color("ink"); pen.stroke(); }
  pen.lineWidth = 1;
}

function segment({pen}, {x, y, x0, x1}, {intercept, slope}, tone, dash) {
  pen.beginPath();
  pen.moveTo(x(x0), y(intercept + slope * x0));
  pen.lineTo(x(x1), y(intercept + slope * x1));
  pen.strokeStyle = color(tone);
  pen.setLineDash(dash);
  pen.lineWidth = 2.5;
  pen.stroke();
  pen.setLineDash([]);
}

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// A picture of a pixel a probability, stretched smoothly over the frame.
function shades({pen}, {x, y, x0, x1, y0, y1}, map) {
  const [yes, no] = [channels(color("other")), channels(color("one"))];
  const picture = new ImageData(map.columns, map.rows);
  map.probability.forEach((line, row) => line.forEach((chance, column) => {
    const alpha = Math.abs(chance - 0.5) * 0.7 * 255;
    picture.data.set([...(chance > 0.5 ? yes : no), alpha], 4 * ((map.rows - 1 - row) * map.columns + column));
  }));
  const small = new OffscreenCanvas(map.columns, map.rows);
  small.getContext("2d").putImageData(picture, 0, 0);
  const [wide, high] = [(x1 - x0) / (map.columns - 1) / 2, (y1 - y0) / (map.rows - 1) / 2];
  const [left, top] = [x(x0 - wide), y(y1 + high)];
  pen.drawImage(small, left, top, x(x1 + wide) - left, y(y0 - high) - top);
}

function extent(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = (high - low) * 0.04 || Math.abs(high) / 2 || 1;
  return [low - margin, high + margin];
}

function rowsOf(drawn, ...names) {
  const places = names.map((name) => drawn.columns.indexOf(name));
  return drawn.recent.map((row) => [row[0], ...places.map((place) => row[place])]);
}

const KINDS = {
  map(canvas, drawn, view) {
    if (!view.map) return null;
    const {x, y} = view.map;
    const points = rowsOf(drawn, x.column, y.column, canvas.dataset.target).map(([key, left, up, yes]) => ({
      at: [left, up], yes, text: `row ${key}: ${x.column} ${number(left)}, ${y.column} ${number(up)}, ${yes ? "" : "not "}${canvas.dataset.target}`,
    }));
    return {points, ranges: [[x.from, x.to], [y.from, y.to]], names: [x.column, y.column], under: (paper, scale) => shades(paper, scale, view.map), lines: view.line ? [[view.line, "ink", []]] : []};
  },
  scatter(canvas, drawn, view) {
    const {x, y, group} = canvas.dataset;
    const rows = rowsOf(drawn, x, y, group);
    if (!rows.length) return null;
    const points = rows.map(([key, left, up, yes]) => ({
      at: [left, up], yes, text: `row ${key}: ${x} ${number(left)}, ${y} ${number(up)}, ${yes ? "" : "not "}${group}`,
    }));
    const lines = (view.lines ?? []).filter((line) => line.slope !== null)
      .map((line) => [line, line.group === null ? "third" : line.group ? "other" : "one", line.group === null ? [7, 5] : []]);
    return {points, ranges: [extent(rows.map((row) => row[1])), extent(rows.map((row) => row[2]))], names: [x, y], lines};
  },
  prices(canvas, drawn, view) {
    if (!view.prices?.length) return null;
    const ticks = (value) => Math.log10(Math.max(value, 0.01));
    const points = view.prices.map(([price, computed]) => ({
      at: [ticks(price), ticks(computed)], yes: false, tone: "fourth", text: `a stone of ${number(price)} $, computed ${number(computed)} $`,
    }));
    const range = extent(points.flatMap((each) => each.at));
    return {points, ranges: [range, range], names: ["true price, $", "computed price, $"], ticks: dollarTicks, lines: [[{intercept: 0, slope: 1}, "third", [7, 5]]]};
  },
};

export function draw(canvas, drawn) {
  const paper = drawn.rows ? prepare(canvas) : null;
  const view = drawn.learners[canvas.dataset.learner]?.view ?? {};
  const what = paper && KINDS[canvas.dataset.draw](canvas, drawn, view);
  if (!what) return;
  const scale = scales(paper, ...what.ranges);
  const pointed = shown.get(canvas)?.pointed ?? null;
  const placed = what.points.map((each) => ({...each, x: scale.x(each.at[0]), y: scale.y(each.at[1])}));
  clipped(paper, () => {
    what.under?.(paper, scale);
    for (const each of placed) point(paper.pen, each.x, each.y, each.tone ?? (each.yes ? "other" : "one"), each.yes, each.text === pointed);
    for (const [line, tone, dash] of what.lines) segment(paper, scale, line, tone, dash);
  });
  axes(paper, scale, ...what.names, what.ticks);
  shown.set(canvas, {placed, pointed});
}

function pointAt(canvas, found, drawn) {
  const known = shown.get(canvas);
  if (!known || !drawn) return;
  known.pointed = found?.text ?? null;
  const tip = document.querySelector(`[data-tip="${canvas.dataset.learner}-${canvas.dataset.draw}"]`);
  if (tip) tip.textContent = (found?.text ?? "").replaceAll("_", " ");
  draw(canvas, drawn);
}

function nearest(canvas, x, y) {
  const near = (shown.get(canvas)?.placed ?? []).map((each) => ({each, far: Math.hypot(each.x - x, each.y - y)}));
  const best = near.reduce((one, other) => (other.far < one.far ? other : one), {far: 12});
  return best.each ?? null;
}

export function watchPointers(newest) {
  for (const canvas of document.querySelectorAll("canvas[data-draw]")) {
    canvas.addEventListener("pointermove", (event) => {
      pointAt(canvas, nearest(canvas, event.offsetX, event.offsetY), newest());
    });
    canvas.addEventListener("pointerleave", () => pointAt(canvas, null, newest()));
    canvas.addEventListener("keydown", (event) => {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
      const known = shown.get(canvas);
      if (!step || !known?.placed.length) return;
      event.preventDefault();
      const order = [...known.placed].sort((one, other) => one.x - other.x);
      const here = order.findIndex((each) => each.text === known.pointed);
      pointAt(canvas, order[here < 0 ? 0 : (here + step + order.length) % order.length], newest());
    });
    canvas.addEventListener("blur", () => pointAt(canvas, null, newest()));
  }
}
