"use strict";
// Runs inside the page, after its own script. The verdict goes into the title.
(async () => {
  const done = [];
  const check = (what, good) => { if (!good) throw new Error(what); done.push(what); };
  const pause = () => new Promise((resolve) => setTimeout(resolve, 10));
  const $ = (id) => document.getElementById(id);
  const matrix = document.querySelector(".matrix");
  const seen = () => [...matrix.tBodies[0].rows].filter((row) => !row.hidden);
  const names = () => seen().map((row) => row.dataset.name);
  const type = (id, text) => { $(id).value = text; $(id).dispatchEvent(new Event("input", { bubbles: true })); };
  const heads = [...matrix.tHead.rows[0].cells];
  const press = (key) => heads.find((head) => head.dataset.key === key || head.dataset.name === key).querySelector("button").click();
  try {
    const all = names();
    const subjects = heads.filter((head) => head.dataset.name);
    check("rows and columns", all.length > 5 && subjects.length > 3);
    check("filters are offered", !$("filters").hidden);
    check("every row has every column", seen().every((row) => row.cells.length === heads.length));
    check("every mark leads to a rule with its place", [...matrix.querySelectorAll("td a")].every((link) => {
      const rule = document.querySelector(link.getAttribute("href"));
      return rule && /\.toml:\d+$/.test(rule.cells[5].textContent);
    }));
    check("every mark says what it is", [...matrix.querySelectorAll("td a")].every((link) =>
      /: (allowed|denied)/.test(link.getAttribute("aria-label"))));

    const wanted = all[all.length - 1];
    type("capability", wanted);
    check("filter by capability", names().length >= 1 && names().every((name) => all.includes(name)) && names().includes(wanted));
    type("capability", "no such thing");
    check("nothing matches nothing", names().length === 0 && $("shown").textContent.startsWith("0 of"));
    $("filters").reset();
    await pause();
    check("clear", names().length === all.length);

    $("sensitive").click();
    const marked = seen();
    check("sensitive only", marked.length > 0 && marked.length < all.length && marked.every((row) => row.querySelector(".badge.sensitive")));
    $("sensitive").click();
    $("gates").click();
    check("gated only", seen().every((row) => row.querySelector("td.gated")));
    $("gates").click();
    $("granted").click();
    check("with a rule only", seen().length > 0 && seen().every((row) => row.querySelector("td a")));
    $("granted").click();

    const who = subjects[0].dataset.name;
    type("subject", who);
    check("filter by subject", heads.filter((head) => head.dataset.name && !head.hidden).every((head) => head.dataset.name.includes(who)));
    type("subject", "");

    press("name");
    check("sort by name, down", names().join() === [...all].sort().reverse().join());
    press("name");
    check("sort by name, up", names().join() === [...all].sort().join());
    press("held");
    const held = seen().map((row) => Number(row.dataset.held));
    check("sort by holders, most first", held.every((count, at) => at === 0 || held[at - 1] >= count));
    check("the sort is announced", heads.filter((head) => head.getAttribute("aria-sort") !== "none" && head.hasAttribute("aria-sort")).length === 1);
    const busy = subjects.find((head) => seen().some((row) => row.cells[head.cellIndex].className === "allowed"));
    press(busy.dataset.name);
    check("sort by subject", seen()[0].cells[busy.cellIndex].className === "allowed");

    const link = seen()[0].cells[busy.cellIndex].querySelector("a");
    link.focus();
    link.click();
    check("a mark opens its rule", !$("detail").hidden && $("detail").textContent.includes(".toml:") && document.querySelector(".rules .lit"));
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    check("escape closes it and gives the focus back", $("detail").hidden && document.activeElement === link);

    link.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    check("the column under the mouse is marked", heads.filter((head) => head.classList.contains("column")).join() === [busy].join() && busy.classList.contains("column"));

    // A window as narrow as a telephone still shows marks beside the names.
    const narrow = document.createElement("iframe");
    narrow.style.cssText = "width: 500px; height: 800px";
    narrow.srcdoc = document.documentElement.outerHTML.replace(/<script[^]*?<\/script>/g, "");
    document.body.append(narrow);
    await new Promise((resolve) => { narrow.onload = resolve; });
    const scroll = narrow.contentDocument.getElementById("matrix").getBoundingClientRect();
    const inside = [...narrow.contentDocument.querySelectorAll(".matrix thead th.subject")]
      .filter((head) => head.getBoundingClientRect().right <= scroll.right).length;
    check(`a narrow window shows columns (${inside})`, inside >= 4);
    narrow.remove();

    const ground = () => getComputedStyle(document.body).backgroundColor;
    const first = ground();
    $("theme").click();
    const second = ground();
    $("theme").click();
    check("light and dark", first !== second && ground() === first);
    check("nothing was loaded", performance.getEntriesByType("resource").length === 0);
    document.title = `CHECK ok: ${done.length} checks, ${all.length} capabilities, ${subjects.length} subjects`;
  } catch (error) {
    document.title = `CHECK failed: ${error.message} (after ${done.length})`;
  }
})();
