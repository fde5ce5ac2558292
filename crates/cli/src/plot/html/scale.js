// What a panel shows of its points: which part of the time axis, which ticks, which values. Nothing
// here touches the page.
//
// Places on the time axis are steps: 0 is the first point of the forecast, -1 the last of the
// history. A view is a pair of steps, the first and the last one in sight.

"use strict";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// Distances between ticks of the calendar; weeks begin on Monday.
const UNITS = [
  ...[1, 10, 100].map((ms) => ({ ms, part: "fraction" })),
  ...[1, 2, 5, 10, 15, 30].map((n) => ({ ms: n * SECOND, part: "second" })),
  ...[1, 2, 5, 10, 15, 30].map((n) => ({ ms: n * MINUTE, part: "minute" })),
  ...[1, 2, 3, 6, 12].map((n) => ({ ms: n * HOUR, part: "minute" })),
  ...[1, 2, 4].map((n) => ({ ms: n * DAY, part: "day" })),
  ...[1, 2].map((n) => ({ ms: 7 * n * DAY, from: -3 * DAY, part: "day" })),
  ...[1, 2, 3, 6].map((months) => ({ months, part: "month" })),
  ...[1, 2, 5, 10, 20, 50, 100].map((n) => ({ months: 12 * n, part: "year" })),
];

// The whole time axis of a panel.
function wholeView(panel) {
  return [-panel.history.length, panel.forecast.length - 1];
}

// The view that holds the whole time axes of all panels.
function widestView(panels) {
  const views = panels.map(wholeView);
  return [Math.min(...views.map((view) => view[0])), Math.max(...views.map((view) => view[1]))];
}

// A view moved and, if it is still too wide, cut so that it lies within another. `null` when it is all of it.
function within([from, to], [first, last]) {
  const width = to - from;
  if (width >= last - first) return null;
  const start = Math.min(Math.max(from, first), last - width);
  return [start, start + width];
}

// A part of the whole as a view, not narrower than a few points.
function selected([from, to], whole) {
  const width = Math.max(to - from, Math.min(4, whole[1] - whole[0]));
  const center = (from + to) / 2;
  return within([center - width / 2, center + width / 2], whole);
}

// A view `factor` times as wide, in which the step `anchor` stays where it is.
function zoomed([from, to], factor, anchor, whole) {
  return selected([anchor - (anchor - from) * factor, anchor + (to - anchor) * factor], whole);
}

function panned([from, to], by, whole) {
  return within([from + by, to + by], whole);
}

// The parts of a time stamp as it is written, and its place in a calendar without time zones.
function timeStamp(text) {
  const date = /^((\d{4})([-/.]?)(\d{1,2}))(?:\3(\d{1,2}))?/.exec(text);
  if (date === null) return null;
  const clock = /^[T ](\d{1,2}:\d{2})(:\d{2})?(\.\d{1,3})?/.exec(text.slice(date[0].length)) ?? ["", "0:0"];
  const [hour, minute] = clock[1].split(":").map(Number);
  const second = Number((clock[2] ?? ":0").slice(1)) + Number(clock[3] ?? 0);
  const [year, month] = [Number(date[2]), Number(date[4])];
  // Date.UTC takes years below 100 for those of the twentieth century.
  const at = new Date(0).setUTCFullYear(year, month - 1, Number(date[5] ?? 1));
  return {
    ms: at + hour * HOUR + minute * MINUTE + Math.round(second * SECOND),
    month: year * 12 + month - 1,
    texts: {
      year: date[2],
      month: date[1],
      day: date[0],
      minute: clock[1],
      second: clock[1] + (clock[2] ?? ""),
      fraction: clock[1] + (clock[2] ?? "") + (clock[3] ?? ""),
    },
  };
}

function interval(unit, stamp) {
  if (unit.months !== undefined) return Math.floor(stamp.month / unit.months);
  return Math.floor((stamp.ms - (unit.from ?? 0)) / unit.ms);
}

