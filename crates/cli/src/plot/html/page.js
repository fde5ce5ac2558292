// The page: draws every panel as an SVG and follows pointer, keyboard and window. All panels share the
// view, the reading and the hidden traces.

const HEIGHT = 320;
const MARGIN = { left: 16, right: 16, top: 10, bottom: 44 };
const LETTER = 7; // the width of a digit in an axis label
const ROOM_PER_TICK = 95;

function start() {
  const figure = JSON.parse(document.getElementById("figure").textContent);
  const whole = widestView(figure.panels);
  // `view` is null while every panel shows all it has; `step` is where the reading is, or null.
  const state = { view: null, step: null, hidden: new Set() };
  const panels = figure.panels.map((panel) => new Chart(panel, state, { show, read }));
  const reset = document.getElementById("reset");

  let pending = false;
  function redraw() {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      panels.forEach((panel) => panel.draw());
      reset.disabled = state.view === null;
    });
  }
  function show(change) {
    state.view = change && change(whole);
    redraw();
  }
  function read(step) {
    if (step === state.step) return;
    state.step = step;
    panels.forEach((panel) => panel.drawReading());
  }

  reset.addEventListener("click", () => show(null));
  for (const trace of legend(figure.panels)) {
    document.getElementById("legend").append(legendButton(trace, (isShown) => {
      if (isShown) state.hidden.delete(trace.name);
      else state.hidden.add(trace.name);
      redraw();
    }));
  }
  for (const panel of panels) document.getElementById("panels").append(panel.figure);
  new ResizeObserver(redraw).observe(document.getElementById("panels"));
  redraw();
}

function swatch(trace) {
  const mark = document.createElement("i");
  mark.className = `swatch ${trace.kind}`;
  for (let layer = 0; layer < (trace.layers ?? 0); layer++) mark.append(document.createElement("i"));
  return mark;
}

function legendButton(trace, toggled) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "true");
  button.append(swatch(trace), trace.name);
  button.addEventListener("click", () => {
    const isShown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isShown));
    toggled(isShown);
  });
  return button;
}

// One panel. `show` is called with a function from the widest view to the next one, or with null for
// the whole range; `read` with a step, or null.
class Chart {
  constructor(panel, state, { show, read }) {
    Object.assign(this, { panel, state, show, read });
    this.figure = document.getElementById("panel").content.cloneNode(true).querySelector("figure");
    const find = (selector) => this.figure.querySelector(selector);
    [this.frame, this.svg, this.box] = [".chart", "svg", ".reading"].map(find);
    find("figcaption").textContent = panel.name;
    const words = find(".description");
    words.textContent = description(panel);
    words.id = `description-${Math.random().toString(36).slice(2)}`;
    this.svg.setAttribute("aria-label", panel.name);
    this.svg.setAttribute("aria-describedby", words.id);
    this.follow();
  }

  get view() {
    return this.state.view ?? wholeView(this.panel);
  }

  // The places on the page of steps and values.
  x(step) {
    const [from, to] = this.view;
    // A single point stands in the middle.
    const share = to > from ? (step - from) / (to - from) : 0.5;
    return this.left + (this.right - this.left) * share;
  }

  step(x) {
    const [from, to] = this.view;
    return from + (to - from) * ((x - this.left) / (this.right - this.left));
  }

  y(value) {
    const [low, high] = this.values;
    return this.bottom - (this.bottom - this.top) * ((value - low) / (high - low));
  }

