// Watches the traffic while the page is seen, and opens exchanges where they are listed.
import {clear, color, draw, layout} from "./figures.js";

const EVERY = 5000; // milliseconds
const PATIENCE = 15000;
const KINDS = ["answered", "refused", "failed"];

const live = document.getElementById("live");
const watching = document.getElementById("watching");
const pause = document.getElementById("pause");

function number(cell) {
  return cell.textContent === "–" ? null : Number(cell.textContent.replaceAll(",", ""));
}

// What the table of minutes or hours says, column by column.
function columns() {
  const rows = [...live.querySelectorAll("#buckets tbody tr")];
  const column = (place) => rows.map((row) => number(row.cells[place]));
  const moments = rows.map((row) => row.querySelector("time").dateTime.slice(0, 16));
  return {moments, answered: column(1), refused: column(2), failed: column(3), mean: column(4), slowest: column(5)};
}

// The axis of time, which both figures share.
function across(moments) {
  const [first, second, last] = [moments[0], moments[1], moments.at(-1)].map((moment) => Date.parse(`${moment}Z`));
  const half = (second - first) / 2;
  return {type: "date", range: [first - half, last + half], tickformat: "%H:%M", nticks: 6, fixedrange: true, showgrid: false};
}

const AROUND = {height: 240, margin: {l: 44, r: 8, t: 8, b: 28}, showlegend: true, legend: {orientation: "h", y: 1.02, yanchor: "bottom", x: 0}, hovermode: "x unified"};

function requests() {
  const {moments, ...counts} = columns();
  const marker = {
    answered: {color: color("one")}, failed: {color: color("other")},
    refused: {color: color("other"), pattern: {shape: "/", bgcolor: color("card"), fgcolor: color("other"), size: 5}, line: {color: color("other"), width: 1}},
  };
  return {
    data: KINDS.map((kind) => ({type: "bar", name: kind, x: moments, y: counts[kind], marker: marker[kind]})),
    layout: layout({...AROUND, barmode: "stack", bargap: 0.15, xaxis: across(moments), yaxis: {rangemode: "tozero", nticks: 5, fixedrange: true, tickformat: ",~r"}}),
  };
}

// Ends and ticks of an axis of powers of ten: 1, 2, 5, 10, 20, … around all of these; only 1, 10, 100, … where they are many.
function powers(values) {
  const steps = [];
  for (let power = -3; power < 7; power += 1) steps.push(...[1, 2, 5].map((step) => step * 10 ** power));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const low = steps.findLast((step) => step <= least) ?? steps[0];
  const high = steps.find((step) => step >= most) ?? steps.at(-1);
  const between = steps.filter((step) => step >= low && step <= high);
  const tickvals = between.length > 7 ? between.filter((step) => Number.isInteger(Math.round(Math.log10(step) * 1e6) / 1e6)) : between;
  return {type: "log", range: [Math.log10(low) - 0.05, Math.log10(high) + 0.05], tickmode: "array", tickvals};
}

function latency() {
  const {moments, mean, slowest} = columns();
  const known = [...mean, ...slowest].filter((each) => each > 0);
  const line = (name, y, its, dash) => ({
    type: "scatter", mode: "lines+markers", name, x: moments, y, line: {color: color(its), width: 2, dash}, marker: {size: 5}, hovertemplate: "%{y:,.3~r} ms",
  });
  return {
    data: [line("slowest", slowest, "third", "dot"), line("on average", mean, "one", "solid")],
    layout: layout({...AROUND, xaxis: across(moments), yaxis: {...powers(known), fixedrange: true, tickformat: ",~r"}}),
  };
}

function figures() {
  for (const [name, make] of [["requests", requests], ["latency", latency]]) {
    const chart = document.getElementById(name);
    if (chart) draw(chart, make);
  }
}