// The positions from `first` to `last` at which a key changes, or null if they are more than `most`.
function changes(key, first, last, most) {
  const positions = [];
  let before = key(Math.max(first - 1, 0));
  for (let position = first; position <= last; position++) {
    const now = key(position);
    if (now !== before && positions.push(position) > most) return null;
    before = now;
  }
  return positions;
}

// At most `most` ticks of the time axis in a view, with parts of the labels as they stand in the data.
function timeTicks(panel, [from, to], most) {
  const start = panel.history.length;
  const first = Math.max(Math.ceil(from) + start, 0);
  const last = Math.min(Math.floor(to) + start, panel.time.length - 1);
  if (last < first) return [];
  if (panel.calendar) {
    const stamps = [];
    const stamp = (position) => (stamps[position] ??= timeStamp(panel.time[position]));
    for (const unit of UNITS) {
      const positions = changes((position) => interval(unit, stamp(position)), first, last, most);
      if (positions === null) continue;
      let shown = null;
      return positions.map((position) => {
        const { texts } = stamp(position);
        const day = ["minute", "second", "fraction"].includes(unit.part) && texts.day !== shown ? texts.day : null;
        shown = day ?? shown;
        return { step: position - start, label: texts[unit.part], day };
      });
    }
  }
  // A history of dates whose forecast counts steps is counted too.
  const number = (position) => {
    const value = Number(panel.time[position]);
    return Number.isNaN(value) ? position - start : value;
  };
  for (const step of roundSteps()) {
    const positions = changes((position) => Math.floor(number(position) / step), first, last, most);
    if (positions !== null) {
      return positions.map((position) => ({ step: position - start, label: panel.time[position], day: null }));
    }
  }
  return [];
}

function* roundSteps() {
  for (let power = 1; power < 1e19; power *= 10) yield* [power, 2 * power, 5 * power];
}

// About `wanted` round values between two, with labels.
function valueTicks(low, high, wanted) {
  const rough = (high - low) / wanted;
  if (!(rough > 0 && Number.isFinite(rough))) return [];
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = magnitude * ([1, 2, 2.5, 5].find((factor) => factor * magnitude >= rough) ?? 10);
  const largest = Math.max(Math.abs(low), Math.abs(high));
  const ticks = [];
  for (let count = Math.ceil(low / step); count * step <= high && ticks.length < 100; count++) {
    // The sum turns a negative zero into zero.
    ticks.push({ value: count * step + 0, label: valueLabel(count * step + 0, step, largest) });
  }
  return ticks;
}

function valueLabel(value, step, largest) {
  const decimals = (step) => {
    const power = -Math.floor(Math.log10(step) + 1e-9);
    // Steps of 2.5 and 0.25 need one digit more.
    const scaled = step * 10 ** power;
    return Math.min(Math.max(power + (Math.abs(scaled - Math.round(scaled)) > 1e-6 ? 1 : 0), 0), 12);
  };
  if (largest >= 1e6 || largest < 1e-3) {
    return minus(value.toExponential(decimals(step / 10 ** Math.floor(Math.log10(largest)))).replace("e+", "e"));
  }
  return minus(value.toFixed(decimals(step)));
}

function minus(text) {
  return text.replaceAll("-", "\u2212");
}

// What a panel has, in the order of a legend: lines, then bands, the narrowest first. `layers` is how
// many bands lie above each other in a band.
function traces(panel) {
  const start = panel.history.length;
  const has = (values) => values.some((value) => value !== null);
  const lines = ["history", "forecast", "truth"].filter((name) => has(panel[name]));
  return [
    ...lines.map((name) => ({ name, kind: name, values: panel[name], first: name === "history" ? -start : 0 })),
    ...panel.bands.toReversed().map((band, index) => ({
      name: band.label,
      kind: "band",
      level: band.level,
      layers: panel.bands.length - index,
      lower: band.lower,
      upper: band.upper,
      first: 0,
    })),
  ];
}

