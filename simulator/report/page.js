// The page: what is shown of the time axis, and everything that one can press, drag or hover.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const SPAN_MIN = 0.002, LINE = 18, CARDS = 3;

// Theme: the browser's, until somebody chooses

function themed() {
  return document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  at("theme").textContent = themed() === "dark" ? "☀" : "☾";
}

function switchTheme() {
  const theme = themed() === "dark" ? "light" : "dark";
  setTheme(theme);
  try { localStorage.setItem("simulator-theme", theme); } catch { /* a page from a file may not remember */ }
}

// Head

function head() {
  const failed = data.violations.length || data.error;
  at("badge").className = failed ? "bad" : "good";
  at("badge").textContent = data.violations.length ? "✗ promise broken" : data.error ? "✗ did not end" : "✓ promise kept";
  at("seed").textContent = `Seed ${data.seed}`;
  for (const [name, value] of data.scenario) {
    const pair = html("div", {}, at("facts"));
    html("dt", {}, pair, name);
    html("dd", {}, pair, value);
  }
  at("command").textContent = data.command;
  at("pasted").textContent = data.pasted;
  at("marks-legend").textContent = data.legend.join("\n");
  at("copy").onclick = async () => {
    try { await navigator.clipboard.writeText(data.command); at("copy").textContent = "Copied"; }
    catch { getSelection().selectAllChildren(at("command")); }
  };
  const more = html("details", {});
  html("summary", {}, more, `${data.violations.length - CARDS} more`);
  data.violations.forEach((violation, index) => {
    const card = html("div", { class: "violation" }, index < CARDS ? at("violations") : more);
    const title = html("p", {}, card);
    html("b", {}, title, violation.oracle);
    html("span", { class: "when" }, title, `${violation.anomaly ? `  ${violation.anomaly}` : ""}  at ${seconds(violation.at)}`);
    html("p", {}, card, violation.text);
    html("button", { type: "button" }, card, "Show").onclick = () => show(violation.at);
  });
  if (data.violations.length > CARDS) at("violations").append(more);
  if (data.error) {
    const card = html("div", { class: "violation" }, at("violations"));
    html("b", {}, html("p", {}, card), "The world did not come to its end");
    html("p", {}, card, data.error);
  } else if (!failed) {
    html("div", { class: "kept" }, at("violations"), "No oracle found anything, and after the faults everything was committed.");
  }
  at("next").disabled = !data.violations.length;
}

function figures() {
  const bars = drawing.bars;
  const again = bars.length - new Set(bars.filter((bar) => bar.attempt === 1).map((bar) => `${bar.lane.partition}@${bar.offset}`)).size;
  const lives = data.lives;
  const rows = [
    [data.end.toFixed(1), "virtual seconds"],
    [bars.length, "handler calls"],
    [Math.max(again, 0), "of them again"],
    [lives.reduce((sum, life) => sum + life.commits.length, 0), "commits"],
    [lives.reduce((sum, life) => sum + life.lanes.reduce((all, lane) => all + lane.tenures.length, 0), 0), "tenures"],
    [lives.length, lives.length === 1 ? "process" : "processes"],
    [data.faults.length, "faults"],
  ];
  for (const [value, name] of rows) {
    const figure = html("div", {}, at("figures"));
    html("b", {}, figure, Number(value).toLocaleString("en"));
    html("span", {}, figure, name);
  }
}

function legend() {
  const entries = [
    ["rect", { class: "bar succeeded" }, "succeeded"], ["rect", { class: "bar failed" }, "failed"],
    ["rect", { class: "bar cancelled" }, "cancelled"], ["rect", { class: "bar unfinished" }, "died with its process"],
    ["rect", { class: "tenure" }, "assigned"], ["rect", { class: "revoke" }, "revoke"], ["rect", { class: "frozen" }, "frozen"],
    ["commit", {}, "commit"], ["fault", {}, "fault"], ["killed", {}, "killed"],
  ];
  for (const [shape, attributes, text] of entries) {
    const item = html("li", {}, at("legend"));
    const icon = svg("svg", { width: 16, height: 11 }, item);
    if (shape === "rect") svg("rect", { x: 1, y: 1, width: 14, height: 9, rx: 2, ...attributes }, icon);
    else if (shape === "killed") svg("path", { class: "life-end killed", d: "M4 1.5l8 8m0 -8l-8 8" }, icon);
    else svg("path", { class: shape, d: "M8 .5l5 5l-5 5l-5 -5z" }, icon);
    item.append(text);
  }
}

