"use strict";
// Runs inside the page, after its own script. The verdict goes into the title.
(async () => {
  const done = [];
  const check = (what, good) => { if (!good) throw new Error(what); done.push(what); };
  const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const rows = (id) => [...$(id).querySelectorAll("tbody tr")];
  const column = (id, at) => rows(id).map((row) => row.cells[at].textContent);
  const card = (label) => {
    const cards = [...$("cards").children].filter((node) => node.lastChild.textContent === label);
    return Number(cards[0].firstChild.textContent.replace(/,/g, ""));
  };
  const choose = (id, text) => { $(id).value = text; $(id).dispatchEvent(new Event("change", { bubbles: true })); };
  const type = (text) => { $("f-cap").value = text; $("f-cap").dispatchEvent(new Event("input", { bubbles: true })); };
  const denied = data.rows.filter((row) => data.decisions[row[4]] === "deny").length;

  // Contrast as WCAG 2 defines it, over the first opaque background behind the text.
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      const [, , , alpha = 1] = channels(colour);
      if (alpha === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (node) => {
    const [a, b] = [luminance(getComputedStyle(node).color), luminance(behind(node))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const readable = () => {
    const kinds = [".sub", ".hint", ".legend", "h1", "h2", "#proof li", "label", "button", "th", "td", "td button", ".tag.deny", ".tag.allow", ".tag.none", ".card b", ".card.deny b", ".card.allow b", "footer"];
    for (const kind of kinds) {
      const node = document.querySelector(kind);
      check(`${kind} is there`, node !== null);
      check(`${kind} is readable: ${contrast(node).toFixed(2)}`, contrast(node) >= 4.5);
    }
  };

  try {
    check("the page is drawn", document.documentElement.dataset.ready === "yes");
    check("every record is there", rows("records").length === data.rows.length && card("records") === data.rows.length);
    check("totals", card("denied") === denied && card("denied") + card("allowed") + card("events") === data.rows.length);
    check("names made no elements", document.images.length === 0 && document.scripts.length === 3);
    const names = column("records", 6);
    check("names are shown", names.includes("<\/script><img src=x>") && names.includes("a|b=c\\") && names.includes("\\u{1b}[2J\\u{202e}"));
    check("nothing was loaded", performance.getEntriesByType("resource").length === 0);
    check("what is proven is said", $("proof").children.length > 0);

    for (const control of document.querySelectorAll("select, input")) check("controls are labelled", control.labels.length === 1);
    for (const head of document.querySelectorAll("th")) check("columns are named for readers", head.scope === "col");
    check("one main, one h1", document.querySelectorAll("main").length === 1 && document.querySelectorAll("h1").length === 1);
    check("the page does not overflow", document.documentElement.scrollWidth <= innerWidth);

    choose("f-decision", "deny");
    check("filter by decision", rows("records").length === denied && column("records", 2).every((text) => text === "deny"));
    check("the filter is in the address", location.hash.includes("decision=deny"));
    check("the count is announced", $("status").textContent.startsWith(`${denied} `));
    type("no such thing");
    check("nothing matches nothing", rows("records").length === 0 && $("records").textContent.includes("No record matches"));
    $("clear").click();
    check("clear", rows("records").length === data.rows.length && location.hash.length <= 1);

    const top = rows("denials")[0];
    const [count, subject] = [Number(top.cells[0].textContent), top.cells[2].textContent];
    top.querySelector("button").click();
    check("a denial leads to its records", rows("records").length >= count && column("records", 4).every((who) => who === subject));
    $("clear").click();
    const who = rows("subjects")[0];
    const [name, its] = [who.cells[0].textContent, [1, 2, 3].reduce((sum, at) => sum + Number(who.cells[at].textContent), 0)];
    who.querySelector("button").click();
    check("a subject leads to its records", rows("records").length === its && $("f-subject").value === name);
    $("clear").click();

    const bars = [...document.querySelectorAll("#timeline .hit")];
    check("bars say what they are", bars.length > 3 && bars.every((bar) => /denied, \d+ allowed/.test(bar.getAttribute("aria-label")) && bar.tabIndex === 0));
    bars[0].dispatchEvent(new MouseEvent("click", { bubbles: true }));
    check("a bar narrows the time", rows("records").length < data.rows.length && rows("records").length > 0 && !$("range").hidden);
    $("range").querySelector("button").click();
    check("all times again", rows("records").length === data.rows.length && $("range").hidden);
    document.querySelector("#timeline .hit").dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    check("a bar obeys the keyboard", !$("range").hidden);
    location.hash = "op=route";
    await pause();
    check("a view can be passed on", rows("records").length > 0 && column("records", 3).every((op) => op === "route") && $("f-op").value === "route");
    location.hash = "";
    await pause();

    for (const theme of ["light", "dark"]) {
      document.documentElement.dataset.theme = theme;
      await pause();
      readable();
    }
    $("theme").click();
    check("the theme switches", document.documentElement.dataset.theme === "light");
    document.title = `CHECK ok: ${done.length} checks`;
  } catch (error) {
    document.title = `CHECK failed after ${done.length}: ${error.message}`.replace(/[<>\n]/g, " ");
  }
})();
