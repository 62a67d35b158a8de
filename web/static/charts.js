// The three charts.

import { rate, whole } from "./format.js";

const { uPlot } = window;
const HEIGHT = 200;

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);

function axes(format) {
  const common = {
    stroke: () => color("soft"),
    grid: { stroke: () => color("line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
  return [
    { ...common, grid: { show: false }, space: 70, size: 28 },
    { ...common, size: 48, values: (_, ticks) => ticks.map((t) => (t === null ? "" : format(t))) },
  ];
}

function line(label, tone) {
  return { label, stroke: () => color(tone), fill: () => `${color(tone)}22`, width: 2, points: { show: false } };
}

function chart(id, options, data) {
  const at = document.getElementById(id);
  const made = new uPlot(
    { width: at.clientWidth, height: HEIGHT, legend: { show: false }, cursor: { y: false, points: { show: false } }, ...options },
    data,
    at,
  );
  new ResizeObserver(() => made.setSize({ width: at.clientWidth, height: HEIGHT })).observe(at);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => made.redraw());
  return made;
}

function say(id, text) {
  document.getElementById(id).setAttribute("aria-label", text);
}

const fromZero = { range: (_, low, high) => [0, Math.max(1, (high || 0) * 1.15)] };
const ticks12 = "{HH}:{mm}";
const timeAxis = (all) => [
  { ...all[0], values: [[3600, ticks12, null, null, null, null, null, null, 1], [60, ticks12, null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
  all[1],
];

export class Charts {
  constructor() {
    this.range = "seconds";
    const time = { x: { time: true }, y: fromZero };
    this.rates = chart("rates", { scales: time, axes: timeAxis(axes(rate)), series: [{}, line("decisions", "accent")] }, [[], []]);
    this.stops = chart(
      "stops",
      { scales: time, axes: timeAxis(axes(rate)), series: [{}, line("flagged", "flag"), line("blocked", "block")] },
      [[], [], []],
    );
    this.scores = chart(
      "scores",
      {
        scales: { x: { time: false, range: [0, 1] }, y: { distr: 3, range: (_, low, high) => [0.5, Math.max(10, (high || 0) * 2)] } },
        axes: powersOfTen(axes(compact)),
        series: [
          {},
          { stroke: () => color("bar"), fill: () => `${color("bar")}aa`, paths: uPlot.paths.bars({ size: [0.86, 60] }), points: { show: false } },
        ],
      },
      [[], []],
    );
    for (const button of document.querySelectorAll("[data-range]")) {
      button.addEventListener("click", () => {
        this.range = button.dataset.range;
        for (const each of document.querySelectorAll("[data-range]")) {
          each.setAttribute("aria-pressed", String(each === button));
        }
        if (this.last) this.show(...this.last);
      });
    }
  }

  show(recent, at) {
    this.last = [recent, at];
    const [width, kept] = this.range === "seconds" ? [10, 90] : [60, 120];
    const rows = filled(recent[this.range], width, kept, at);
    const x = rows.map((row) => row[0]);
    const all = rows.map((row) => (row[1] + row[2] + row[3]) / width);
    this.rates.setData([x, all]);
    const perMinute = (place) => rows.map((row) => (row[place] * 60) / width);
    this.stops.setData([x, perMinute(2), perMinute(3)]);
    const bins = recent.scores.length;
    this.scores.setData([recent.scores.map((_, bin) => (bin + 0.5) / bins), recent.scores.map((n) => n || null)]);
    const most = Math.max(0, ...all);
    const span = this.range === "seconds" ? "15 minutes" : "2 hours";
    say("rates", `Decisions a second over ${span}: now ${rate(all.at(-1) || 0)}, at most ${rate(most)}`);
    const sum = (place) => rows.reduce((so_far, row) => so_far + row[place], 0);
    say("stops", `Over ${span}: ${whole(sum(2))} flagged, ${whole(sum(3))} blocked`);
    const high = recent.scores.slice((bins * 4) / 5).reduce((a, b) => a + b, 0);
    const total = recent.scores.reduce((a, b) => a + b, 0);
    say("scores", `Histogram of ${whole(total)} scores from 0 to 1; ${whole(high)} are 0.8 or above`);
  }
}

const powers = (_, splits) => splits.map((n) => (Number.isInteger(Math.log10(n)) ? n : null));

function powersOfTen([x, y]) {
  return [x, { ...y, filter: powers, grid: { ...y.grid, filter: powers } }];
}

function compact(n) {
  return new Intl.NumberFormat("en", { notation: "compact" }).format(n);
}

// Rows of the whole time shown, with zeros where nothing was decided. The interval that is not over
// yet is left out: it would look like a drop.
function filled(rows, width, kept, at) {
  const by = new Map(rows.map((row) => [row[0], row]));
  const end = Math.floor(at / width) * width;
  const made = [];
  for (let begin = end - (kept - 1) * width; begin < end; begin += width) {
    made.push(by.get(begin) || [begin, 0, 0, 0]);
  }
  return made;
}
