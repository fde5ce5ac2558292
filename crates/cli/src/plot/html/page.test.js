// node page.test.js: runs the page's scripts on a stand-in for a document.

"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");
const run = require("./run_tests.js");

// As much of an element as the page uses.
class Element {
  constructor(name) {
    Object.assign(this, { name, children: [], attributes: {}, listeners: {}, style: {}, hidden: false, disabled: false });
    Object.assign(this, { className: "", textContent: "", clientWidth: 600, viewBox: { baseVal: { width: 600 } } });
    this.classList = { toggle() {}, remove() {} };
  }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  getAttribute(name) { return this.attributes[name] ?? null; }
  addEventListener(kind, listener) { this.listeners[kind] = listener; }
  setPointerCapture() {}
  getBoundingClientRect() { return { left: 0, width: this.clientWidth }; }
  get all() { return [this, ...this.children.flatMap((child) => (child instanceof Element ? child.all : []))]; }
  get text() { return this.textContent + this.children.map((child) => (child instanceof Element ? child.text : child)).join(" "); }
  // How many elements within have a class, or a name.
  count(kind) {
    return this.all.filter(({ name, attributes }) => name === kind || (attributes.class ?? "").split(" ").includes(kind)).length;
  }
  send(kind, event = {}) {
    const defaults = { deltaX: 0, deltaY: 0, deltaMode: 0, button: 0, pointerType: "mouse", pointerId: 1, preventDefault() {} };
    this.listeners[kind]({ type: kind, ...defaults, ...event });
    frames.splice(0).forEach((frame) => frame());
  }
}

const frames = [];

// What stands at the axes.
const labels = (svg) => svg.all.filter(({ name }) => name === "text").map(({ text }) => text).join("|");

// Opens a page of a figure.
function open(figure) {
  const elements = { figure: new Element("script"), legend: new Element("div"), reset: new Element("button"), panels: new Element("main") };
  elements.figure.textContent = JSON.stringify(figure);
  elements.panel = { content: { cloneNode: () => ({ querySelector: () => {
    const parts = { figcaption: new Element("figcaption"), ".chart": new Element("div"), svg: new Element("svg"), ".reading": new Element("div"), ".description": new Element("p") };
    const root = new Element("figure");
    root.append(...Object.values(parts));
    root.querySelector = (selector) => parts[selector];
    return root;
  } }) } };
  const document = {
    getElementById: (id) => elements[id],
    createElement: (name) => new Element(name),
    createElementNS: (_, name) => new Element(name),
  };
  class ResizeObserver { observe() {} }
  const scripts = ["scale.js", "page.js"].map((name) => fs.readFileSync(path.join(__dirname, name), "utf8"));
  vm.runInNewContext(scripts.join("\n"), { document, ResizeObserver, requestAnimationFrame: (frame) => frames.push(frame) });
  frames.splice(0).forEach((frame) => frame());
  const charts = elements.panels.children.map((root) => ({ svg: root.querySelector("svg"), reading: root.querySelector(".reading"), root }));
  return { ...elements, charts };
}

const judged = {
  name: "load</script>",
  calendar: false,
  time: Array.from({ length: 30 }, (_, at) => String(at - 19)),
  history: Array.from({ length: 20 }, (_, at) => (at === 5 ? null : at)),
  forecast: Array.from({ length: 10 }, (_, at) => 20 + at),
  truth: [21, 22, null, 24],
  bands: [95, 80].map((level) => ({
    level,
    label: `${level} %`,
    lower: Array.from({ length: 10 }, (_, at) => 20 + at - level / 20),
    upper: Array.from({ length: 10 }, (_, at) => 20 + at + level / 20),
  })),
};
const gone = { ...judged, name: "gone", history: [null], forecast: [null], truth: [], bands: [], time: ["0", "1"] };

const tests = {
  "every trace is drawn, with gaps"() {
    const { charts: [{ svg, root }] } = open({ panels: [judged] });
    assert.deepEqual(["history", "forecast", "truth", "band"].map((kind) => svg.count(kind)), [2, 1, 2, 2]);
    assert.ok(svg.count("future") === 1 && svg.count("grid") > 3);
    assert.equal(root.querySelector("figcaption").textContent, "load</script>");
    assert.match(root.querySelector(".description").textContent, /^History: 19 points from -19 to 0/);
  },
  "a panel without values says so"() {
    assert.match(open({ panels: [gone] }).charts[0].svg.text, /every point is missing/);
  },
  "the legend hides a trace in every panel and shows it again"() {
    const { legend, charts } = open({ panels: [judged, judged, gone] });
    assert.deepEqual(legend.children.map((button) => button.text.trim()), ["history", "forecast", "truth", "80 %", "95 %"]);
    legend.children[4].send("click");
    assert.deepEqual(charts.map(({ svg }) => svg.count("band")), [1, 1, 0]);
    assert.equal(legend.children[4].getAttribute("aria-pressed"), "false");
    legend.children[4].send("click");
    assert.deepEqual(charts.map(({ svg }) => svg.count("band")), [2, 2, 0]);
  },
  "the crosshair reads every value, and shows in every panel"() {
    const { charts: [one, other] } = open({ panels: [judged, judged] });
    one.svg.send("pointermove", { clientX: 584 });
    assert.equal(one.reading.hidden, false);
    for (const expected of ["10", "29", "25 \u2026 33", "24.25 \u2026 33.75"]) assert.ok(one.reading.text.includes(expected), one.reading.text);
    assert.ok(other.reading.hidden && other.svg.count("cursor") === 1 && other.svg.count("dot") > 0);
    one.svg.send("pointerleave");
    assert.ok(one.reading.hidden);
  },
  "wheel, selection and keys zoom, and all ways lead back"() {
    const { charts: [{ svg }], reset } = open({ panels: [judged] });
    const whole = labels(svg);
    const ways = {
      wheel: () => svg.send("wheel", { deltaY: -100, clientX: 300 }),
      selection() {
        svg.send("pointerdown", { clientX: 300 });
        svg.send("pointermove", { clientX: 400 });
        svg.send("pointerup", { clientX: 400 });
      },
      key: () => svg.send("keydown", { key: "+" }),
      pinch() {
        for (const [pointerId, clientX] of [[1, 300], [2, 350]]) svg.send("pointerdown", { pointerId, clientX, pointerType: "touch" });
        svg.send("pointermove", { pointerId: 2, clientX: 500, pointerType: "touch" });
        for (const pointerId of [1, 2]) svg.send("pointerup", { pointerId, clientX: 500, pointerType: "touch" });
      },
    };
    const backs = [() => reset.send("click"), () => svg.send("dblclick"), () => svg.send("keydown", { key: "Escape" })];
    for (const [name, way] of Object.entries(ways)) {
      for (const back of backs) {
        assert.ok(reset.disabled, name);
        way();
        assert.ok(!reset.disabled && labels(svg) !== whole, name);
        back();
        assert.equal(labels(svg), whole, name);
      }
    }
  },
  "a view is moved with Shift, and by the keyboard"() {
    const { charts: [{ svg }] } = open({ panels: [judged] });
    svg.send("keydown", { key: "+" });
    const before = labels(svg);
    svg.send("pointerdown", { clientX: 300, shiftKey: true });
    svg.send("pointermove", { clientX: 500, shiftKey: true });
    svg.send("pointerup", { clientX: 500, shiftKey: true });
    assert.notEqual(labels(svg), before);
    for (let turn = 0; turn < 20; turn++) svg.send("keydown", { key: "ArrowRight", shiftKey: true });
    assert.ok(labels(svg).endsWith("10"), labels(svg));
  },
};

run(tests);