function hatches() {
  const holder = svg("svg", { width: 0, height: 0, style: "position:absolute", "aria-hidden": "true" }, document.body);
  const definitions = svg("defs", {}, holder);
  for (const [name, colour, opacity] of [["revoke", "--revoke", 0.75], ["freeze", "--freeze", 0.75], ["gone", "--faint", 0.6], ["lost", "--lost", 1]]) {
    const pattern = svg("pattern", { id: `hatch-${name}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, definitions);
    svg("line", { x1: 0, y1: 0, x2: 0, y2: 6, style: `stroke: var(${colour}); stroke-width: 3; stroke-opacity: ${opacity}` }, pattern);
  }
}

// What is shown

const drawing = new Drawing(data, at("rows"), say);
const view = { from: 0, to: Math.max(data.end, SPAN_MIN) };
const whole = { from: -data.end * 0.01, to: Math.max(data.end, SPAN_MIN) * 1.01 };
let due = false;

function look(from, to) {
  const span = Math.min(Math.max(to - from, SPAN_MIN), whole.to - whole.from);
  view.from = Math.max(whole.from, Math.min(from, whole.to - span));
  view.to = view.from + span;
  if (!due) {
    due = true;
    requestAnimationFrame(draw);
  }
}

function gutter() {
  const row = at("axis").querySelector(".name");
  return row ? row.getBoundingClientRect().width : 150;
}

function draw() {
  due = false;
  const width = Math.max(at("chart").clientWidth - gutter(), 120);
  drawing.draw(view.from, view.to, width);
  drawing.axis(at("axis"));
  marks();
  overview();
  at("chart").dataset.drawn = "yes";
}

function marks() {
  at("marks").replaceChildren();
  data.phases.forEach((phase, index) => {
    const next = data.phases[index + 1], x = drawing.x(phase.from);
    if (phase.name === "faults" && next) {
      const wash = html("div", { class: "wash" }, at("marks"));
      wash.style.left = `${x}px`;
      wash.style.width = `${drawing.x(next.from) - x}px`;
    } else if (drawing.seen(phase.from, phase.from)) {
      html("div", { class: "phase" }, at("marks")).style.left = `${x}px`;
      html("div", { class: "phase-name" }, at("marks"), phase.name).style.left = `${Math.min(x, drawing.width - 34)}px`;
    }
  });
  let flagged = -Infinity;
  for (const violation of data.violations) {
    if (!drawing.seen(violation.at, violation.at)) continue;
    const x = drawing.x(violation.at);
    html("div", { class: "violation-line" }, at("marks")).style.left = `${x}px`;
    if (x - flagged > 120) {
      html("div", { class: "flag" }, at("marks"), violation.oracle).style.left = `${Math.min(Math.max(x, 50), drawing.width - 60)}px`;
      flagged = x;
    }
  }
}

function zoom(factor, centre = (view.from + view.to) / 2) {
  look(centre - (centre - view.from) * factor, centre + (view.to - centre) * factor);
}

function move(share) {
  const by = (view.to - view.from) * share;
  look(view.from + by, view.to + by);
}

function show(time) {
  const span = Math.min(view.to - view.from, Math.max(data.end / 12, 0.5));
  look(time - span * 0.7, time + span * 0.3);
  find(time, true);
}

function nextViolation() {
  const later = data.violations.find((one) => one.at > last + 1e-9) || data.violations[0];
  if (later) { last = later.at; show(later.at); }
}
let last = -1;

// Overview

function overview() {
  const node = at("overview"), width = node.clientWidth, height = node.clientHeight;
  const x = (time) => ((time - whole.from) / (whole.to - whole.from)) * width;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}` });
  const slots = Math.max(Math.floor(width / 3), 1), busy = new Array(slots).fill(0);
  for (const bar of drawing.bars) {
    const first = Math.floor((x(bar.from) / width) * slots), to = Math.floor((x(bar.to) / width) * slots);
    for (let slot = Math.max(first, 0); slot <= Math.min(to, slots - 1); slot++) busy[slot]++;
  }
  const most = Math.max(1, ...busy);
  busy.forEach((count, slot) => {
    const tall = (count / most) * (height - 16);
    if (count) svg("rect", { class: "busy", x: (slot * width) / slots, width: width / slots + 0.3, y: height - tall, height: tall }, picture);
  });
  for (const fault of data.faults) svg("rect", { class: "fault", x: x(fault.at) - 0.75, width: 1.5, y: 3, height: 8 }, picture);
  for (const violation of data.violations) svg("line", { class: "overview-bad", x1: x(violation.at), x2: x(violation.at), y1: 0, y2: height }, picture);
  svg("rect", { class: "brush", x: x(view.from) + 0.5, width: Math.max(x(view.to) - x(view.from) - 1, 2), y: 0.5, height: height - 1, rx: 4 }, picture);
  for (const side of ["from", "to"]) svg("rect", { class: "handle", "data-side": side, x: x(view[side]) - 2.5, width: 5, y: height / 2 - 9, height: 18, rx: 2.5 }, picture);
  node.replaceChildren(picture);
}

function dragged(node, begin) {
  node.addEventListener("pointerdown", (down) => {
    if (down.button) return;
    const on = begin(down);
    if (!on) return;
    let moved = false;
    const moveTo = (event) => {
      if (!moved && Math.abs(event.clientX - down.clientX) < 3) return;
      moved = true;
      hush();
      node.classList.add("moving");
      on(event);
    };
    const stop = () => {
      node.classList.remove("moving");
      removeEventListener("pointermove", moveTo);
      removeEventListener("pointerup", stop);
      if (moved) addEventListener("click", (event) => event.stopPropagation(), { capture: true, once: true });
      setTimeout(() => {}, 0);
    };
    addEventListener("pointermove", moveTo);
    addEventListener("pointerup", stop);
  });
}

dragged(at("overview"), (down) => {
  const box = at("overview").getBoundingClientRect(), scale = (whole.to - whole.from) / box.width;
  const time = (event) => whole.from + (event.clientX - box.left) * scale;
  const side = down.target.dataset.side, before = { ...view }, start = time(down);
  if (side === "from") return (event) => look(Math.min(time(event), before.to - SPAN_MIN), before.to);
  if (side === "to") return (event) => look(before.from, Math.max(time(event), before.from + SPAN_MIN));
  if (start < before.from || start > before.to) {
    const half = (before.to - before.from) / 2;
    look(start - half, start + half);
    return (event) => look(time(event) - half, time(event) + half);
  }
  return (event) => look(before.from + time(event) - start, before.to + time(event) - start);
});

dragged(at("chart"), (down) => {
  const before = { ...view }, scale = (view.to - view.from) / drawing.width;
  return (event) => look(before.from - (event.clientX - down.clientX) * scale, before.to - (event.clientX - down.clientX) * scale);
});

at("chart").addEventListener("wheel", (event) => {
  const box = at("chart").getBoundingClientRect();
  const share = (event.clientX - box.left - gutter()) / drawing.width;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    zoom(Math.exp(event.deltaY * 0.004), view.from + share * (view.to - view.from));
  } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    event.preventDefault();
    move(event.deltaX / drawing.width);
  }
}, { passive: false });

