// Keeps the page as the stream is: takes what the server tells, draws it, and sends what a person asks for.
import {Charts} from "./charts.js";
import {draw, watchPointers} from "./drawings.js";
import {follow, listen} from "./steering.js";

const charts = new Charts();
let newest = null;
let newestHtml = "";
let counting = null;

function apply(event) {
  const {html, drawn} = JSON.parse(event.data);
  const before = newest;
  newest = drawn;
  newestHtml = html;
  replaceParts(html);
  follow(drawn);
  document.getElementById("panels").hidden = !drawn.rows;
  show(drawn);
  countDown();
  const restarted = before && (drawn.rows < before.rows || drawn.version < before.version);
  if (restarted) charts.load();
  const changed = !before || ["status", "rejected", "revised"].some((name) => before[name] !== drawn[name]);
  if (changed || restarted) refresh();
}

function show(drawn) {
  for (const canvas of document.querySelectorAll("canvas[data-draw]")) draw(canvas, drawn);
  charts.add(drawn);
}

const FOCUSABLE = "a, button, input, select, summary, [tabindex]";
const shownAs = new WeakMap(); // a live part → the text that it shows
let isHeld = false; // something is not replaced, for a person has marked text in it

// What is marked as live is replaced where it differs; what else there is (forms, drawings) stays as it is.
function replaceParts(html) {
  const told = new DOMParser().parseFromString(html, "text/html");
  for (const part of told.querySelectorAll("[data-live]")) {
    const here = document.querySelector(`[data-live="${part.dataset.live}"]`);
    const text = part.innerHTML;
    if (!here || shownAs.get(here) === text || hasSelection(here)) continue;
    for (const kept of part.querySelectorAll("details[data-keep]")) {
      kept.open = here.querySelector(`details[data-keep="${kept.dataset.keep}"]`)?.open ?? false;
    }
    shownAs.set(here, text);
    replace(here, part.childNodes);
  }
}

// The focus, and how far a table was scrolled, go over to what takes the place.
function replace(here, nodes) {
  const place = [...here.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  const scrolled = [...here.querySelectorAll(".scrolls")].map((each) => each.scrollLeft);
  here.replaceChildren(...nodes);
  [...here.querySelectorAll(".scrolls")].forEach((each, number) => { each.scrollLeft = scrolled[number] ?? 0; });
  if (place >= 0) here.querySelectorAll(FOCUSABLE)[place]?.focus({preventScroll: true});
}

function hasSelection(part) {
  const selection = getSelection();
  const isIn = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  isHeld ||= isIn;
  return isIn;
}

function countDown() {
  clearInterval(counting);
  const shown = document.querySelector("[data-countdown]");
  if (!shown) return;
  const until = performance.now() + 1000 * Number(shown.dataset.countdown);
  counting = setInterval(() => {
    shown.textContent = Math.max(0, Math.round((until - performance.now()) / 1000));
  }, 500);
}

let refreshing = null;
function refresh() {
  refreshing ??= setTimeout(async () => {
    refreshing = null;
    for (const name of ["rejects", "events"]) {
      const answer = await fetch(`${name}.html`).catch(() => null);
      const here = document.getElementById(name);
      if (!answer?.ok || hasSelection(here)) continue;
      replace(here, new DOMParser().parseFromString(await answer.text(), "text/html").body.childNodes);
    }
  }, 300);
}

const AWAY_MILLISECONDS = 3000;
let source = null;
let missing = null;

// A response ends after a while and the browser asks anew; only where none comes for longer is the server away.
function connect() {
  source = new EventSource("events");
  source.onmessage = apply;
  source.onopen = () => {
    clearTimeout(missing);
    missing = null;
    sayWhetherAway(false);
  };
  source.onerror = () => {
    missing ??= setTimeout(() => sayWhetherAway(true), AWAY_MILLISECONDS);
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, AWAY_MILLISECONDS);
  };
}

function sayWhetherAway(isAway) {
  document.documentElement.classList.toggle("away", isAway);
  document.getElementById("away").textContent = isAway
    ? "The process that learns does not answer; what is below is from before." : "";
}

for (const each of document.querySelectorAll("[data-scripted]")) each.hidden = false;
listen(refresh);
watchPointers(() => newest);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (newest) { charts.restyle(); show(newest); } });
addEventListener("resize", () => { if (newest) show(newest); });
document.addEventListener("selectionchange", () => {
  if (!isHeld || !getSelection().isCollapsed) return;
  isHeld = false;
  replaceParts(newestHtml);
  refresh();
});
charts.load();
refresh();
connect();
addEventListener("pagehide", () => source.close());
