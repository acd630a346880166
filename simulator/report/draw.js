// Draws one picture of a world into rows that share a time axis. Knows nothing of buttons, keys or the trace.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const BAR = 9, GAP = 2, PAD = 5, LOG_HEIGHT = 132, FAULT_ROWS = 4;

function svg(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.append(node);
  return node;
}

function html(name, attributes, parent, text) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

const seconds = (value) => `${value.toFixed(value < 100 ? 3 : 2)} s`;

function lasted(from, to) {
  const spent = to - from;
  return spent < 0.0005 ? "at once" : spent < 1 ? `${(spent * 1000).toFixed(spent < 0.1 ? 1 : 0)} ms` : seconds(spent);
}

/** Round steps for an axis of so many seconds on so many pixels. */
function ticks(from, to, pixels) {
  const raw = (to - from) / Math.max(pixels / 90, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
  const found = [];
  for (let number = Math.ceil(from / step); number * step <= to; number++) found.push(number * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

class Drawing {
  constructor(data, rows, say) {
    this.data = data;
    this.rows = rows;
    this.say = say; // say(node, title, lines, time): what hovering shows, and where a click leads
    this.accusedPlaces = new Set();
    this.accusedNames = new Set();
    for (const violation of data.violations) {
      for (const [partition, offset] of violation.places) {
        this.accusedPlaces.add(`${partition}@${offset}`);
        if (offset === null) this.accusedNames.add(partition);
      }
      violation.processes.forEach((name) => this.accusedNames.add(name));
    }
    this.bars = data.lives.flatMap((life) => life.lanes.flatMap((lane) => lane.bars.map((bar) => ({ ...bar, life, lane }))));
  }

  draw(from, to, width) {
    this.from = from;
    this.to = to;
    this.width = width;
    this.rows.replaceChildren();
    this.faults();
    for (const life of this.data.lives) this.life(life);
    if (this.data.logs.length) {
      const title = html("div", { class: "row title" }, this.rows);
      html("small", {}, html("div", { class: "name" }, title, "Offsets "), "— handlers at their offset, between what is committed and the log's end");
    }
    for (const log of this.data.logs) this.log(log);
  }

  x(time) {
    return ((time - this.from) / (this.to - this.from)) * this.width;
  }

  seen(from, to) {
    return to >= this.from && from <= this.to;
  }

  /** A span as x and width, cut to what is shown. */
  span(from, to, least = 0) {
    const left = Math.max(this.x(from), -10), right = Math.min(this.x(to), this.width + 10);
    return { x: left.toFixed(2), width: Math.max(right - left, least).toFixed(2) };
  }

  row(kind, height, name, small) {
    const row = html("div", { class: `row ${kind}` }, this.rows);
    const label = html("div", { class: "name", title: name }, row, name);
    if (small) html("small", {}, label, ` ${small}`);
    const picture = svg("svg", { height, viewBox: `0 0 ${this.width} ${height}`, preserveAspectRatio: "none" }, row);
    for (const time of ticks(this.from, this.to, this.width).found) {
      svg("line", { class: "grid", x1: this.x(time), x2: this.x(time), y1: 0, y2: height }, picture);
    }
    return { row, picture };
  }

  axis(node) {
    node.replaceChildren();
    const row = html("div", { class: "row" }, node);
    html("div", { class: "name" }, row, "virtual time");
    const picture = svg("svg", { height: 24, viewBox: `0 0 ${this.width} 24` }, row);
    const { found, digits } = ticks(this.from, this.to, this.width);
    for (const time of found) {
      svg("line", { class: "frame", x1: this.x(time), x2: this.x(time), y1: 19, y2: 24 }, picture);
      const x = this.x(time), anchor = x < 20 ? "start" : x > this.width - 20 ? "end" : "middle";
      svg("text", { x, y: 14, "text-anchor": anchor }, picture).textContent = `${time.toFixed(digits)} s`;
    }
  }

  faults() {
    const { picture } = this.row("faults", FAULT_ROWS * 15 + 4, "faults", `${this.data.faults.length}`);
    const free = new Array(FAULT_ROWS).fill(-Infinity);
    for (const fault of this.data.faults) {
      if (!this.seen(fault.at, fault.at)) continue;
      const x = this.x(fault.at);
      let row = free.findIndex((end) => end <= x - 5);
      const crowded = row < 0;
      if (crowded) row = free.indexOf(Math.min(...free));
      const y = row * 15 + 8;
      const node = svg("path", { class: "fault", d: `M${x} ${y - 5}l5 5l-5 5l-5 -5z` }, picture);
      this.say(node, `Fault: ${fault.kind}`, [fault.says, fault.target && `of ${fault.target}`, `number ${fault.number}, ${seconds(fault.at)}`], fault.at);
      free[row] = x + 6;
      const label = fault.kind.length * 5.8 + 14;
      const crowd = this.data.faults.filter((other) => other.at > fault.at && this.x(other.at) < x + label).length;
      if (!crowded && crowd < FAULT_ROWS) {
        svg("text", { class: "fault-text", x: x + 8, y: y + 3.5 }, picture).textContent = fault.kind;
        free[row] = x + label;
      }
    }
  }

  life(life) {
    const ended = { killed: "killed", ended: life.error ? "ended with an error" : "ended", unfinished: "" }[life.how];
    const { row, picture } = this.row("life", 26, life.name, ended);
    if (this.accusedNames.has(life.name)) row.classList.add("accused");
    const y = 13;
    if (this.seen(life.began, life.ended)) {
      const line = this.span(life.began, life.ended);
      const end = +line.x + +line.width;
      const node = svg("line", { class: "life-line", x1: line.x, x2: end, y1: y, y2: y }, picture);
      this.say(node, `Process ${life.name}`, [`from ${seconds(life.began)} to ${seconds(life.ended)}, ${life.how}`, life.error], life.began);
      const x = this.x(life.ended);
      if (life.how === "killed") svg("path", { class: "life-end killed", d: `M${x - 5} ${y - 5}l10 10m0 -10l-10 10` }, picture);
      if (life.how === "ended") svg("circle", { class: "life-end ended", cx: x, cy: y, r: 4 }, picture);
    }
    for (const [from, to, whole] of life.frozen) {
      if (!this.seen(from, to)) continue;
      const node = svg("rect", { class: "frozen", ...this.span(from, to, 2), y: 2, height: 22 }, picture);
      this.say(node, whole ? "The whole process stood still" : "The event loop stood still", [`for ${lasted(from, to)} from ${seconds(from)}`], from);
    }
    for (const commit of life.commits) this.commit(commit, life, picture, y);
    for (const [time, code, fatal] of life.errors) {
      if (!this.seen(time, time)) continue;
      const node = svg("path", { class: "error", d: `M${this.x(time)} ${y - 11}l4 7h-8z` }, picture);
      this.say(node, `Error of the client: ${code}`, [fatal && "fatal", seconds(time)], time);
    }
    for (const lane of life.lanes) this.lane(life, lane);
  }

  commit(commit, life, picture, y) {
    const to = commit.to ?? life.ended;
    if (!this.seen(commit.from, to)) return;
    const state = commit.to === null ? "unanswered" : commit.error ? "refused" : "";
    const node = svg("g", { class: `commit ${state}` }, picture);
    svg("line", { x1: Math.max(this.x(commit.from), -5), x2: Math.min(this.x(to), this.width + 5), y1: y, y2: y }, node);
    const x = this.x(commit.from);
    svg("path", { d: `M${x} ${y - 5}l4 5l-4 5l-4 -5z` }, node);
    const offsets = commit.offsets.map(([partition, offset, map]) => `${partition}@${offset}${map ? ` with a map of ${map} characters` : ""}`);
    const answer = commit.to === null ? "never answered" : `${commit.error || "acknowledged"} after ${lasted(commit.from, commit.to)}`;
    this.say(node, `Commit ${commit.number}${commit.revoke ? " in a revoke" : ""}`, [...offsets, `${answer}, asked at ${seconds(commit.from)}`], commit.from);
  }

  lane(life, lane) {
    const height = lane.tracks * (BAR + GAP) + 2 * PAD + 3;
    const { row, picture } = this.row("lane", height, lane.partition);
    if (this.accusedNames.has(lane.partition)) row.classList.add("accused");
    for (const tenure of lane.tenures) this.tenure(tenure, life, lane, picture, height);
    for (const [time, count, first, last] of lane.fetches) {
      if (!this.seen(time, time)) continue;
      const node = svg("line", { class: "fetch", x1: this.x(time), x2: this.x(time), y1: height - 6, y2: height - 1 }, picture);
      this.say(node, `${count} record${count === 1 ? "" : "s"} fetched`, [`${lane.partition}@${first}–${last}`, seconds(time)], time);
    }
    for (const [from, to] of lane.pauses) {
      if (!this.seen(from, to)) continue;
      const line = this.span(from, to, 2);
      const node = svg("line", { class: "pause", x1: line.x, x2: +line.x + +line.width, y1: height - 1, y2: height - 1 }, picture);
      this.say(node, "Fetching paused", [`for ${lasted(from, to)} from ${seconds(from)}`], from);
    }
    for (const bar of lane.bars) this.bar(bar, life, lane, picture, PAD + bar.track * (BAR + GAP), BAR);
  }

  tenure(tenure, life, lane, picture, height) {
    if (!this.seen(tenure.from, tenure.to)) return;
    const node = svg("rect", { class: "tenure", ...this.span(tenure.from, tenure.to, 1), y: 1.5, height: height - 3, rx: 3 }, picture);
    const from = `from ${tenure.committed}${tenure.map ? `, map of ${tenure.map} characters` : ""}`;
    this.say(node, `Tenure ${tenure.number}: ${lane.partition} of ${life.name}`,
      [`${seconds(tenure.from)} to ${seconds(tenure.to)}, ${from}`, tenure.revoked !== null && `revoked at ${seconds(tenure.revoked)}`, tenure.how], tenure.from);
    if (tenure.revoked !== null) {
      const hatch = svg("rect", { class: "revoke", ...this.span(tenure.revoked, tenure.to, 3), y: 1.5, height: height - 3 }, picture);
      this.say(hatch, `Revoke of ${lane.partition}`, [`${tenure.how} after ${lasted(tenure.revoked, tenure.to)}`, seconds(tenure.revoked)], tenure.revoked);
    }
    svg("rect", { class: `tenure-end ${tenure.how}`, x: this.x(tenure.to) - 1.5, width: 2.5, y: 1.5, height: height - 3 }, picture);
  }

  bar(bar, life, lane, picture, y, height) {
    if (!this.seen(bar.from, bar.to)) return;
    const place = `${lane.partition}@${bar.offset}`;
    const accused = this.accusedPlaces.has(place) ? " accused" : "";
    const span = this.span(bar.from, bar.to, 2.5);
    const node = svg("rect", { class: `bar ${bar.outcome}${accused}`, ...span, y, height, rx: Math.min(2, height / 2), "data-place": place }, picture);
    if (height >= BAR && span.width > String(bar.offset).length * 6 + 6) {
      const text = svg("text", { class: `bar-text ${bar.outcome}`, x: Math.max(+span.x, 0) + 4, y: y + 7.5 }, picture);
      text.textContent = bar.offset;
    }
    this.say(node, `${place}  ${bar.outcome}`,
      [`by ${life.name}, key ${bar.key}, attempt ${bar.attempt}`, bar.detail, `${lasted(bar.from, bar.to)} from ${seconds(bar.from)}, call ${bar.call}`], bar.from, place);
  }

  log(log) {
    const { row, picture } = this.row("log", LOG_HEIGHT, log.partition, "");
    if (this.accusedNames.has(log.partition)) row.classList.add("accused");
    const bars = this.bars.filter((bar) => bar.lane.partition === log.partition);
    const committed = [[0, 0], ...log.committed.map(([time, offset]) => [time, Math.max(offset, 0)])];
    const ends = [[0, 0], ...log.ends];
    const { low, high } = this.offsets(bars, committed, ends);
    const y = (offset) => LOG_HEIGHT - 8 - ((offset - low) / (high - low)) * (LOG_HEIGHT - 18);
    const end = this.data.end;
    svg("rect", { class: "frame", x: 0.5, y: 1, width: this.width - 1, height: LOG_HEIGHT - 4, rx: 3 }, picture);
    const down = `V${LOG_HEIGHT}H${this.clip(0)}Z`;
    svg("path", { class: "safe", d: this.steps(committed, end, y) + down }, picture);
    if (log.starts.length) svg("path", { class: "log-start", d: this.steps([[0, 0], ...log.starts], end, y) + down }, picture);
    svg("path", { class: "log-end", d: this.steps(ends, end, y) }, picture);
    const thick = Math.max(2, Math.min(BAR - 2, (LOG_HEIGHT - 18) / (high - low) - 1));
    for (const bar of bars) this.bar(bar, bar.life, bar.lane, picture, y(bar.offset + 0.5) - thick / 2, thick);
    svg("path", { class: "committed", d: this.steps(committed, end, y) }, picture);
    for (const [time, offset, by, number, map] of log.committed) {
      if (!this.seen(time, time)) continue;
      const node = svg("circle", { class: "commit", cx: this.x(time), cy: y(Math.max(offset, 0)), r: 2.6 }, picture);
      const who = number ? `commit ${number} of ${by}` : by;
      this.say(node, `${log.partition} committed: ${offset < 0 ? "none" : offset}`, [who, map && `with a map of ${map} characters`, seconds(time)], time);
    }
    const last = this.at(ends, this.to);
    svg("text", { x: 6, y: 14 }, picture).textContent = last > high ? `${Math.round(high)}, the log ends at ${last} ↑` : `${Math.round(high)}`;
    svg("text", { x: 6, y: LOG_HEIGHT - 8 }, picture).textContent = `${Math.round(low)}`;
  }

  /** The offsets to show: around what is handled and committed in sight, and the log's end if it is not far. */
  offsets(bars, committed, ends) {
    const inside = committed.filter(([time]) => this.seen(time, time)).map(([, offset]) => offset);
    const busy = bars.filter((bar) => this.seen(bar.from, bar.to)).map((bar) => bar.offset);
    const all = [...inside, ...busy, this.at(committed, this.from), this.at(committed, this.to)];
    const least = Math.min(...all), most = Math.max(...all) + 1, last = this.at(ends, this.to);
    const room = Math.max((most - least) * 0.5, 8);
    const high = last <= most + room ? Math.max(most, last) : most + room;
    return { low: Math.max(0, least - (least > room ? 1 : room)), high };
  }

  /** What a stepwise line says at this time. */
  at(points, time) {
    let value = 0;
    for (const [when, now] of points) if (when <= time) value = now;
    return value;
  }

  /** A line that goes on until the next point, and then up or down. */
  steps(points, end, y) {
    let path = `M${this.clip(points[0][0])} ${y(points[0][1])}`;
    for (const [time, value] of points.slice(1)) path += `H${this.clip(time)}V${y(value).toFixed(1)}`;
    return `${path}H${this.clip(end)}`;
  }

  clip(time) {
    return Math.max(-20, Math.min(this.width + 20, this.x(time))).toFixed(1);
  }
}