// Puts what was told in the place of what is shown; what stays keeps its place, and the focus.
function take(told) {
  const names = (of) => [...of.querySelectorAll("[data-piece]")].map((piece) => piece.dataset.piece);
  if (names(told).join() === names(live).join()) {
    for (const name of names(told)) {
      const [was, is] = [live, told].map((of) => of.querySelector(`[data-piece=${name}]`));
      if (!was.contains(document.activeElement) || was === document.activeElement) was.replaceChildren(...is.childNodes);
    }
  } else {
    for (const chart of live.querySelectorAll(".chart")) clear(chart);
    live.replaceChildren(...told.childNodes);
  }
  figures();
  const listed = document.querySelector(".opens")?.getAttribute("href").split("/").at(-1) ?? "";
  const isNewest = !new URLSearchParams(location.search).has("before") && !document.querySelector(".filters input:not([type=hidden], [value=''])");
  document.getElementById("newer").hidden = !isNewest || told.dataset.newest <= listed;
}

function partial(address) {
  return fetch(address, {headers: {Accept: "text/html"}, signal: AbortSignal.timeout(PATIENCE)}).then(async (answer) => {
    if (answer.redirected) throw new Error("You are signed out: load the page anew.");
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  });
}

let next = null;
let isPaused = false;

function say(words) {
  if (watching.textContent !== words) watching.textContent = words;
}

async function look() {
  const span = new URLSearchParams(location.search).get("span") === "day" ? "&span=day" : "";
  try {
    const told = (await partial(`traffic?part=live${span}`)).getElementById("live");
    if (!told) throw new Error("The service answers otherwise than expected.");
    if (isPaused) return;
    take(told);
    say("Refreshed every 5 seconds.");
  } catch (error) {
    say(error instanceof TypeError || error.name === "TimeoutError" ? "The service does not answer; trying again." : error.message);
  } finally {
    plan();
  }
}

function plan(wait = EVERY) {
  clearTimeout(next);
  next = isPaused || document.hidden ? null : setTimeout(look, wait);
}

async function toggle(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const opener = event.currentTarget;
  const row = opener.closest("tr");
  if (opener.getAttribute("aria-expanded") === "true") {
    row.nextElementSibling.remove();
    opener.setAttribute("aria-expanded", "false");
    return;
  }
  opener.setAttribute("aria-expanded", "true");
  const shown = document.createElement("tr");
  shown.className = "opened";
  const cell = shown.insertCell();
  cell.colSpan = [...row.cells].filter((each) => each.offsetParent).length;
  cell.textContent = "…";
  row.after(shown);
  try {
    const told = await partial(`${opener.href}?part=exchange`);
    const found = told.querySelector(".exchange") ?? told.querySelector("h1");
    if (found.querySelector(".own")) found.querySelector(".own").href = opener.href;
    cell.replaceChildren(found);
    offerCopy(cell, opener.href);
  } catch {
    cell.textContent = "The service does not answer; try again.";
  }
}

function offerCopy(where, link) {
  const button = where.querySelector(".copy");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await navigator.clipboard?.writeText(link).then(() => true, () => false);
    where.querySelector(".copied").textContent = done ? "Copied." : `Copy it from here: ${link}`;
  });
}

function begin() {
  if (document.readyState === "complete") figures();
  else addEventListener("load", figures); // Plotly is large: all that can be read is there first
  for (const opener of document.querySelectorAll(".opens")) {
    opener.setAttribute("aria-expanded", "false");
    opener.addEventListener("click", toggle);
  }
  document.querySelector(".filters").addEventListener("formdata", ({formData}) => {
    for (const [name, value] of [...formData]) if (!value) formData.delete(name); // so that addresses stay short
  });
  pause.hidden = false;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Go on" : "Pause";
    say(isPaused ? "Paused." : "");
    plan(0);
  });
  document.addEventListener("visibilitychange", () => plan(0));
  say("Refreshed every 5 seconds.");
  plan();
}

if (live) begin();
else offerCopy(document, location.href);
