// What is shown of a priced stone: its price and band, why, and the stones most like it.
import {clear, color, draw, layout} from "./figures.js";
import {feature, measured, money, NAMES, signed} from "./numbers.js";

function cell(text, kind = "td", scope = null) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (scope) made.scope = scope;
  return made;
}

function row(...cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function listed(fields) {
  const names = fields.map((field) => NAMES[field].toLowerCase());
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
}

function remarks(quote, from) {
  const said = [];
  if (from) said.push(`A stone of the training data, which cost ${money(from.price)} there.`);
  if (quote.assumed.length) said.push(`Estimated, for it was not given: ${listed(quote.assumed)}.`);
  if (quote.outside.length) said.push(`Unlike anything the model has learned from: ${listed(quote.outside)}. Take the price with care.`);
  if (quote.market_index !== undefined && quote.market_index !== 1) {
    said.push(`The market has moved the price by a factor of ${quote.market_index.toFixed(3)}, as of ${quote.as_of_rows.toLocaleString("en-US")} stones.`);
  }
  said.push(`By ${quote.model} ${quote.version}.`);
  return said.join(" ");
}

function why({quote, base_price: base, effects}) {
  const shown = effects.filter((effect) => Math.abs(effect.usd) >= 0.5);
  const names = ["Usual price", ...shown.map((effect) => feature(effect.feature, effect.value)), "This stone"];
  const changes = shown.map((effect) => effect.usd);
  const rest = quote.price - base - changes.reduce((sum, each) => sum + each, 0);
  if (Math.abs(rest) >= 0.5) { names.splice(-1, 0, "All else"); changes.push(rest); }
  const narrow = document.getElementById("why").clientWidth < 420;
  return {
    data: [{
      type: "waterfall", orientation: "h", y: names, x: [base, ...changes, quote.price], measure: ["absolute", ...changes.map(() => "relative"), "total"],
      text: [money(base), ...changes.map(signed), money(quote.price)], textposition: "outside", cliponaxis: false, hoverinfo: "y+text",
      connector: {line: {color: color("edge"), width: 1}}, totals: {marker: {color: color("one")}},
      increasing: {marker: {color: color("good")}}, decreasing: {marker: {color: color("other")}},
    }],
    layout: layout({
      margin: {l: 8, r: 56, t: 4, b: 32}, height: 64 + 30 * names.length, font: {family: "system-ui, sans-serif", size: narrow ? 11 : 13, color: color("ink")},
      yaxis: {autorange: "reversed", showgrid: false, fixedrange: true}, xaxis: {tickprefix: "$", tickformat: ",.0f", nticks: 4, fixedrange: true},
    }),
  };
}

// Ticks a hundredth of a carat or more apart, and room for them.
function weights(stones) {
  const all = stones.map((each) => each.carat);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const margin = Math.max((most - least) * 0.06, 0.012);
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((each) => (most - least + 2 * margin) / each <= 7) ?? 10;
  return {range: [least - margin, most + margin], dtick: step};
}

function around(given, quote, samples) {
  const point = (stone) => `${measured("carat", stone.carat)}, ${money(stone.price)}`;
  return {
    data: [
      {
        type: "scatter", mode: "markers", name: "similar stones", x: samples.map((each) => each.carat), y: samples.map((each) => each.price),
        text: samples.map(point), hoverinfo: "text", marker: {size: 11, color: color("third"), opacity: 0.75},
      },
      {
        type: "scatter", mode: "markers", name: "this stone", x: [given.carat], y: [quote.price], text: [`This stone: ${point({carat: given.carat, price: quote.price})}`],
        hoverinfo: "text", marker: {size: 14, symbol: "diamond", color: color("one")},
        error_y: {type: "data", symmetric: false, array: [quote.high - quote.price], arrayminus: [quote.price - quote.low], color: color("one"), thickness: 2, width: 8},
      },
    ],
    layout: layout({
      height: 320, hovermode: "closest", showlegend: true, legend: {orientation: "h", y: 1.12, x: 0},
      xaxis: {title: {text: "weight, carats"}, tickformat: ".2f", ...weights([given, ...samples])}, yaxis: {tickprefix: "$", tickformat: ",.0f", nticks: 6},
    }),
  };
}

function tables(reasons, samples, open) {
  document.querySelector("#effects tbody").replaceChildren(
    row(cell("Usual price", "th", "row"), cell(money(reasons.base_price)), cell("")),
    ...reasons.effects.map((each) => row(cell(feature(each.feature, each.value), "th", "row"), cell(signed(each.usd)), cell(each.factor.toFixed(3)))),
    row(cell("This stone", "th", "row"), cell(money(reasons.quote.price)), cell("")),
  );
  document.querySelector("#samples tbody").replaceChildren(...samples.map((each) => {
    const button = Object.assign(document.createElement("button"), {type: "button", className: "plain", textContent: "Price it"});
    button.setAttribute("aria-label", `Price it: ${measured("carat", each.carat)}, ${money(each.price)}`);
    button.addEventListener("click", () => open(each));
    const last = document.createElement("td");
    last.append(button);
    const size = [each.x, each.y, each.z].map((side) => side.toFixed(2)).join(" × ");
    return row(cell(measured("carat", each.carat), "th", "row"), cell(money(each.price)), cell(size), cell(measured("depth", each.depth)), cell(measured("table", each.table)), last);
  }));
}

// Shows an answer; `from` is the training stone that it was opened from, `open` opens another.
export async function show(given, reasons, samples, from, open) {
  const {quote} = reasons;
  document.getElementById("found").hidden = false;
  document.getElementById("price").textContent = money(quote.price);
  const share = Math.round(quote.confidence * 100);
  document.getElementById("band").textContent = `${share} of 100 stones like it cost ${money(quote.low)} to ${money(quote.high)}.`;
  document.getElementById("remarks").textContent = remarks(quote, from);
  const kind = `${given.cut} cut, color ${given.color}, clarity ${given.clarity}`;
  document.getElementById("like").hidden = false;
  document.getElementById("like-words").textContent = samples.length
    ? `Of the training data: ${kind}, the nearest weight first.` : `There is no stone of ${kind} in the training data.`;
  tables(reasons, samples, open);
  const near = document.getElementById("around");
  document.querySelector(".likeness").hidden = !samples.length;
  if (!samples.length) clear(near);
  const drawing = [draw(document.getElementById("why"), () => why(reasons))];
  if (samples.length) drawing.push(draw(near, () => around(given, quote, samples)));
  await Promise.all(drawing);
  near.removeAllListeners?.("plotly_click");
  near.on?.("plotly_click", ({points: [point]}) => { if (point.curveNumber === 0) open(samples[point.pointIndex]); });
}
