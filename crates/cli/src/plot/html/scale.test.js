// node scale.test.js

"use strict";

const assert = require("node:assert/strict");
const scale = require("./scale.js");
const run = require("./run_tests.js");

const hours = (count) => Array.from({ length: count }, (_, hour) => new Date(Date.UTC(2018, 5, 25, 20 + hour)).toISOString().slice(0, 16).replace("T", " "));

function panel(changes) {
  const { history = [], forecast = [], ...rest } = changes;
  const time = Array.from({ length: history.length + forecast.length }, (_, at) => String(at - history.length + 1));
  return { name: "load", calendar: false, time, history, forecast, truth: [], bands: [], ...rest };
}

const judged = panel({
  history: [1, null, 3],
  forecast: [4, 5],
  truth: [4.5, null],
  bands: [
    { level: 95, label: "95 %", lower: [2, 1], upper: [6, 9] },
    { level: 80, label: "80 %", lower: [3, null], upper: [5, 6] },
  ],
});

const tests = {
  "a view is zoomed around a step and stays within the whole"() {
    assert.deepEqual(scale.zoomed([0, 100], 0.5, 50, [0, 100]), [25, 75]);
    assert.deepEqual(scale.zoomed([0, 100], 0.5, 0, [0, 100]), [0, 50]);
    assert.deepEqual(scale.zoomed([90, 100], 2, 100, [0, 100]), [80, 100]);
    assert.deepEqual(scale.zoomed([0, 100], 0, 40, [0, 100]), [38, 42]);
    assert.equal(scale.zoomed([25, 75], 4, 50, [0, 100]), null);
  },
  "a selection is a view, but not of fewer than five points"() {
    assert.deepEqual(scale.selected([10, 30], [0, 100]), [10, 30]);
    assert.deepEqual(scale.selected([10, 11], [0, 100]), [8.5, 12.5]);
    assert.equal(scale.selected([0, 1], [0, 3]), null);
  },
  "a view is moved up to the ends"() {
    assert.deepEqual(scale.panned([10, 20], 5, [0, 100]), [15, 25]);
    assert.deepEqual(scale.panned([10, 20], -50, [0, 100]), [0, 10]);
    assert.deepEqual(scale.panned([10, 20], 500, [0, 100]), [90, 100]);
  },
  "ticks stand at round times with parts of the labels"() {
    const day = panel({ history: Array(2).fill(1), forecast: Array(30).fill(1), calendar: true, time: hours(32) });
    const shown = scale.timeTicks(day, scale.wholeView(day), 4).map(({ step, label, day }) => [step, label, day]);
    assert.deepEqual(shown, [[2, "00:00", "2018-06-26"], [14, "12:00", null], [26, "00:00", "2018-06-27"]]);
    const near = scale.timeTicks(day, [2, 5], 4).map(({ label }) => label);
    assert.deepEqual(near, ["00:00", "01:00", "02:00", "03:00"]);
  },
  "months and years are cut from the labels"() {
    const months = Array.from({ length: 24 }, (_, month) => `${1999 + Math.floor(month / 12)}/${(month % 12) + 1}`);
    const slow = panel({ history: Array(24).fill(1), calendar: true, time: months });
    assert.deepEqual(scale.timeTicks(slow, [-24, -1], 4).map(({ label }) => label), ["1999/7", "2000/1", "2000/7"]);
    assert.deepEqual(scale.timeTicks(slow, [-24, -1], 2).map(({ label }) => label), ["2000"]);
  },
  "every form of time stamp is read"() {
    const at = (text) => new Date(scale.timeStamp(text).ms).toISOString();
    assert.equal(at("2016-07-01"), "2016-07-01T00:00:00.000Z");
    assert.equal(at("2016/7/1 3:05"), "2016-07-01T03:05:00.000Z");
    assert.equal(at("20160701"), "2016-07-01T00:00:00.000Z");
    assert.equal(at("2016-07"), "2016-07-01T00:00:00.000Z");
    assert.equal(at("2016.07.01T03:05:06.250+02:00"), "2016-07-01T03:05:06.250Z");
    assert.equal(at("0050-07-01"), "0050-07-01T00:00:00.000Z");
    assert.equal(scale.timeStamp("noon"), null);
  },
  "steps and labels without a calendar have round numbers"() {
    const steps = panel({ history: Array(50).fill(1), forecast: Array(10).fill(1) });
    assert.deepEqual(scale.timeTicks(steps, [-50, 9], 4).map(({ step, label }) => [step, label]), [[-41, "-40"], [-21, "-20"], [-1, "0"]]);
    const mixed = { ...steps, time: [...hours(50), ...steps.time.slice(50)] };
    assert.equal(scale.timeTicks(mixed, [-50, 9], 4).length, 3);
  },
  "a panel without points has no ticks"() {
    const empty = panel({ calendar: true });
    assert.deepEqual(scale.timeTicks(empty, scale.wholeView(empty), 4), []);
  },
  "values have round ticks with as many decimals as they need"() {
    const labels = (low, high) => scale.valueTicks(low, high, 5).map(({ label }) => label);
    assert.deepEqual(labels(-3.2, 12.9), ["0", "5", "10"]);
    assert.deepEqual(labels(-0.11, 0.12), ["\u22120.10", "\u22120.05", "0.00", "0.05", "0.10"]);
    assert.deepEqual(labels(0, 11), ["0.0", "2.5", "5.0", "7.5", "10.0"]);
    assert.deepEqual(labels(0, 4e7), ["0e0", "1e7", "2e7", "3e7", "4e7"]);
    assert.deepEqual(labels(1, 1), []);
    assert.deepEqual(labels(NaN, 1), []);
  },
  "the legend has what panels show, the narrowest band first"() {
    assert.deepEqual(scale.legend([panel({ history: [1] }), judged]).map(({ name }) => name), ["history", "forecast", "truth", "80 %", "95 %"]);
    assert.deepEqual(scale.legend([panel({ history: [null], forecast: [1] })]).map(({ name }) => name), ["forecast"]);
    assert.deepEqual(scale.legend([]), []);
    const [lower, upper] = [[1], [2]];
    const other = panel({ forecast: [1], bands: [{ level: 90, label: "90 %", lower, upper }] });
    const bands = scale.legend([other, judged]).filter(({ kind }) => kind === "band");
    assert.deepEqual(bands.map(({ name, layers }) => [name, layers]), [["80 %", 3], ["90 %", 2], ["95 %", 1]]);
  },
  "runs have gaps, and start at the last point of the history"() {
    const [history, forecast, truth, narrow, wide] = scale.traces(judged).map((trace) => scale.runs(judged, trace, [-3, 1]));
    assert.deepEqual(history, [[[-3, 1]], [[-1, 3]]]);
    assert.deepEqual(forecast, [[[-1, 3], [0, 4], [1, 5]]]);
    assert.deepEqual(truth, [[[-1, 3], [0, 4.5]]]);
    assert.deepEqual(narrow, [[[-1, 3, 3], [0, 3, 5]]]);
    assert.deepEqual(wide, [[[-1, 3, 3], [0, 2, 6], [1, 1, 9]]]);
    const late = panel({ history: [1], forecast: [null, 2] });
    assert.deepEqual(scale.runs(late, scale.traces(late)[1], [-1, 1]), [[[1, 2]]]);
  },
  "the range is that of what is in sight"() {
    assert.deepEqual(scale.extent(judged, new Set(), [-3, 1]), [1, 9]);
    assert.deepEqual(scale.extent(judged, new Set(["95 %", "history"]), [0, 1]), [3, 5]);
    assert.deepEqual(scale.extent(panel({ history: [10, 10] }), new Set(), [-2, -1]), [9.5, 10.5]);
    assert.equal(scale.extent(panel({ history: [null] }), new Set(), [-1, -1]), null);
  },
  "a reading has the time stamp and every value there"() {
    const texts = (step, hidden = []) => {
      const { time, rows } = scale.reading(judged, new Set(hidden), step);
      return [time, ...rows.map(({ trace, text }) => `${trace.name}: ${text}`)];
    };
    assert.deepEqual(texts(0), ["1", "forecast: 4", "truth: 4.5", "80 %: 3 \u2026 5", "95 %: 2 \u2026 6"]);
    assert.deepEqual(texts(1, ["forecast"]), ["2", "95 %: 1 \u2026 9"]);
    assert.deepEqual(texts(-2), ["-1"]);
    assert.equal(scale.reading(judged, new Set(), 2), null);
  },
  "a panel is described in words"() {
    assert.equal(
      scale.description(judged),
      "History: 2 points from -2 to 0, between 1 and 3. Forecast: 2 points from 1 to 2, between 4 and 5. " +
        "Truth: 1 point from 1 to 2, between 4.5 and 4.5. A prediction interval of 80 %. A prediction interval of 95 %.",
    );
    assert.equal(scale.description(panel({ history: [null] })), "Every point is missing.");
  },
};

run(tests);