at("chart").addEventListener("dblclick", (event) => {
  const box = at("chart").getBoundingClientRect();
  zoom(0.5, view.from + ((event.clientX - box.left - gutter()) / drawing.width) * (view.to - view.from));
});

// Hovering

const said = new WeakMap();

function say(node, title, lines, time, place) {
  said.set(node, { title, lines: lines.filter(Boolean), time, place });
}

function told(target) {
  for (let node = target; node && node !== at("chart"); node = node.parentNode) if (said.has(node)) return said.get(node);
  return null;
}

function hush() {
  at("tip").style.display = "none";
  at("rows").classList.remove("focus");
  at("rows").querySelectorAll(".same").forEach((node) => node.classList.remove("same"));
}

function hovered(event) {
  const box = at("chart").getBoundingClientRect();
  const cursor = at("cursor").querySelector("i") || html("i", {}, at("cursor"));
  cursor.style.display = event.clientX - box.left > gutter() ? "block" : "none";
  cursor.style.left = `${event.clientX - box.left - gutter()}px`;
  hush();
  const found = told(event.target);
  if (!found || event.buttons) return;
  const tip = at("tip");
  tip.replaceChildren();
  html("b", {}, tip, found.title);
  for (const line of found.lines) html("span", {}, tip, line);
  tip.style.display = "block";
  const room = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - room.width - 8)}px`;
  tip.style.top = `${event.clientY + 18 + room.height > innerHeight ? event.clientY - room.height - 12 : event.clientY + 18}px`;
  if (found.place) {
    at("rows").classList.add("focus");
    at("rows").querySelectorAll(`[data-place="${CSS.escape(found.place)}"]`).forEach((node) => node.classList.add("same"));
  }
}

at("chart").addEventListener("pointermove", hovered);
at("chart").addEventListener("pointerleave", () => { hush(); const line = at("cursor").querySelector("i"); if (line) line.style.display = "none"; });
at("chart").addEventListener("click", (event) => { const found = told(event.target); if (found) find(found.time); });

// Trace: only the lines in sight are in the document

let lines = data.trace.map((line, index) => index), now = -1;

function filter() {
  const wanted = at("find").value.trim().toLowerCase();
  lines = data.trace.map((line, index) => index).filter((index) => !wanted || data.trace[index][2].toLowerCase().includes(wanted));
  const cut = data.trace_cut ? `, ${data.trace_cut.toLocaleString("en")} left out` : "";
  at("count").textContent = `${lines.length.toLocaleString("en")} lines${cut}`;
  at("trace-rows").style.height = `${lines.length * LINE}px`;
  list();
}

function list() {
  const box = at("trace"), first = Math.max(Math.floor(box.scrollTop / LINE) - 5, 0);
  const rows = lines.slice(first, first + Math.ceil(box.clientHeight / LINE) + 10).map((index, number) => {
    const [time, , text, tone] = data.trace[index];
    const row = html("div", { class: `line t-${tone}${index === now ? " now" : ""}` });
    row.style.top = `${(first + number) * LINE}px`;
    html("time", {}, row, time.toFixed(4));
    row.append(text);
    row.onclick = () => { now = index; show(time); };
    return row;
  });
  at("trace-rows").replaceChildren(...rows);
}

/** Bring the first line at this time into sight. */
function find(time, stay = false) {
  if (!lines.length) return;
  if (!(now >= 0 && Math.abs(data.trace[now][0] - time) < 1e-6)) {
    const place = lines.findIndex((index) => data.trace[index][0] >= time - 1e-6);
    now = lines[place < 0 ? lines.length - 1 : place];
  }
  const place = lines.indexOf(now), top = place * LINE, box = at("trace");
  if (!stay || top < box.scrollTop || top > box.scrollTop + box.clientHeight - LINE) box.scrollTop = top - box.clientHeight / 2;
  list();
}

at("trace").addEventListener("scroll", list, { passive: true });
at("find").addEventListener("input", filter);

// Buttons and keys

at("theme").onclick = switchTheme;
at("in").onclick = () => zoom(0.5);
at("out").onclick = () => zoom(2);
at("fit").onclick = () => look(whole.from, whole.to);
at("next").onclick = nextViolation;
const KEYS = {
  "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1.6), 0: () => look(whole.from, whole.to), v: nextViolation, t: switchTheme,
  ArrowLeft: () => move(-0.15), ArrowRight: () => move(0.15),
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, #trace")) return;
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(""));
new ResizeObserver(() => look(view.from, view.to)).observe(at("chart"));

// Begin: near the first violation if handlers ran there, else with everything

let remembered = "";
try { remembered = localStorage.getItem("simulator-theme") || ""; } catch { /* as above */ }
setTheme(remembered === "dark" || remembered === "light" ? remembered : "");
hatches();
legend();
head();
figures();
filter();
look(whole.from, whole.to);
if (data.violations.length) {
  last = data.violations[0].at;
  const span = Math.max(Math.min(data.end / 4, 3), 0.2), from = last - span * 0.75, to = last + span * 0.25;
  if (drawing.bars.some((bar) => bar.to >= from && bar.from <= to)) look(from, to);
  find(last);
}
