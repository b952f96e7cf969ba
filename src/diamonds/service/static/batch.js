// Several stones at once: reads CSV, asks the API piece by piece, gives the same rows back with prices.
import {GRADES, NEEDED, NUMBERS, problems} from "./checks.js";
import {count, money} from "./numbers.js";

const KNOWN = [...NUMBERS, ...GRADES];
const AT_ONCE = 500, SHOWN = 20, MOST_ROWS = 100_000;
const ANSWERED = ["price", "low", "high", "problem"];

// The cells of a text as RFC 4180 has it, with whichever of , ; and tab its first line uses.
export function parse(text) {
  const first = text.slice(0, (text + "\n").search(/\r?\n/));
  const mark = [",", ";", "\t"].reduce((best, each) => (first.split(each).length > first.split(best).length ? each : best));
  const rows = [[""]];
  let quoted = false;
  for (let place = 0; place < text.length; place++) {
    const letter = text[place], row = rows.at(-1);
    if (quoted && letter === '"' && text[place + 1] === '"') { row[row.length - 1] += '"'; place++; }
    else if (letter === '"' && (quoted || row.at(-1) === "")) quoted = !quoted;
    else if (quoted) row[row.length - 1] += letter;
    else if (letter === mark) row.push("");
    else if (letter === "\n") rows.push([""]);
    else if (letter !== "\r") row[row.length - 1] += letter;
  }
  return rows.filter((row) => row.some((each) => each.trim() !== ""));
}

function table(text) {
  const [names, ...rows] = parse(text.replace(/^\uFEFF/, ""));
  if (!names || !rows.length) throw new Error("There is nothing to price: the first row names the columns, each further one is a stone.");
  const columns = names.map((name) => name.trim().toLowerCase());
  const missing = NEEDED.filter((name) => !columns.includes(name));
  if (missing.length) throw new Error(`The first row has no column ${missing.join(", ")}. It names: ${names.join(", ")}.`);
  if (rows.length > MOST_ROWS) throw new Error(`That is ${count(rows.length)} stones; ${count(MOST_ROWS)} are priced at once.`);
  return {names, columns, rows};
}

function stone(columns, row) {
  const given = {};
  columns.forEach((name, place) => {
    const text = (row[place] ?? "").trim();
    if (!KNOWN.includes(name) || text === "") return;
    given[name] = GRADES.includes(name) || !Number.isFinite(Number(text)) ? text : Number(text);
  });
  return given;
}

// Prices of some stones, and what is wrong with those that have none: the good ones are asked for again by themselves.
async function priced(post, stones) {
  const found = stones.map((each) => {
    const words = problems(each).map(({field, problem}) => `${field} ${problem}`);
    return words.length ? {problem: words.join("; ")} : {};
  });
  let places = stones.map((_, place) => place).filter((place) => !found[place].problem);
  while (places.length) {
    try {
      const {quotes} = await post("predict/batch", places.map((place) => stones[place]));
      quotes.forEach(({price, low, high}, at) => { found[places[at]] = {price, low, high}; });
      break;
    } catch (error) {
      const wrong = new Map();
      for (const {field, problem} of error.errors ?? []) {
        const [, at, name] = field.match(/^\[?(\d+)\]?\.?(.*)$/) ?? [];
        if (at === undefined) continue;
        wrong.set(Number(at), [...(wrong.get(Number(at)) ?? []), `${name} ${problem}`.trim()]);
      }
      if (!wrong.size) throw error;
      for (const [at, words] of wrong) found[places[at]] = {problem: words.join("; ")};
      places = places.filter((_, at) => !wrong.has(at));
    }
  }
  return found;
}

function written(rows) {
  const cell = (value) => (/[",;\t\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return rows.map((row) => row.map((value) => cell(String(value ?? ""))).join(",")).join("\r\n") + "\r\n";
}

function filled(names, rows) {
  const line = (cells, kind) => {
    const made = document.createElement("tr");
    made.append(...cells.map((text, place) => Object.assign(document.createElement(kind), {
      textContent: text ?? "", className: ["price", "low", "high"].includes(names[place]) ? "" : "text",
    })));
    return made;
  };
  document.querySelector("#priced thead").replaceChildren(line(names, "th"));
  document.querySelector("#priced tbody").replaceChildren(...rows.map((row) => line(row, "td")));
  for (const head of document.querySelectorAll("#priced thead th")) head.scope = "col";
}

function offer(names, rows) {
  const link = document.getElementById("download");
  if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([written([names, ...rows])], {type: "text/csv"}));
  const shown = rows.slice(0, SHOWN).map((row) => row.map((value) => (typeof value === "number" ? money(value) : value)));
  filled(names, shown);
  document.getElementById("priced-caption").textContent = rows.length > SHOWN ? `The first ${SHOWN} of ${count(rows.length)}` : "";
  document.getElementById("priced").hidden = false;
}

async function price(post, text) {
  const {names, columns, rows} = table(text);
  const stones = rows.map((row) => stone(columns, row));
  const done = document.getElementById("done");
  document.getElementById("progress").hidden = false;
  const found = [];
  for (let from = 0; from < stones.length; from += AT_ONCE) {
    done.value = from / stones.length;
    found.push(...(await priced(post, stones.slice(from, from + AT_ONCE))));
  }
  done.value = 1;
  const kept = names.map((name, place) => [name, place]).filter(([, place]) => !ANSWERED.slice(0, 3).includes(columns[place]) && columns[place] !== "problem");
  const all = rows.map((row, at) => [...kept.map(([, place]) => row[place] ?? ""), ...ANSWERED.map((name) => found[at][name] ?? "")]);
  offer([...kept.map(([name]) => name), ...ANSWERED], all);
  return {all: rows.length, wrong: found.filter((each) => each.problem).length};
}

export function listen(post) {
  const form = document.getElementById("batch"), said = document.getElementById("batch-said"), rows = document.getElementById("rows");
  const many = document.getElementById("many"), problem = document.getElementById("rows-problem");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    said.textContent = problem.textContent = "";
    rows.removeAttribute("aria-invalid");
    document.getElementById("priced").hidden = true;
    button.disabled = true;
    try {
      const {all, wrong} = await price(post, rows.value);
      said.textContent = `${count(all - wrong)} of ${count(all)} ${all === 1 ? "stone" : "stones"} priced${wrong ? `; what is wrong with ${wrong === 1 ? "the other one" : `the other ${count(wrong)}`} is said beside it` : ""}.`;
    } catch (error) {
      problem.textContent = error.message;
      rows.setAttribute("aria-invalid", "true");
    } finally {
      document.getElementById("progress").hidden = true;
      button.disabled = false;
    }
  });
  const take = async (file) => {
    if (!file) return;
    rows.value = await file.text();
    form.requestSubmit();
  };
  document.getElementById("file").addEventListener("change", (event) => take(event.target.files[0]));
  many.addEventListener("dragover", (event) => { event.preventDefault(); many.classList.add("over"); });
  many.addEventListener("dragleave", () => many.classList.remove("over"));
  many.addEventListener("drop", (event) => { event.preventDefault(); many.classList.remove("over"); take(event.dataTransfer.files[0]); });
}
