"use strict";
const $ = (id) => document.getElementById(id);
const table = document.querySelector(".matrix");
const body = table.tBodies[0];
const rows = [...body.rows];
const heads = [...table.tHead.rows[0].cells];
const FIRST = 4; // columns in front of the subjects
const ORDER = { allowed: 3, gated: 2, denied: 1, none: 0 };

// ---- filter
function apply() {
  const word = $("capability").value.trim().toLowerCase();
  const who = $("subject").value.trim().toLowerCase();
  const columns = heads.map((head, at) => at < FIRST || head.dataset.name.toLowerCase().includes(who));
  heads.forEach((head, at) => { head.hidden = !columns[at]; });
  let shown = 0;
  for (const row of rows) {
    const cells = [...row.cells];
    cells.forEach((cell, at) => { cell.hidden = !columns[at]; });
    const seen = cells.filter((cell, at) => at >= FIRST && columns[at]);
    const text = row.dataset.name + " " + cells[0].textContent + " " + cells[2].textContent;
    row.hidden = !text.toLowerCase().includes(word)
      || ($("sensitive").checked && row.dataset.level !== "2")
      || ($("granted").checked && seen.every((cell) => cell.className === "none"))
      || ($("gates").checked && seen.every((cell) => cell.className !== "gated"));
    if (!row.hidden) shown += 1;
  }
  const subjects = columns.filter((on) => on).length - FIRST;
  $("shown").textContent = `${shown} of ${rows.length} capabilities, ${subjects} of ${heads.length - FIRST} subjects`;
}
$("filters").addEventListener("input", apply);
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("reset", () => setTimeout(apply));

// ---- sort
function value(row, at) {
  switch (heads[at].dataset.key) {
    case "name": return row.dataset.name;
    case "level": return Number(row.dataset.level);
    case "held": return Number(row.dataset.held);
    case "enforcer": return row.cells[at].textContent;
    default: return ORDER[row.cells[at].className] ?? 0;
  }
}
function sort(at) {
  const now = heads[at].getAttribute("aria-sort");
  const text = typeof value(rows[0], at) === "string";
  // Names begin at A, figures and marks at the most.
  const up = now === "none" ? text : now !== "ascending";
  heads.forEach((head) => head.setAttribute("aria-sort", "none"));
  heads[at].setAttribute("aria-sort", up ? "ascending" : "descending");
  const less = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const names = (a, b) => less(a.dataset.name, b.dataset.name);
  rows.sort((a, b) => (up ? 1 : -1) * less(value(a, at), value(b, at)) || names(a, b));
  body.append(...rows);
}
heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => sort(at)));

// ---- the rule behind a cell
function show(link) {
  const detail = $("detail");
  const cell = link.closest("td");
  const subject = heads[cell.cellIndex].dataset.name;
  const capability = cell.parentElement.dataset.name;
  detail.querySelector("h2").textContent = `${subject} · ${capability}`;
  detail.querySelector("p").textContent = link.dataset.text;
  const list = detail.querySelector("ol");
  list.replaceChildren();
  document.querySelectorAll(".rules .lit").forEach((row) => row.classList.remove("lit"));
  for (const id of link.dataset.rules.split(" ")) {
    const rule = $(`rule-${id}`);
    const item = document.createElement("li");
    if (!rule) {
      item.textContent = `rule ${id}`;
    } else {
      rule.classList.add("lit");
      const cells = [...rule.cells].map((cell) => cell.textContent);
      const place = document.createElement("a");
      place.href = `#rule-${id}`;
      place.textContent = `rule ${cells[0]}: ${cells[5]}`;
      const line = document.createElement("code");
      line.textContent = cells[6];
      item.append(place, ` ${cells[1]} for ${cells[2]}`, line);
    }
    list.append(item);
  }
  detail.hidden = false;
}
body.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-rules]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link);
});
let opened = null;
body.addEventListener("focusin", (event) => { opened = event.target; });
function close() {
  $("detail").hidden = true;
  document.querySelectorAll(".rules .lit").forEach((row) => row.classList.remove("lit"));
  if (opened) opened.focus();
}
$("close").addEventListener("click", close);
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !$("detail").hidden) close(); });

// ---- whose column it is
body.addEventListener("mouseover", (event) => {
  const at = event.target.closest("td, th")?.cellIndex ?? -1;
  heads.forEach((head, index) => head.classList.toggle("column", index === at));
});
body.addEventListener("mouseleave", () => heads.forEach((head) => head.classList.remove("column")));

// ---- light and dark
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

$("theme").hidden = false;
$("filters").hidden = false;
apply();
