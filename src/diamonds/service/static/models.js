// Each metric of each model, run by run: a line a model, broken where other stones judged.
import {color, draw, layout} from "./figures.js";
import {money} from "./numbers.js";

const course = JSON.parse(document.getElementById("course-data").textContent);
const form = document.getElementById("choice");
const chart = document.getElementById("course");
const table = document.getElementById("course-table");
const DOLLARS = ["mae", "rmse", "bias"], LEVEL = ["r2", "coverage", "bias"];
const DASHES = ["solid", "dash", "dot", "dashdot"];

function shown(metric, value) {
  if (value === null) return "—";
  if (metric === "r2") return value.toFixed(3);
  return DOLLARS.includes(metric) ? money(value, Math.abs(value) < 10) : `${(value * 100).toFixed(1)} %`;
}

function moment(at) {
  const text = new Date(at).toLocaleString("en-GB", {timeZone: "UTC", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit"});
  return `${text} UTC`;
}

const alike = (model, a, b) => model.holdouts[a] !== null && model.holdouts[a] === model.holdouts[b];
const chosen = () => new FormData(form).get("metric");
const names = () => Object.keys(course.models).filter((name) => name !== course.floor || document.getElementById("floor")?.checked || Object.keys(course.models).length === 1);

// What stands between two points that are not known to be judged by the same stones.
function broken(model, point) {
  const line = [];
  model.at.forEach((_, i) => {
    if (i && !alike(model, i - 1, i)) line.push(null);
    line.push(point(i));
  });
  return line;
}

// Moments halfway between runs at which other stones judge.
function changes() {
  const judged = course.runs.map(() => null);
  for (const model of Object.values(course.models)) model.at.forEach((place, i) => { judged[place] = model.holdouts[i]; });
  return course.runs.flatMap(([, at], i) => (i && (judged[i] === null || judged[i] !== judged[i - 1]) ? [(at + course.runs[i - 1][1]) / 2] : []));
}

function traces(metric) {
  const narrow = course.runs.length > 40;
  return names().flatMap((name) => {
    const model = course.models[name], place = Object.keys(course.models).indexOf(name);
    const paint = color(["one", "other", "good", "third"][place % 4]), dash = DASHES[Math.floor(place / 4) % 4];
    const at = (i) => course.runs[model.at[i]][1], value = (i) => model[metric][i];
    const told = (i) => `<b>${name}</b> ${shown(metric, value(i))}<br>${moment(at(i))}${model.promoted[i] ? "<br>became champion" : ""}`;
    const stars = model.at.map((_, i) => i).filter((i) => model.promoted[i]);
    const run = (i) => course.runs[model.at[i]][0];
    return [
      {
        type: "scatter", mode: "lines+markers", name, x: broken(model, at), y: broken(model, value), text: broken(model, told), customdata: broken(model, run),
        hoverinfo: "text", line: {color: paint, width: 2, dash}, marker: {size: narrow ? 6 : 9, color: paint}, connectgaps: false,
      },
      {
        type: "scatter", mode: "markers", name, showlegend: false, x: stars.map(at), y: stars.map(value), text: stars.map(told), customdata: stars.map(run),
        hoverinfo: "text", marker: {size: narrow ? 13 : 17, symbol: "star", color: paint, line: {color: color("card"), width: 1.5}},
      },
    ];
  });
}

function figure() {
  const metric = chosen(), log = !LEVEL.includes(metric);
  const all = names().flatMap((name) => course.models[name][metric]).filter((value) => value > 0);
  const wide = all.length && Math.max(...all) >= 4 * Math.min(...all);
  const format = DOLLARS.includes(metric) ? "$,.0f" : metric === "r2" ? ".3f" : ".1%";
  const times = course.runs.map(([, at]) => at), day = 86400000;
  const range = times.length === 1 ? {range: [times[0] - day, times[0] + day], tickvals: times, tickformat: "%-d %b %Y"} : {};
  const ticks = log && wide ? {tickvals: [-3, -2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power))} : {};
  return {
    data: traces(metric),
    layout: layout({
      height: 400, hovermode: "closest", showlegend: true, legend: {orientation: "h", y: 1.02, yanchor: "bottom", x: 0},
      shapes: changes().map((at) => ({type: "line", x0: at, x1: at, y0: 0, y1: 1, yref: "paper", line: {color: color("third"), width: 1, dash: "dot"}})),
      xaxis: {type: "date", nticks: chart.clientWidth < 500 ? 4 : 8, tickangle: 0, ...range},
      yaxis: {type: log && wide ? "log" : "linear", tickformat: format, nticks: 7, ...ticks},
    }),
  };
}

function words() {
  const said = ["A star marks where a model became champion; a point leads to its run."];
  if (changes().length) said.push("At a dotted line other stones judge from then on: errors on its two sides do not compare, so the lines end there.");
  document.getElementById("course-words").textContent = said.join(" ");
}

function cell(text, kind = "td", scope = null) {
  const made = document.createElement(kind);
  made.append(text);
  if (scope) made.scope = scope;
  return made;
}

function row(...cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function fill() {
  if (!table.open) return;
  const metric = chosen(), models = Object.entries(course.models);
  table.querySelector("caption").textContent = `${form.querySelector(":checked + span").textContent}, the newest run first`;
  table.querySelector("thead").replaceChildren(row(cell("run", "th", "col"), ...models.map(([name]) => cell(name, "th", "col"))));
  const rows = course.runs.map(([id, at], place) => {
    const link = Object.assign(document.createElement("a"), {href: `models/${encodeURIComponent(id)}`, textContent: moment(at)});
    const values = models.map(([, model]) => {
      const i = model.at.indexOf(place);
      return cell(i < 0 ? "—" : `${model.promoted[i] ? "★ " : ""}${shown(metric, model[metric][i])}`);
    });
    return row(cell(link, "th", "row"), ...values);
  });
  table.querySelector("tbody").replaceChildren(...rows.reverse());
}

async function show() {
  words();
  fill();
  await draw(chart, figure);
  chart.removeAllListeners?.("plotly_click");
  chart.on?.("plotly_click", ({points: [point]}) => { location.href = `models/${encodeURIComponent(point.customdata)}`; });
}

form.addEventListener("change", show);
table.addEventListener("toggle", fill);
show();
