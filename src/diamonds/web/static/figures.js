// Figures by Plotly, in the colors of the page.
let loading = null;

export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// As a module it keeps no page from being whole: browsers fetch it beside what can be read, and run it after that.
export function plotly() {
  const place = document.getElementById("plotly")?.href;
  if (!place) return Promise.reject(new Error("Figures are drawn by Plotly, which is not installed here."));
  loading ??= import(place).then(() => window.Plotly, () => {
    loading = null;
    throw new Error("The script that draws figures has not come.");
  });
  return loading;
}

// What all figures have in common; `ours` says the rest.
export function layout(ours = {}) {
  const axis = {gridcolor: color("line"), linecolor: color("edge"), zerolinecolor: color("edge"), automargin: true};
  const {xaxis, yaxis, ...rest} = ours;
  return {
    margin: {l: 56, r: 16, t: 16, b: 48}, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: {family: "system-ui, sans-serif", size: 13, color: color("ink")}, colorway: ["one", "other", "good", "third"].map(color),
    hoverlabel: {bgcolor: color("card"), bordercolor: color("edge"), font: {color: color("ink")}},
    showlegend: false, legend: {orientation: "h", y: -0.2, x: 0}, ...rest, xaxis: {...axis, ...xaxis}, yaxis: {...axis, ...yaxis},
  };
}

const drawn = new Map(); // element → what draws it anew, in the colors of the moment

export async function draw(element, make) {
  drawn.set(element, make);
  try {
    const library = await plotly();
    const {data, layout: its, config} = make();
    element.classList.remove("none");
    await library.react(element, data, its, {displayModeBar: false, responsive: true, ...config});
  } catch (error) {
    element.classList.add("none");
    element.textContent = error.message;
  }
  return element;
}

export function clear(element) {
  drawn.delete(element);
  window.Plotly?.purge(element);
  element.replaceChildren();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [element, make] of drawn) draw(element, make);
});
