// What a person asks of the stream: each a POST, and each answer in words.
const said = document.getElementById("said");
const READ_MILLISECONDS = 8000;
let saying = null;

// What went wrong stays until something else is asked; what went well is read in a moment.
function say(words, isWrong = false) {
  clearTimeout(saying);
  said.textContent = words;
  said.classList.toggle("wrong", isWrong);
  if (words && !isWrong) saying = setTimeout(() => say(""), READ_MILLISECONDS);
}

async function post(path, given = {}) {
  const answer = await fetch(path, {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(given),
  }).catch(() => null);
  if (!answer) throw new Error("The process that learns does not answer.");
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.title ?? `That failed (${answer.status}).`);
  return told;
}

const BUSY = {start: "Starting.", pause: "Pausing.", batch: "Learning one batch.", audit: "Fitting all rows anew …"};

async function steer(way, given, after) {
  say(BUSY[way] ?? "");
  try {
    const told = await post(`control/${way}`, given);
    say("");
    after?.(told);
    return true;
  } catch (error) {
    say(error.message, true);
    return false;
  }
}

const LEARNING = ["running", "caught up", "stalled"];
const controls = Object.fromEntries(["start", "pause"].map((way) => [way, document.querySelector(`[data-control="${way}"]`)]));
const pages = document.getElementById("pages");
const speed = document.getElementById("speed");
let steered = null; // the box whose new value is on its way
let newest = null;

// Shows what the stream is set to, whoever set it; a box that a person is in stays as it is.
export function follow(drawn) {
  newest = drawn;
  const isLearning = LEARNING.includes(drawn.status);
  const [off, on] = isLearning ? [controls.start, controls.pause] : [controls.pause, controls.start];
  on.disabled = false;
  if (document.activeElement === off) on.focus({preventScroll: true});
  off.disabled = true;
  for (const box of [pages, speed]) if (box !== steered && box !== document.activeElement) setBack(box);
}

function setBack(box) {
  if (!newest) return;
  if (box === pages) {
    pages.value = newest.pages_a_batch;
    return;
  }
  const value = newest.speed === null ? "" : String(newest.speed);
  if (![...speed.options].some((option) => option.value === value)) speed.add(new Option(`${value} batches a second`, value), 0);
  speed.value = value;
}

async function change(box, way, given, refresh) {
  steered = box;
  const isDone = await steer(way, given, refresh);
  steered = null;
  if (!isDone) setBack(box);
}

function rowOf(form) {
  const row = {};
  for (const each of form.elements) {
    if (!each.name || each.value === "") continue;
    if (each.type === "number") row[each.name] = each.valueAsNumber;
    else row[each.name] = each.dataset.type === "boolean" ? each.value === "true" : each.value;
  }
  return row;
}

function paragraphs(here, lines, kind) {
  here.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), {textContent: line, className: kind})));
}

export function listen(refresh) {
  for (const box of [pages, speed]) box.addEventListener("blur", () => { if (box !== steered) setBack(box); });
  for (const button of document.querySelectorAll("[data-control]")) {
    button.addEventListener("click", () => steer(button.dataset.control, {}, refresh));
  }
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  pages.addEventListener("change", () => change(pages, "pages", {pages: pages.valueAsNumber}, refresh));
  speed.addEventListener("change", () => change(speed, "speed", {batches_a_second: speed.value ? Number(speed.value) : null}, refresh));
  document.getElementById("rejects").addEventListener("click", ({target}) => {
    const {again, page} = target.dataset;
    if (again === undefined) return;
    steer("again", {page: Number(page), key: again}, (told) => {
      say(`Row ${again} ${told.learned ? "was learned" : told.reason ?? "is gone from its page"}.`);
      refresh();
    });
  });
  document.getElementById("audit").addEventListener("click", () => steer("audit", {}, ({html}) => {
    document.getElementById("audited").hidden = false;
    document.getElementById("gaps").innerHTML = html;
    document.getElementById("audited").scrollIntoView({block: "nearest"});
  }));
  document.getElementById("reset").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = {feed: document.getElementById("confirmed").value.trim(), keep_rows: document.getElementById("keep").checked};
    steer("reset", given, () => {
      event.target.reset();
      say("Begun anew.");
      refresh();
    });
  });
  const ask = document.getElementById("ask");
  ask?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const here = document.getElementById("answer");
    try {
      paragraphs(here, (await post("answer", rowOf(ask))).words, "");
    } catch (error) {
      paragraphs(here, [error.message], "wrong");
    }
  });
}