// The traces of all panels, each name once.
function legend(panels) {
  const names = new Map();
  for (const trace of panels.flatMap(traces)) if (!names.has(trace.name)) names.set(trace.name, trace);
  const rank = ({ kind, level }) => ({ history: -3, forecast: -2, truth: -1 })[kind] ?? level;
  return [...names.values()].sort((a, b) => rank(a) - rank(b));
}

// Runs of a trace's points without gaps, [step, value] or [step, lower, upper], cut to a view and its
// neighbours. What follows the history starts at its last point.
function runs(panel, trace, [from, to]) {
  const joint = trace.kind === "history" ? null : (panel.history.at(-1) ?? null);
  const columns = trace.kind === "band" ? [trace.lower, trace.upper] : [trace.values];
  const value = (step) => (step < trace.first ? columns.map(() => joint) : columns.map((column) => column[step - trace.first]));
  const first = Math.max(Math.floor(from) - 1, trace.first - (joint === null ? 0 : 1));
  const last = Math.min(Math.ceil(to) + 1, trace.first + Math.min(...columns.map((column) => column.length)) - 1);
  const all = [];
  let run = [];
  for (let step = first; step <= last; step++) {
    const values = value(step);
    if (values.every((value) => value !== null)) {
      run.push([step, ...values]);
    } else if (run.length > 0) {
      all.push(run);
      run = [];
    }
  }
  if (run.length > 0) all.push(run);
  // The joint by itself is a point of the history alone.
  return all.filter((run) => run.at(-1)[0] >= trace.first);
}

// The smallest and largest value in a view of the traces that are not hidden, never equal; null when
// there is none.
function extent(panel, hidden, view) {
  let [low, high] = [Infinity, -Infinity];
  for (const trace of traces(panel).filter(({ name }) => !hidden.has(name))) {
    for (const [step, ...values] of runs(panel, trace, view).flat()) {
      if (step < Math.floor(view[0]) || step > Math.ceil(view[1])) continue;
      low = Math.min(low, ...values);
      high = Math.max(high, ...values);
    }
  }
  if (low > high) return null;
  // A constant series is drawn in the middle.
  const margin = high - low > Math.abs(low) * 1e-12 ? 0 : Math.max(Math.abs(low) * 0.05, 0.5);
  return [low - margin, high + margin];
}

// The time stamp at a step and what every trace that is not hidden has there; null beyond the panel.
function reading(panel, hidden, step) {
  const time = panel.time[step + panel.history.length];
  if (time === undefined) return null;
  const rows = [];
  for (const trace of traces(panel).filter(({ name }) => !hidden.has(name))) {
    const at = step - trace.first;
    if (trace.kind === "band") {
      const bounds = [trace.lower[at], trace.upper[at]];
      // Bounds are computed: their last digits say nothing.
      const text = (value) => minus(String(Number(value.toPrecision(7))));
      if (bounds.every((bound) => bound != null)) rows.push({ trace, text: bounds.map(text).join(" \u2026 ") });
    } else if (trace.values[at] != null) {
      rows.push({ trace, text: minus(String(trace.values[at])) });
    }
  }
  return { time, rows };
}

// A panel in words.
function description(panel) {
  const sentences = traces(panel).map((trace) => {
    if (trace.kind === "band") return `A prediction interval of ${trace.name}.`;
    const values = trace.values.filter((value) => value !== null);
    const [low, high] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
    const start = trace.first + panel.history.length;
    const [first, last] = [panel.time[start], panel.time[start + trace.values.length - 1]];
    const name = trace.name[0].toUpperCase() + trace.name.slice(1);
    const points = values.length === 1 ? "1 point" : `${values.length} points`;
    return `${name}: ${points} from ${first} to ${last}, between ${low} and ${high}.`;
  });
  return sentences.length > 0 ? sentences.join(" ") : "Every point is missing.";
}

if (typeof module !== "undefined") {
  module.exports = { wholeView, widestView, within, selected, zoomed, panned, timeStamp, timeTicks, valueTicks, traces, legend, runs, extent, reading, description };
}
