// What is wrong with a field, in the words of the API, so that it is not asked what it is sure to refuse.
const form = document.getElementById("stone");
export const NUMBERS = ["carat", "depth", "table", "x", "y", "z"];
export const GRADES = ["cut", "color", "clarity"];
export const NEEDED = ["carat", ...GRADES];

function key(text) {
  return text.trim().toLowerCase().replace(/\s+/g, " ");
}

const KNOWN = Object.fromEntries(GRADES.map((name) => [name, new Set([...form.elements[name]].map((each) => key(each.value)))]));

function problem(name, value) {
  if (value === undefined) return NEEDED.includes(name) ? "is required" : null;
  const field = form.querySelector(`[data-field="${name}"]`);
  if (GRADES.includes(name)) return typeof value === "string" && KNOWN[name].has(key(value)) ? null : field.dataset.problem;
  if (typeof value !== "number" || Number.isNaN(value)) return "must be a number";
  return value > 0 && value <= Number(field.max) ? null : field.dataset.problem;
}

// The problems of a stone, each with its field; none where the API may price it.
export function problems(stone) {
  return [...NEEDED, ...NUMBERS.slice(1)]
    .map((field) => ({field, problem: problem(field, stone[field])}))
    .filter((each) => each.problem);
}
