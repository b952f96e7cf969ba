// The figures of a run, and of a report on the champion, as `kedro viz` has them, in the colors of the page; each is loaded when it comes into view.
import {color, draw, layout} from "./figures.js";
import {NAMES} from "./numbers.js";

// Of each line, its error is first: 0 is the best.
function lines(data) {
  const best = Math.min(...data.filter((trace) => trace.y[0] !== null).map((trace) => trace.y[0]));
  const trials = data.filter((trace) => trace.mode === "lines");
  return trials.sort((a, b) => b.y[0] - a.y[0]).map((trace) => {
    const isBest = trace.y[0] === best;
    return {...trace, opacity: isBest ? 1 : 0.55, line: {color: color(isBest ? "one" : "third"), width: isBest ? 3 : 1}};
  });
}

// As `pipelines/monitoring/figure.py` paints the bars of features that moved.
const MOVED = "#d62728";

function lined() {
  return {gridcolor: color("line"), linecolor: color("edge"), zerolinecolor: color("edge"), automargin: true};
}

const DRESSES = {
  actual_against_predicted: ([points, right], _, narrow) => ({
    data: [
      // WebGL would ask for code made at run time, which pages here do not run.
      {...points, type: "scatter", marker: {size: 4, opacity: 0.4, color: color("one")}, hovertemplate: "%{text}<br>actual %{x:$,.0f}, predicted %{y:$,.0f}<extra></extra>"},
      {...right, line: {dash: "dot", color: color("ink"), width: 1.5}, hoverinfo: "skip"},
    ],
    ours: {height: narrow ? 340 : 400, xaxis: {tickangle: 0, ...(narrow && {tickvals: [500, 2000, 10000]}), title: {text: "actual price, $"}}, yaxis: {title: {text: "predicted price, $"}}},
  }),
  importances: (data) => ({
    data: data.map((trace) => ({...trace, y: trace.y.map((name) => NAMES[name] ?? name), marker: {color: color("one")}})),
    ours: {height: 340, margin: {l: 56, r: 48, t: 16, b: 48}, xaxis: {nticks: 5, title: {text: "percent of the price"}}},
  }),
  search_history: (data) => ({
    data: data.filter((trace) => trace.x.length).map((trace) => (trace.mode === "lines" ? {...trace, name: "best so far", line: {color: color("one")}} : {...trace, name: "trial", marker: {color: color("third"), size: 8}})),
    ours: {height: 360, showlegend: true, legend: {orientation: "h", y: 1.02, yanchor: "bottom", x: 0}, yaxis: {tickprefix: "$", tickformat: ",.0f", title: {text: "mean error, $"}}, xaxis: {title: {text: "trial"}, zeroline: false}},
  }),
  search_importances: (data) => ({
    data: data.map((trace) => ({...trace, marker: {color: color("one")}, text: [...(trace.x ?? [])].map((share) => `${Math.round(share * 100)}%`), hovertemplate: "%{y}: %{x:.0%}<extra></extra>"})),
    ours: {height: 340, margin: {l: 56, r: 40, t: 16, b: 48}, xaxis: {title: {text: "share of the differences"}, tickformat: ".0%", nticks: 5}, yaxis: {title: {text: ""}}},
  }),
  // The bars of features that moved are in the second color; below them, where any were sold, the error by day.
  monitoring_plot: (data, made) => ({
    data: data.map((trace) => {
      if (trace.type === "bar") return {...trace, x: trace.x.map((name) => NAMES[name] ?? name), marker: {color: trace.marker.color.map((its) => color(its === MOVED ? "other" : "one"))}};
      if (trace.line?.dash) return {...trace, x: trace.x.map((name) => NAMES[name] ?? name), line: {...trace.line, color: color("quiet"), width: 1.5}};
      return {...trace, line: {color: color("one")}, marker: {color: color("one")}};
    }),
    ours: {
      height: made.yaxis2 ? 560 : 320, margin: {l: 56, r: 16, t: 32, b: 64},
      annotations: (made.annotations ?? []).map((each) => ({...each, font: {size: 13, color: color("quiet")}})),
      ...(made.yaxis2 && {xaxis2: {...made.xaxis2, ...lined()}, yaxis2: {...made.yaxis2, ...lined()}}),
    },
  }),
  search_parallel_coordinates: (data, made) => ({
    data: lines(data),
    ours: {height: 420, annotations: (made.annotations ?? []).map((each) => ({...each, font: {...each.font, color: color("quiet")}}))},
  }),
};

function dressed(figure, {data, layout: made}, width) {
  const {template, title, font, paper_bgcolor, plot_bgcolor, ...rest} = made; // those are Plotly's own dress
  const {data: shown, ours} = DRESSES[figure](data, rest, width < 480);
  const axes = {xaxis: {...rest.xaxis, ...ours.xaxis}, yaxis: {...rest.yaxis, ...ours.yaxis}};
  return {data: shown, layout: layout({...rest, ...ours, ...axes})};
}

async function load(element) {
  const answer = await fetch(element.dataset.url);
  if (!answer.ok) {
    element.classList.add("none");
    element.textContent = answer.status === 404 ? "This figure is not on this machine any more." : "This figure has not come: load the page again.";
    return;
  }
  const made = await answer.json();
  await draw(element, () => dressed(element.dataset.figure, made, element.clientWidth));
}

const seen = new IntersectionObserver((entries) => {
  for (const {isIntersecting, target} of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    load(target);
  }
}, {rootMargin: "200px"});
for (const element of document.querySelectorAll("[data-figure]")) seen.observe(element);

// A link to a model opens it.
function open() {
  const model = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (model instanceof HTMLDetailsElement) {
    model.open = true;
    model.scrollIntoView();
  }
}
addEventListener("hashchange", open);
open();
