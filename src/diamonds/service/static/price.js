// The form of one stone: asks the API as it is filled in, and shows problems beside their fields.
import {feature, NAMES} from "./numbers.js";
import {show} from "./answer.js";
import {listen} from "./batch.js";
import {GRADES, NEEDED, NUMBERS, problems} from "./checks.js";

const form = document.getElementById("stone");
const answer = document.getElementById("answer");
const said = document.getElementById("said");
const SAMPLES = 30;
let asked = 0; // so that of two answers the one asked for last is shown

class Refused extends Error {
  constructor(title, errors) {
    super(title);
    this.errors = errors;
  }
}

export async function post(path, body) {
  let answered;
  try {
    answered = await fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  const told = await answered.json().catch(() => ({}));
  if (!answered.ok) throw new Refused(told.title ?? `That failed (${answered.status}).`, told.errors ?? []);
  return told;
}

function stone() {
  const given = {};
  for (const name of NUMBERS) {
    const field = form.elements[name];
    if (field.value !== "" || field.validity.badInput) given[name] = field.valueAsNumber; // NaN where it is no number
  }
  for (const name of GRADES) given[name] = form.elements[name].value || undefined;
  const wrong = problems(given);
  if (wrong.length) throw new Refused("This diamond cannot be priced", wrong);
  return given;
}

function mark(errors) {
  for (const problem of form.querySelectorAll(".problem")) problem.textContent = "";
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  const placed = errors.filter((error) => document.getElementById(`${error.field}-problem`));
  for (const {field, problem} of placed) {
    document.getElementById(`${field}-problem`).textContent = `${NAMES[field]} ${problem}.`;
    document.getElementById(field)?.setAttribute("aria-invalid", "true");
    if (!NEEDED.includes(field)) document.getElementById("measurements").open = true;
  }
  return placed;
}

function address(given) {
  return `./?${new URLSearchParams(Object.entries(given).map(([name, value]) => [name, String(value)]))}`;
}

async function ask({from = null, focus = false} = {}) {
  const turn = ++asked;
  try {
    const given = stone();
    mark([]);
    answer.setAttribute("aria-busy", "true");
    const four = {carat: given.carat, cut: given.cut, color: given.color, clarity: given.clarity};
    const [reasons, similar] = await Promise.all([post("explain", given), post("similar", {...four, n: SAMPLES})]);
    if (turn !== asked) return;
    said.replaceChildren();
    document.getElementById("empty").hidden = true;
    const link = address(given);
    history.replaceState(null, "", link);
    document.getElementById("link").href = link;
    document.getElementById("copied").textContent = "";
    await show(given, reasons, similar.samples, from, open);
  } catch (error) {
    if (turn === asked) refuse(error, focus);
  } finally {
    if (turn === asked) answer.setAttribute("aria-busy", "false");
  }
}

function refuse(error, focus) {
  const placed = mark(error.errors ?? []);
  const rest = (error.errors ?? []).filter((each) => !placed.includes(each)).map((each) => `${each.field} ${each.problem}`);
  const words = [error.message, ...rest].join(": ");
  const where = placed.length ? ` See ${placed.map((each) => NAMES[each.field].toLowerCase()).join(", ")}.` : "";
  const notice = Object.assign(document.createElement("p"), {className: "notice wrong", textContent: `${words}.${where}`.replace("..", ".")});
  said.replaceChildren(notice);
  document.getElementById("empty").hidden = true;
  document.getElementById("found").hidden = document.getElementById("like").hidden = true;
  if (focus && placed.length) document.getElementById(placed[0].field)?.focus();
}

// Weights are written with two decimals, where they have no more.
function fill(other) {
  for (const name of NUMBERS) form.elements[name].value = other[name] ?? "";
  const carat = Number(other.carat);
  if (carat === Number(carat.toFixed(2))) form.elements.carat.value = carat.toFixed(2);
  for (const name of GRADES) if (other[name] !== undefined) form.elements[name].value = other[name];
  document.getElementById("measurements").open = NUMBERS.slice(1).some((name) => other[name] !== undefined);
  follow();
}

// Fills the form in with another stone, and prices it.
function open(sample) {
  fill(sample);
  ask({from: sample});
  document.getElementById("answer-title").scrollIntoView({block: "nearest"});
}

const slider = document.getElementById("carat-slider");

// The slider and the hints follow the weight: sizes grow with its cube root.
function follow() {
  const carat = form.elements.carat.valueAsNumber;
  if (!(carat > 0)) return;
  slider.value = Math.log10(carat);
  slider.setAttribute("aria-valuetext", feature("carat", carat));
  for (const field of form.querySelectorAll("[data-usual]")) {
    const usual = Number(field.dataset.usual) * (field.dataset.grows ? Math.cbrt(carat) : 1);
    field.placeholder = usual.toFixed(field.dataset.grows ? 2 : 1);
  }
}

let waiting = null;

// Once there is a price, it follows whatever is changed.
function changed() {
  follow();
  clearTimeout(waiting);
  if (asked) waiting = setTimeout(ask, 350);
}

slider.addEventListener("input", () => {
  form.elements.carat.value = (10 ** slider.valueAsNumber).toFixed(2);
  changed();
});
form.addEventListener("input", (event) => { if (event.target !== slider) changed(); });
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(waiting);
  ask({focus: true});
});
document.getElementById("copy").addEventListener("click", async () => {
  const link = document.getElementById("link").href;
  const done = await navigator.clipboard?.writeText(link).then(() => true, () => false);
  document.getElementById("copied").textContent = done ? "Copied." : `Copy it from the address: ${link}`;
});

// What the address says of a stone is priced at once; so a link to it can be shared.
function begin() {
  const given = Object.fromEntries(new URLSearchParams(location.search));
  if (given.carat === undefined) return follow();
  fill(given);
  ask();
}

listen(post);
begin();
