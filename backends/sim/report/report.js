"use strict";
// On paper nothing can be opened.
window.addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});

// The timelines of all schedulers move together: they share one window of time. Without this
// script they stand still and show the same.
(() => {
  const source = document.getElementById("timeline-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const lanes = [...document.querySelectorAll("svg.lane")];
  const said = document.querySelector("#timeline output");
  const whole = data.units;
  const narrowest = whole / 2000;
  let left = 0;
  let width = whole;
  document.documentElement.classList.add("js");

  const ns = (units) => data.start + (units / whole) * (data.end - data.start);

  function time(value) {
    for (const [size, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "us"]]) {
      if (value >= size) return `${Number((value / size).toPrecision(3))} ${name}`;
    }
    return `${Math.round(value)} ns`;
  }

  function ticks() {
    const from = ns(left);
    const to = ns(left + width);
    let step = 1;
    while (step * 5 < to - from) step *= String(step)[0] === "2" ? 2.5 : 2;
    const [size, name] = [[1e9, "s"], [1e6, "ms"], [1e3, "us"]].find(([one]) => step * 5 >= one) || [1e3, "us"];
    const digits = Math.max(0, Math.ceil(Math.log10(size / step)));
    const found = [];
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      found.push([(100 * (at - from)) / (to - from), `${(at / size).toFixed(digits)} ${name}`]);
    }
    return found;
  }

  function draw() {
    for (const lane of lanes) {
      const box = lane.viewBox.baseVal;
      lane.setAttribute("viewBox", `${left} 0 ${width} ${box.height}`);
    }
    const made = ticks();
    for (const axis of document.querySelectorAll("svg.times")) {
      axis.replaceChildren();
      for (const [at, label] of made) {
        const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
        const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
        for (const [key, value] of [["x1", `${at}%`], ["x2", `${at}%`], ["y1", 0], ["y2", 4]]) line.setAttribute(key, value);
        text.setAttribute("x", `${at}%`);
        text.setAttribute("y", 15);
        text.setAttribute("text-anchor", at < 6 ? "start" : at > 92 ? "end" : "middle");
        text.textContent = label;
        axis.append(line, text);
      }
    }
  }

  function show(newLeft, newWidth) {
    width = Math.min(whole, Math.max(narrowest, newWidth));
    left = Math.min(whole - width, Math.max(0, newLeft));
    draw();
  }

  // Zoom so that what lies at `share` of the visible width stays there.
  function zoom(factor, share = 0.5) {
    const wanted = Math.min(whole, Math.max(narrowest, width * factor));
    show(left + share * (width - wanted), wanted);
  }

  function tell(lane, event) {
    const box = lane.getBoundingClientRect();
    const at = left + (width * (event.clientX - box.left)) / box.width;
    const cpu = Math.floor(((event.clientY - box.top) / box.height) * (data.cpus + 1));
    const spans = data.arms[lanes.indexOf(lane)];
    const slack = (2 * width) / box.width;
    let best = -1;
    let distance = slack;
    for (let i = 0; i < spans.length; i += 4) {
      if (spans[i] !== cpu) continue;
      const away = Math.max(spans[i + 1] - at, at - spans[i + 1] - spans[i + 2], 0);
      if (away < distance || (away === 0 && best < 0)) {
        best = i;
        distance = away;
      }
    }
    if (cpu >= data.cpus) return;
    if (best < 0) {
      said.textContent = `cpu ${cpu}: idle at ${time(ns(at))}`;
      return;
    }
    const [name, pid, group] = data.tasks[spans[best + 3]];
    const length = (spans[best + 2] / whole) * (data.end - data.start);
    const cut = spans[best + 1] === 0 || spans[best + 1] + spans[best + 2] >= whole;
    said.textContent = `${name} (${pid}${group && group !== name ? `, ${group}` : ""}) on cpu ${cpu}: ${cut ? "at least " : ""}${time(length)} from ${time(ns(spans[best + 1]))}`;
  }

  const doing = {
    in: () => zoom(0.5),
    out: () => zoom(2),
    left: () => show(left - width / 3, width),
    right: () => show(left + width / 3, width),
    all: () => show(0, whole),
  };
  for (const button of document.querySelectorAll("#timeline button")) {
    button.addEventListener("click", () => doing[button.dataset.do]());
  }

  const keys = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all" };
  for (const lane of lanes) {
    const fingers = new Map();
    lane.addEventListener("keydown", (event) => {
      if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
        doing[keys[event.key]]();
        event.preventDefault();
      }
    });
    lane.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      const box = lane.getBoundingClientRect();
      zoom(Math.exp(event.deltaY / 300), (event.clientX - box.left) / box.width);
      event.preventDefault();
    }, { passive: false });
    lane.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event.clientX);
      lane.setPointerCapture(event.pointerId);
      tell(lane, event);
    });
    lane.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) {
        tell(lane, event);
        return;
      }
      const box = lane.getBoundingClientRect();
      const before = fingers.get(event.pointerId);
      if (fingers.size === 1) {
        show(left - (width * (event.clientX - before)) / box.width, width);
      } else if (fingers.size === 2) {
        const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
        const old = Math.abs(before - other);
        const now = Math.abs(event.clientX - other);
        if (old > 5 && now > 5) zoom(old / now, ((before + other) / 2 - box.left) / box.width);
      }
      fingers.set(event.pointerId, event.clientX);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      lane.addEventListener(end, (event) => fingers.delete(event.pointerId));
    }
  }
  window.addEventListener("beforeprint", () => show(0, whole));
})();
