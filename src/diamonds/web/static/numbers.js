// Numbers as people write them.
export function money(dollars, cents = false) {
  const digits = cents ? 2 : 0;
  const text = Math.abs(dollars).toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
  return `${dollars < 0 ? "−" : ""}$${text}`;
}

export function signed(dollars) {
  return `${dollars < 0 ? "−" : "+"}${money(Math.abs(dollars))}`;
}

export function count(number) {
  return number.toLocaleString("en-US");
}

const UNITS = {carat: ["ct", 2], depth: ["%", 1], table: ["%", 1], x: ["mm", 2], y: ["mm", 2], z: ["mm", 2]};

// A measurement with its unit: 1.10 ct, 61.8 %, 6.61 mm.
export function measured(field, value) {
  const [unit, digits] = UNITS[field];
  return `${value.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits})} ${unit}`;
}

export const NAMES = {
  carat: "Weight", cut: "Cut", color: "Color", clarity: "Clarity", depth: "Depth", table: "Table", x: "Length", y: "Width",
  z: "Height", price: "Price", market_index: "Market",
};

// A feature and what the stone has of it: Weight 1.10 ct, Cut Ideal.
export function feature(field, value) {
  const name = NAMES[field] ?? field;
  if (value === null) return name;
  if (field in UNITS) return `${name} ${measured(field, Number(value))}`;
  return `${name} ${typeof value === "number" ? `× ${value.toFixed(3)}` : value}`;
}