  element(name, attributes, ...children) {
    const element = document.createElementNS(this.svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  draw() {
    const width = Math.max(this.frame.clientWidth, 200);
    const range = extent(this.panel, this.state.hidden, this.view);
    const [low, high] = range ?? [0, 1];
    const space = (high - low) * 0.06;
    this.values = [low - space, high + space];
    const ticks = range ? valueTicks(...this.values, 5) : [];
    const labels = Math.max(3, ...ticks.map((tick) => tick.label.length)) * LETTER;
    this.left = MARGIN.left + labels;
    [this.right, this.top, this.bottom] = [width - MARGIN.right, MARGIN.top, HEIGHT - MARGIN.bottom];

    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    // An SVG within the SVG cuts off what is out of view.
    const [plotWidth, plotHeight] = [this.right - this.left, this.bottom - this.top];
    const box = `${this.left} ${this.top} ${plotWidth} ${plotHeight}`;
    const plot = this.element("svg", { x: this.left, y: this.top, width: plotWidth, height: plotHeight, viewBox: box });
    plot.append(...this.drawTraces());
    this.cursor = this.element("g", { class: "cursor" });
    this.selection = this.element("g", { class: "selection" });
    this.svg.replaceChildren(
      ...this.drawFuture(), ...this.drawValueAxis(ticks), ...this.drawTimeAxis(), plot, this.selection, this.cursor,
    );
    if (range === null) {
      const isEmpty = this.state.view === null && this.state.hidden.size === 0;
      const place = { x: (this.left + this.right) / 2, y: (this.top + this.bottom) / 2, "text-anchor": "middle" };
      this.svg.append(this.element("text", place, isEmpty ? "every point is missing" : "nothing here"));
    }
    this.drawReading();
  }

  // The ground behind the forecast, and the line at its beginning.
  drawFuture() {
    const { left, right, top, bottom } = this;
    const [from, to] = this.view;
    const hasForecast = this.panel.forecast.length > 0 && to > from && this.panel.time.length > 1;
    const boundary = Math.min(Math.max(this.x(this.panel.history.length > 0 ? -1 : 0), left), right);
    if (!hasForecast || boundary >= right) return [];
    const end = Math.min(Math.max(this.x(this.panel.forecast.length - 1), boundary), right);
    const ground = { class: "future", x: boundary, y: top, width: end - boundary, height: bottom - top };
    const elements = [this.element("rect", ground)];
    if (boundary > left) elements.push(this.line("frame", boundary, top, boundary, bottom));
    return elements;
  }

  drawValueAxis(ticks) {
    return ticks.flatMap(({ value, label }) => {
      const y = this.y(value);
      const text = { x: this.left - 8, y: y + 4, "text-anchor": "end" };
      return [this.line("grid", this.left, y, this.right, y), this.element("text", text, label)];
    });
  }

  drawTimeAxis() {
    const { left, right, top, bottom } = this;
    const most = Math.max(Math.floor((right - left) / ROOM_PER_TICK), 1);
    const ticks = timeTicks(this.panel, this.view, most).flatMap(({ step, label, day }) => {
      const x = this.x(step);
      // Labels at the ends stay within the panel.
      const half = (Math.max(label.length, day?.length ?? 0) * LETTER) / 2;
      const text = { x: Math.min(Math.max(x, half), right + MARGIN.right - half), "text-anchor": "middle" };
      const elements = [
        this.line("grid", x, top, x, bottom),
        this.line("frame", x, bottom, x, bottom + 5),
        this.element("text", { ...text, y: bottom + 19 }, label),
      ];
      if (day !== null) elements.push(this.element("text", { ...text, y: bottom + 35 }, day));
      return elements;
    });
    return [...ticks, this.line("frame", left, bottom, right, bottom)];
  }

  drawTraces() {
    const shown = traces(this.panel).filter(({ name }) => !this.state.hidden.has(name));
    const bands = shown.filter(({ kind }) => kind === "band").reverse();
    // The forecast lies on top.
    const lines = ["history", "truth", "forecast"].flatMap((name) => shown.filter(({ kind }) => kind === name));
    return [...bands.flatMap((band) => this.drawBand(band)), ...lines.flatMap((line) => this.drawLine(line))];
  }

  drawLine(trace) {
    return runs(this.panel, trace, this.view).map((run) => {
      const points = run.map(([step, value]) => `${this.x(step).toFixed(1)} ${this.y(value).toFixed(1)}`);
      if (points.length > 1) return this.element("path", { class: `line ${trace.kind}`, d: `M${points.join("L")}` });
      const [[step, value]] = run;
      return this.element("circle", { class: `dot ${trace.kind}`, cx: this.x(step), cy: this.y(value), r: 2.5 });
    });
  }

  drawBand(trace) {
    return runs(this.panel, trace, this.view).map((run) => {
      // A single point is as wide as a dot.
      const points = run.length > 1 ? run.map(([step, ...bounds]) => [this.x(step), ...bounds])
        : [-2, 2].map((aside) => [this.x(run[0][0]) + aside, run[0][1], run[0][2]]);
      const along = (bound) => points.map((point) => `${point[0].toFixed(1)} ${this.y(point[bound]).toFixed(1)}`);
      return this.element("path", { class: "band", d: `M${[...along(1), ...along(2).reverse()].join("L")}Z` });
    });
  }

  line(kind, x1, y1, x2, y2) {
    return this.element("line", { class: kind, x1, y1, x2, y2 });
  }

  // The crosshair in every panel; what it reads only in the panel that is pointed at.
  drawReading() {
    const { step, hidden } = this.state;
    const [from, to] = this.view;
    const found = step !== null && step >= from && step <= to ? reading(this.panel, hidden, step) : null;
    this.cursor.replaceChildren();
    this.box.hidden = found === null || !this.isRead;
    if (found === null) return;
    const x = this.x(step);
    this.cursor.append(this.line("", x, this.top, x, this.bottom));
    for (const { trace } of found.rows.filter(({ trace }) => trace.kind !== "band")) {
      const y = this.y(trace.values[step - trace.first]);
      this.cursor.append(this.element("circle", { class: `dot ${trace.kind}`, cx: x, cy: y, r: 3.5 }));
    }
    if (this.box.hidden) return;
    const time = document.createElement("b");
    time.textContent = found.time;
    const rows = found.rows.map(({ trace, text }) => {
      const [row, value] = [document.createElement("span"), document.createElement("em")];
      value.textContent = text;
      row.append(swatch(trace), trace.name, value);
      return row;
    });
    this.box.replaceChildren(time, ...(rows.length > 0 ? rows : ["missing"]));
    // Beside the crosshair, on the side with more room.
    const scale = this.svg.clientWidth / this.svg.viewBox.baseVal.width || 1;
    const isLeft = x > (this.left + this.right) / 2;
    this.box.style.left = isLeft ? "" : `${(x + 12) * scale}px`;
    this.box.style.right = isLeft ? `${this.svg.clientWidth - (x - 12) * scale}px` : "";
  }

  drawSelection(from, to) {
    const [a, b] = [from, to].map((x) => Math.min(Math.max(x, this.left), this.right)).sort((a, b) => a - b);
    const area = { x: a, y: this.top, width: b - a, height: this.bottom - this.top };
    this.selection.replaceChildren(this.element("rect", area));
  }

  // What pointers and keys do.
  follow() {
    const { svg } = this;
    const x = (event) => {
      const box = svg.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    };
    const zoom = (factor, anchor) => this.show((whole) => zoomed(this.view, factor, anchor, whole));
    const pan = (by) => this.show((whole) => panned(this.view, by, whole));
    const readAt = (step) => {
      this.isRead = step !== null;
      const [first, last] = wholeView(this.panel);
      this.read(step === null ? null : Math.min(Math.max(Math.round(step), first), last));
    };
    followWheel(this, x, zoom, pan);
    followPointers(this, x, zoom, pan, readAt);
    followKeys(this, zoom, pan, readAt);
    svg.addEventListener("dblclick", () => this.show(null));
  }
}

function followWheel(chart, x, zoom, pan) {
  chart.svg.addEventListener("wheel", (event) => {
    const [from, to] = chart.view;
    const pixels = event.deltaMode === 0 ? 1 : 16;
    const [across, along] = [event.deltaX * pixels, event.deltaY * pixels];
    const isPan = event.shiftKey || Math.abs(across) > Math.abs(along);
    // With nothing to zoom out of or to move, the wheel scrolls the page.
    if (chart.state.view === null && (isPan || along > 0) && !event.ctrlKey) return;
    event.preventDefault();
    if (isPan) pan(((to - from) * (across || along)) / (chart.right - chart.left));
    else zoom(Math.exp(Math.min(Math.max(along, -100), 100) * (event.ctrlKey ? 0.01 : 0.002)), chart.step(x(event)));
  }, { passive: false });
}

// A mouse selects a range, or moves the view while Shift is held; one finger moves it, two zoom.
function followPointers(chart, x, zoom, pan, readAt) {
  const { svg } = chart;
  const pointers = new Map();
  let drag = null;

  svg.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    svg.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, x(event));
    drag = { from: x(event), kind: event.pointerType === "touch" || event.shiftKey ? "pan" : "select" };
    chart.frame.classList.toggle("panning", drag.kind === "pan");
  });
  svg.addEventListener("pointermove", (event) => {
    const now = x(event);
    const before = pointers.get(event.pointerId);
    if (before !== undefined && pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const spread = Math.max(Math.abs(now - other), 1);
      zoom(Math.max(Math.abs(before - other), 1) / spread, chart.step((now + other) / 2));
    } else if (before !== undefined && drag?.kind === "pan") {
      pan(chart.step(before) - chart.step(now));
    } else if (drag?.kind === "select") {
      chart.drawSelection(drag.from, now);
    }
    if (before !== undefined) pointers.set(event.pointerId, now);
    readAt(chart.step(now));
  });
  const end = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    const [a, b] = [drag?.from, x(event)].map((place) => chart.step(place)).sort((a, b) => a - b);
    if (drag?.kind === "select" && event.type === "pointerup" && Math.abs(x(event) - drag.from) > 5) {
      const [from, to] = chart.view;
      chart.show((whole) => selected([Math.max(a, from), Math.min(b, to)], whole));
    }
    drag = null;
    chart.selection.replaceChildren();
    chart.frame.classList.remove("panning");
  };
  svg.addEventListener("pointerup", end);
  svg.addEventListener("pointercancel", end);
  svg.addEventListener("pointerleave", () => readAt(null));
}

function followKeys(chart, zoom, pan, readAt) {
  chart.svg.addEventListener("keydown", (event) => {
    const [from, to] = chart.view;
    const here = chart.isRead && chart.state.step !== null ? chart.state.step : null;
    const center = here ?? (from + to) / 2;
    const sides = { ArrowLeft: -1, ArrowRight: 1 };
    const actions = {
      "+": () => zoom(0.5, center),
      "=": () => zoom(0.5, center),
      "-": () => zoom(2, center),
      Escape: () => chart.show(null),
      Home: () => readAt(Math.ceil(from)),
      End: () => readAt(Math.floor(to)),
    };
    for (const [key, side] of Object.entries(sides)) {
      const next = here === null ? (side < 0 ? Math.floor(to) : Math.ceil(from)) : here + side;
      actions[key] = () => (event.shiftKey ? pan(((to - from) / 10) * side) : readAt(next));
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    actions[event.key]();
  });
  chart.svg.addEventListener("blur", () => readAt(null));
}

if (typeof document !== "undefined") start();
