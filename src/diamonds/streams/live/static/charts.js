// The line charts, by Plotly: rows on a logarithmic axis, estimates with their 95 % bands.
import {color, plotly} from "./figures.js";

const MOST_POINTS = 400;
const LEAST_MILLISECONDS = 1000;
const SCORES = [
  ["accuracy", "predicted rightly", "good", "solid"], ["always_no_accuracy", "by always saying no", "third", "dot"],
  ["log_loss", "log loss", "fourth", "solid"], ["log_loss_linear", "log loss, straight line", "fourth", "dot"],
];

// Powers of ten, and where these are few, what lies between; thousands apart.
function ticks(from, to) {
  const steps = Math.log10(to / from) < 1.5 ? [1, 2, 5] : [1];
  const values = [];
  for (let power = 10 ** Math.floor(Math.log10(from)); power <= to; power *= 10) {
    values.push(...steps.map((step) => step * power).filter((value) => value >= from && value <= to));
  }
  return {tickvals: values, ticktext: values.map((value) => value.toLocaleString("en"))};
}

function layout(chart, points) {
  const axis = {gridcolor: color("line"), linecolor: color("third"), zerolinecolor: color("third"), automargin: true};
  const percent = chart.dataset.percent ? {tickformat: ".0%"} : {};
  const [from, to] = [points[0].rows * 0.95, Math.max(points.at(-1).rows, points[0].rows * 2) * 1.05];
  return {
    margin: {l: 44, r: 12, t: 8, b: 36}, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "x",
    font: {family: "system-ui, sans-serif", size: 12, color: color("ink")}, showlegend: true,
    legend: {orientation: "h", y: -0.22, x: 0, font: {size: 11}}, height: 240,
    xaxis: {...axis, type: "log", title: {text: "rows", standoff: 2}, range: [Math.log10(from), Math.log10(to)], ...ticks(from, to)},
    yaxis: {...axis, ...percent, separatethousands: true},
  };
}

function band(x, ranges, name, tone, dash = "solid") {
  const shade = color(`${tone}-tint`) || "rgba(128,128,128,.15)";
  const plain = {x, mode: "lines", showlegend: false, hoverinfo: "skip", line: {width: 0}};
  return [
    {...plain, y: ranges.map((each) => each?.[1] ?? null)},
    {...plain, y: ranges.map((each) => each?.[2] ?? null), fill: "tonexty", fillcolor: shade},
    line(x, ranges.map((each) => each?.[0] ?? null), name, tone, dash),
  ];
}

function line(x, y, name, tone, dash = "solid") {
  return {x, y, name, mode: y.length > 1 ? "lines" : "markers", line: {color: color(tone), width: 2, dash}, marker: {color: color(tone)}};
}

const TONES = [["third", "dash"], ["fourth", "solid"], ["good", "solid"], ["fourth", "dot"], ["good", "dot"], ["fourth", "dashdot"], ["good", "dashdot"]];

function traces(chart, points) {
  const {chart: kind, learner} = chart.dataset;
  const x = points.map((point) => point.rows);
  const known = points.map((point) => point.learners[learner] ?? {coefficients: {}, scores: {}});
  const terms = chart.dataset.terms?.split("|");
  const names = chart.dataset.names?.split("|");
  if (kind === "scores") {
    return SCORES.map(([score, name, tone, dash]) => line(x, known.map((each) => each.scores[score] ?? null), name, tone, dash));
  }
  if (kind === "lines") {
    return terms.map((term, place) => line(x, known.map((each) => each.scores[term] ?? null), names[place], ...[["third", "dash"], ["fourth", "solid"]][place]));
  }
  const shown = terms ?? Object.keys(known.at(-1)?.coefficients ?? {});
  return shown.slice(0, TONES.length).flatMap((term, place) => {
    const [tone, dash] = shown.length > 1 ? TONES[place] : ["fourth", "solid"];
    return band(x, known.map((each) => each.coefficients[term]), names?.[place] ?? term.replaceAll("_", " "), tone, dash);
  });
}

export class Charts {
  constructor() {
    this.points = [];
    this.drawnAt = 0;
    this.drawnRows = 0;
    this.timer = null;
    this.library = null;
    plotly().then((library) => { this.library = library; this.restyle(); }, (error) => this.say(error.message));
  }

  async load() {
    const answer = await fetch("charts.json").catch(() => null);
    if (!answer?.ok) return;
    this.points = (await answer.json()).points;
    this.drawnRows = 0;
    this.later();
  }

  add(drawn) {
    const last = this.points.at(-1)?.rows ?? 0;
    if (drawn.rows <= last) return;
    const learners = Object.fromEntries(Object.entries(drawn.learners).map(([name, each]) => [name, {
      coefficients: Object.fromEntries(each.coefficients.map((one) => [one.term, [one.estimate, one.low, one.high]])),
      scores: each.scores,
    }]));
    const before = this.points.at(-2)?.rows ?? 0;
    if (before && last < before * 1.01) this.points.pop(); // the newest stands for those within one percent
    this.points.push({rows: drawn.rows, learners});
    if (this.points.length > MOST_POINTS) this.points = this.points.filter((_, place) => place % 2 === 0 || place > MOST_POINTS - 40);
    this.later();
  }

  restyle() {
    this.drawnRows = 0;
    this.later();
  }

  // A chart takes longer to draw than a number: once a second is enough.
  later() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.drawnAt = performance.now();
      this.draw();
    }, Math.max(0, this.drawnAt + LEAST_MILLISECONDS - performance.now()));
  }

  say(message) {
    for (const chart of document.querySelectorAll("[data-chart]")) chart.textContent = message;
  }

  draw() {
    const rows = this.points.at(-1)?.rows ?? 0;
    if (!this.library || !rows || rows === this.drawnRows) return;
    this.drawnRows = rows;
    for (const chart of document.querySelectorAll("[data-chart]")) {
      const drawn = traces(chart, this.points);
      const isEmpty = !drawn.some((trace) => trace.y.some((value) => value !== null && value !== undefined));
      chart.classList.toggle("none", isEmpty);
      if (!isEmpty) this.library.react(chart, drawn, layout(chart, this.points), {displayModeBar: false, responsive: true});
    }
  }
}
