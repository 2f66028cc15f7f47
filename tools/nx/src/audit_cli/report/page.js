"use strict";
(() => {
  // Rows are arrays, see report.rs; names come from the trail and are only ever set as text.
  const data = JSON.parse(document.getElementById("data").textContent);
  const [SEQ, BOOT, TIME, OP, DECISION, REASON, IDS, CAP, RULE, GONE] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const NONE = 0, ALLOW = 1, DENY = 2, BUCKETS = 60, PAGE = 200;
  const KIND = { [NONE]: "none", [ALLOW]: "allow", [DENY]: "deny" };
  const SVG = "http://www.w3.org/2000/svg";
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, className) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  };
  const number = new Intl.NumberFormat("en");
  // Control and formatting characters are shown by their numbers, not obeyed.
  const shown = (name) => name.replace(/[\p{C}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  const seconds = (us) => `${(us / 1e6).toFixed(6)} s`;

  // Boots stand one after the other on the time axis.
  const starts = [];
  const ends = data.boots.map(() => 0);
  for (const row of data.rows) ends[row[BOOT]] = Math.max(ends[row[BOOT]], row[TIME] + 1);
  ends.reduce((at, end, boot) => ((starts[boot] = at), at + end), 0);
  const at = (row) => starts[row[BOOT]] + row[TIME];
  const moment = (x) => {
    let boot = starts.length - 1;
    while (boot > 0 && starts[boot] > x) boot--;
    const where = data.boots.length > 1 ? ` of boot ${data.boots[boot]}` : "";
    return seconds(Math.max(0, x - (starts[boot] || 0))) + where;
  };

  const selects = { subject: "f-subject", enforcer: "f-enforcer", decision: "f-decision", op: "f-op", reason: "f-reason" };
  const value = {
    subject: (row) => data.who[row[IDS][0]], enforcer: (row) => data.who[row[IDS][1]],
    decision: (row) => data.decisions[row[DECISION]], op: (row) => data.ops[row[OP]], reason: (row) => data.reasons[row[REASON]],
  };
  let state = {};
  let limit = PAGE;

  const matches = (row) => {
    for (const key in selects) if (state[key] && value[key](row) !== state[key]) return false;
    if (state.cap && !(row[CAP] || "").includes(state.cap)) return false;
    const x = at(row);
    return !(state.from !== undefined && (x < state.from || x > state.to));
  };

  const tally = (rows, key) => {
    const map = new Map();
    for (const row of rows) {
      const name = key(row);
      const entry = map.get(name) || { name, row, allow: 0, deny: 0, none: 0, count: 0, last: 0, caps: new Set() };
      entry[KIND[row[DECISION]]]++;
      entry.count++;
      entry.last = row;
      if (row[CAP]) entry.caps.add(row[CAP]);
      map.set(name, entry);
    }
    return [...map.values()];
  };

  const fillSelects = () => {
    for (const key in selects) {
      const select = $(selects[key]);
      const names = [...new Set(data.rows.map(value[key]))].sort();
      select.replaceChildren(new Option("all", ""), ...names.map((name) => new Option(name, name)));
      select.addEventListener("change", () => set({ [key]: select.value || undefined }));
    }
    $("f-cap").addEventListener("input", (event) => set({ cap: event.target.value || undefined }));
    $("clear").addEventListener("click", () => { state = {}; set({}); });
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("more").addEventListener("click", () => { limit += PAGE; draw(); });
    $("theme").addEventListener("click", () => {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
    });
  };

  // The filters stand in the address, so that a view can be passed on.
  const readHash = () => {
    const words = new URLSearchParams(location.hash.slice(1));
    state = {};
    for (const key of [...Object.keys(selects), "cap"]) if (words.get(key)) state[key] = words.get(key);
    const [from, to] = [words.get("from"), words.get("to")].map((text) => (text === null || text === "" ? NaN : Number(text)));
    if (Number.isFinite(from) && Number.isFinite(to)) Object.assign(state, { from, to });
    if (words.get("theme")) document.documentElement.dataset.theme = words.get("theme") === "dark" ? "dark" : "light";
  };
  const set = (change) => {
    Object.assign(state, change);
    for (const key in state) if (state[key] === undefined) delete state[key];
    limit = PAGE;
    try { history.replaceState(null, "", "#" + new URLSearchParams(state)); } catch { /* a sandboxed page has no history */ }
    draw();
  };

  const table = (id, heads, rows, empty) => {
    const node = $(id);
    if (rows.length === 0) return node.replaceChildren(make("caption", empty, "empty"));
    const head = make("tr");
    for (const [text, className] of heads) {
      const th = make("th", text, className);
      th.scope = "col";
      head.append(th);
    }
    const body = make("tbody");
    for (const cells of rows) {
      const tr = make("tr");
      cells.forEach((cell, column) => {
        const td = make("td", undefined, heads[column][1]);
        td.append(cell instanceof Node ? cell : String(cell));
        tr.append(td);
      });
      body.append(tr);
    }
    const thead = make("thead");
    thead.append(head);
    node.replaceChildren(thead, body);
  };
  const choose = (text, change) => {
    const button = make("button", text);
    button.type = "button";
    button.addEventListener("click", () => set(change));
    return button;
  };
  const tag = (decision) => make("span", data.decisions[decision], `tag ${KIND[decision]}`);
  const dash = (text) => (text === null || text === undefined ? "–" : text);

  const drawCards = (rows) => {
    const count = (decision) => rows.filter((row) => row[DECISION] === decision).length;
    const gone = (name) => rows.reduce((sum, row) => sum + (data.ops[row[OP]] === name ? row[GONE] : 0), 0);
    const cards = [
      ["records", rows.length], ["denied", count(DENY), "deny"], ["allowed", count(ALLOW), "allow"],
      ["events", count(NONE)], ["subjects", new Set(rows.map((row) => row[IDS][0])).size], ["counted as lost", gone("lost"), "lost"],
    ];
    $("cards").replaceChildren(...cards.map(([label, figure, className]) => {
      const card = make("div", undefined, `card ${className || ""}`);
      card.append(make("b", number.format(figure)), make("span", label));
      return card;
    }));
    $("status").textContent = `${rows.length} records match`;
  };

  const draw2 = (tag, attributes, text) => {
    const node = document.createElementNS(SVG, tag);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const drawTimeline = (rows) => {
    const [W, H, LEFT, BOTTOM, TOP] = [1200, 190, 44, 22, 8];
    if (rows.length === 0) return $("timeline").replaceChildren(make("p", "No record matches.", "empty"));
    const low = state.from ?? rows.reduce((least, row) => Math.min(least, at(row)), Infinity);
    const high = state.to ?? rows.reduce((most, row) => Math.max(most, at(row)), 0);
    const span = Math.max(1, high - low + 1);
    const buckets = Array.from({ length: BUCKETS }, () => [0, 0, 0]);
    for (const row of rows) buckets[Math.min(BUCKETS - 1, Math.floor(((at(row) - low) / span) * BUCKETS))][row[DECISION]]++;
    const most = Math.max(...buckets.map(([none, allow, deny]) => none + allow + deny));
    const svg = draw2("svg", { viewBox: `0 0 ${W} ${H}`, role: "group", "aria-label": `${rows.length} records over ${seconds(span)}` });
    const y = (count) => ((H - TOP - BOTTOM) * count) / most;
    const base = H - BOTTOM;
    for (const share of [0, 0.5, 1]) {
      svg.append(draw2("line", { x1: LEFT, x2: W, y1: base - y(most * share), y2: base - y(most * share) }));
      svg.append(draw2("text", { x: LEFT - 6, y: base - y(most * share) + 4, "text-anchor": "end" }, number.format(Math.round(most * share))));
    }
    const step = (W - LEFT) / BUCKETS;
    buckets.forEach((counts, index) => {
      const [x, total] = [LEFT + index * step, counts[0] + counts[1] + counts[2]];
      if (total === 0) return;
      let top = base;
      for (const decision of [DENY, ALLOW, NONE]) {
        if (counts[decision] === 0) continue;
        const height = Math.max(1, y(counts[decision]));
        top -= height;
        svg.append(draw2("rect", { class: KIND[decision], x: x + 1, y: top, width: step - 2, height }));
      }
      const [from, to] = [Math.floor(low + (span * index) / BUCKETS), Math.ceil(low + (span * (index + 1)) / BUCKETS) - 1];
      const label = `${moment(from)} to ${moment(to)}: ${counts[DENY]} denied, ${counts[ALLOW]} allowed, ${counts[NONE]} events`;
      const hit = draw2("rect", { class: "hit", x, y: TOP, width: step, height: base - TOP, tabindex: 0, role: "button", "aria-label": label });
      hit.append(draw2("title", {}, label));
      const zoom = () => set({ from, to: Math.max(from, to) });
      hit.addEventListener("click", zoom);
      hit.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); zoom(); } });
      svg.append(hit);
    });
    starts.forEach((start, boot) => {
      if (boot === 0 || start <= low || start > high) return;
      const x = LEFT + ((start - low) / span) * (W - LEFT);
      svg.append(draw2("line", { class: "boot", x1: x, x2: x, y1: TOP, y2: base }));
    });
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
      svg.append(draw2("text", { x: LEFT + share * (W - LEFT), y: H - 6, "text-anchor": anchor }, moment(Math.round(low + share * (span - 1)))));
    }
    $("timeline").replaceChildren(svg);
  };

  const drawDenials = (rows) => {
    const denied = rows.filter((row) => row[DECISION] === DENY);
    const key = (row) => JSON.stringify([row[IDS][0], row[OP], row[CAP], row[IDS][2], row[REASON]]);
    const top = tally(denied, key).sort((a, b) => b.count - a.count).slice(0, 15);
    const most = top.length ? top[0].count : 1;
    const lines = top.map(({ row, count }) => {
      const bar = make("span", undefined, "bar");
      bar.style.width = `${(60 * count) / most}px`;
      const subject = data.who[row[IDS][0]];
      const what = row[CAP] !== null ? shown(row[CAP]) : row[IDS][2] !== null ? `to ${data.who[row[IDS][2]]}` : "–";
      const change = { subject, decision: "deny", cap: row[CAP] || undefined };
      return [number.format(count), bar, choose(subject, change), data.ops[row[OP]], what, data.reasons[row[REASON]]];
    });
    table("denials", [["count", "num"], ["", ""], ["subject", ""], ["operation", ""], ["capability", "name mono"], ["reason", ""]], lines, "Nothing was denied.");
  };

  const drawSubjects = (rows) => {
    const all = tally(rows, value.subject).sort((a, b) => b.deny - a.deny || b.count - a.count);
    const lines = all.map(({ name, allow, deny, none, caps, last }) =>
      [choose(name, { subject: name }), number.format(deny), number.format(allow), number.format(none), number.format(caps.size), seconds(last[TIME])]);
    const heads = [["subject", ""], ["denied", "num"], ["allowed", "num"], ["events", "num"], ["capabilities", "num"], ["last seen", "num"]];
    table("subjects", heads, lines, "No record matches.");
  };

  const drawRecords = (rows) => {
    const lines = rows.slice(0, limit).map((row) => [
      row[SEQ], seconds(row[TIME]), tag(row[DECISION]), data.ops[row[OP]], data.who[row[IDS][0]],
      row[GONE] !== null ? `${number.format(row[GONE])} records` : row[IDS][2] === null ? "–" : data.who[row[IDS][2]],
      row[CAP] === null ? "–" : shown(row[CAP]), data.reasons[row[REASON]], dash(row[RULE]), data.who[row[IDS][1]],
    ]);
    const heads = [["seq", "num"], ["time", "num"], ["decision", ""], ["operation", ""], ["subject", ""], ["target", ""],
      ["capability", "name mono"], ["reason", ""], ["rule", "num"], ["asked by", ""]];
    table("records", heads, lines, "No record matches.");
    const rest = rows.length - lines.length;
    $("more").hidden = rest <= 0;
    $("more").textContent = `Show more (${number.format(rest)} left)`;
  };

  const draw = () => {
    for (const key in selects) $(selects[key]).value = state[key] || "";
    if ($("f-cap").value !== (state.cap || "")) $("f-cap").value = state.cap || "";
    const range = $("range");
    range.hidden = state.from === undefined;
    if (!range.hidden) {
      range.replaceChildren(`Only ${moment(state.from)} to ${moment(state.to)} `, choose("all times", { from: undefined, to: undefined }));
    }
    const rows = data.rows.filter(matches);
    drawCards(rows);
    drawTimeline(rows);
    drawDenials(rows);
    drawSubjects(rows);
    drawRecords(rows);
  };

  fillSelects();
  readHash();
  addEventListener("hashchange", () => { readHash(); draw(); });
  draw();
  document.documentElement.dataset.ready = "yes";
})();
