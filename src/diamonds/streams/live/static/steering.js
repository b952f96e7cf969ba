// What a person asks of the stream: each a POST, and each answer in words.
const said = document.getElementById("said");

function say(words, isWrong = false) {
  said.textContent = words;
  said.classList.toggle("wrong", isWrong);
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
  } catch (error) {
    say(error.message, true);
  }
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
  for (const button of document.querySelectorAll("[data-control]")) {
    button.addEventListener("click", () => steer(button.dataset.control, {}, refresh));
  }
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  const pages = document.getElementById("pages");
  pages.addEventListener("change", () => steer("pages", {pages: pages.valueAsNumber}, refresh));
  const speed = document.getElementById("speed");
  speed.addEventListener("change", () => steer("speed", {batches_a_second: speed.value ? Number(speed.value) : null}, refresh));
  document.getElementById("rejects").addEventListener("click", ({target}) => {
    const {again, page} = target.dataset;
    if (again === undefined) return;
    target.blur();
    steer("again", {page: Number(page), key: again}, (told) => {
      say(`Row ${again} ${told.learned ? "was learned" : told.reason ?? "is gone from its page"}.`);
      refresh();
    });
  });
  document.getElementById("audit").addEventListener("click", () => steer("audit", {}, ({html}) => {
    document.getElementById("gaps").innerHTML = html;
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
  ask.addEventListener("submit", async (event) => {
    event.preventDefault();
    const here = document.getElementById("answer");
    try {
      paragraphs(here, (await post("answer", rowOf(ask))).words, "");
    } catch (error) {
      paragraphs(here, [error.message], "wrong");
    }
  });
}
