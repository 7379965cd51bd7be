"use strict";
// What the page does with scripts: Fig. 6 with controls, records behind numbers, tables that sort, filter and compare.
// All text comes from the page's own JSON and is set as text, never as HTML.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const SPLITS = { test: "test error", train: "training error" };
  const $ = (id) => document.getElementById(id);
  const percent = (hundredths) => hundredths?.map((value) => (value === null ? null : value / 100));
  const data = JSON.parse($("data").textContent);
  for (const line of data.paper) [line.steps, line.error] = [data.steps[line.steps], percent(line.error)];
  for (const run of data.runs) {
    run.steps = data.steps[run.steps];
    run.record = Object.fromEntries(data.fields.map(([name, texts], i) => [name, texts[run.record[i]]]).filter(([, text]) => text));
    for (const split in SPLITS) run[split] = percent(run[split]);
  }
  const byName = new Map(data.runs.map((run) => [run.run, run]));

  /** An element with attributes and children, of HTML or of SVG; strings become text. */
  function fill(element, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }
  const make = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  const draw = (name, attributes, ...children) => fill(document.createElementNS(NS, name), attributes, children);

  // ---- Records: what stands behind a number ----

  function record(run) {
    const list = make("dl");
    for (const [name, text] of Object.entries(run.record)) {
      const button = make("button", { type: "button", title: text }, "copy");
      const shown = { "W&B": [make("a", { href: text }, text)], command: [make("code", {}, text), " ", button] }[name] ?? [text];
      list.append(make("dt", {}, name), make("dd", {}, ...shown));
    }
    return make("section", {}, make("h3", {}, run.run), list);
  }

  const say = (text) => ($("status").textContent = text);
  const copy = (text) => navigator.clipboard.writeText(text).then(() => say(`Copied: ${text}`), () => say(`Command: ${text}`));

  function show(title, ...content) {
    const close = make("button", { type: "button" }, "close");
    close.onclick = () => $("dialog").close();
    $("dialog").replaceChildren(make("h2", { id: "dialog-title" }, title), close, ...content);
    $("dialog").showModal();
  }

  const showRecords = (runs) => show(`Records: ${runs.length}`, ...runs.map(record));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-runs]");
    const runs = link ? link.dataset.runs.split(" ").map((place) => data.runs[place]) : [];
    if (runs.length && runs.every(Boolean)) {
      event.preventDefault();
      showRecords(runs);
    }
    const cell = event.target.closest("button[title]");
    if (cell) copy(cell.title);
  });

  // ---- Links into folded parts ----

  function unfold() {
    const target = $(decodeURIComponent(location.hash.slice(1).split("?")[0]));
    if (!target) return;
    for (let up = target; up; up = up.parentElement) if ("open" in up) up.open = true;
    target.scrollIntoView();
  }

  // ---- Tables: sort, filter, compare ----

  const number = (text) => parseFloat(text.replace(/,/g, "").match(/[-+]?\d*\.?\d+/)?.[0] ?? "nan");

  function sortBy(table, column, button) {
    const up = button.parentElement.getAttribute("aria-sort") !== "ascending";
    for (const head of table.tHead.querySelectorAll("th")) head.removeAttribute("aria-sort");
    button.parentElement.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => row.cells[column].textContent.trim();
    const compare = (one, other) => {
      const [a, b] = [number(key(one)), number(key(other))];
      if (isNaN(a) !== isNaN(b)) return isNaN(a) ? 1 : -1; // what has no number stands last
      const order = isNaN(a) || column === 0 ? key(one).localeCompare(key(other), "en", { numeric: true }) : a - b;
      return up ? order : -order;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }

  for (const table of document.querySelectorAll("table[data-sort]")) {
    const heads = table.tHead.rows[table.tHead.rows.length - 1].cells;
    [...heads].forEach((head, column) => {
      const button = make("button", { type: "button" }, ...head.childNodes);
      button.onclick = () => sortBy(table, column, button);
      head.append(button);
    });
  }

  function compare(names) {
    const runs = names.map((name) => byName.get(name));
    const keys = [...new Set(runs.flatMap((run) => Object.keys(run.record)))];
    const rows = keys.map((key) => {
      const values = runs.map((run) => run.record[key] ?? "–");
      const row = make("tr", {}, make("th", { scope: "row" }, key), ...values.map((value) => make("td", {}, value)));
      row.className = new Set(values).size > 1 ? "differs" : "";
      return row;
    });
    const head = make("tr", {}, make("td"), ...runs.map((run) => make("th", { scope: "col" }, run.run)));
    show("Side by side", make("div", { class: "wide" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))));
  }

  function runTools(table) {
    const filter = make("input", { type: "search", id: "filter" });
    const count = make("span", { class: "soft" });
    const button = make("button", { type: "button" }, "compare");
    const chosen = () => [...table.querySelectorAll("input:checked")].map((box) => box.value);
    filter.oninput = () => {
      const rows = [...table.tBodies[0].rows];
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(filter.value.toLowerCase());
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
    };
    button.onclick = () => (chosen().length > 1 ? compare(chosen()) : say("Tick two runs or more to compare them."));
    for (const row of table.tBodies[0].rows) {
      const name = row.cells[0].textContent.trim();
      if (byName.has(name)) row.cells[0].prepend(make("input", { type: "checkbox", value: name, "aria-label": `compare ${name}` }), " ");
    }
    table.closest(".wide").before(make("p", { class: "tools" }, make("label", {}, "Filter ", filter), " ", count, " ", button));
  }

  // ---- Fig. 6 ----

  const state = { protocol: "", depth: "", split: "test,train", seed: "", paper: "1", top: "" };
  const chosen = (key, value) => !state[key] || state[key].split(",").includes(String(value));
  const protocol = () => Math.max(0, data.protocols.findIndex((each) => each.id === state.protocol));

  /** The lines of one panel: the paper's behind ours. */
  function lines(kind) {
    const p = protocol(), of = (each) => each.p === p && each.kind === kind && chosen("depth", each.depth);
    const splits = Object.keys(SPLITS).filter((split) => chosen("split", split));
    const theirs = state.paper === "1" ? data.paper.filter((line) => of(line) && splits.includes(line.split)) : [];
    const ours = data.runs.filter((run) => of(run) && run.steps && chosen("seed", run.seed));
    return [
      ...theirs.map((line) => ({ ...line, name: `the paper, ${line.kind} ${line.depth}`, width: 5 })),
      ...ours.flatMap((run) => splits.map((split) => ({ ...run, split, error: run[split], name: run.run, width: 1.4, ours: true }))),
    ];
  }

  function panel(kind) {
    const width = Math.max(280, Math.min(560, $(`fig6-${kind}`).clientWidth)), height = 300;
    const box = { left: 36, right: width - 46, top: 22, bottom: height - 34 };
    const now = data.protocols[protocol()], top = Number(state.top) || now.top;
    const x = (step) => box.left + ((box.right - box.left) * step) / now.steps;
    const y = (error) => box.bottom - ((box.bottom - box.top) * Math.min(error, top)) / top;
    const all = lines(kind);
    const chart = draw("svg", { viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "group", "aria-label": `${kind} nets: ${all.length} lines; arrow keys read them, Enter opens a record` });
    frame(chart, kind, now, top, box, x, y);
    for (const line of all) {
      let pen = "M";
      const path = line.steps.map((step, i) => {
        const value = line.error[i], command = pen;
        pen = value === null ? "M" : "L";
        return value === null ? "" : `${command}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
      });
      const style = `stroke:var(--${kind}-${line.depth});stroke-width:${line.width};opacity:${line.ours ? 1 : 0.3}`;
      line.path = draw("path", { d: path.join(""), style, fill: "none", "stroke-dasharray": line.split === "train" ? "5 3" : "" });
      chart.append(line.path);
    }
    ends(chart, kind, now, box, y);
    labels(chart, kind, all, box, y);
    listen(chart, all.filter((line) => line.ours), x, y, width);
    return chart;
  }

  function frame(chart, kind, now, top, box, x, y) {
    chart.append(draw("text", { x: box.left, y: 13, class: "title" }, `${kind} nets: error (%)`));
    for (let i = 0; i <= 4; i++) {
      const error = (top * i) / 4, step = (now.steps * i) / 4;
      chart.append(draw("line", { x1: box.left, x2: box.right, y1: y(error), y2: y(error), class: "grid" }));
      chart.append(draw("text", { x: box.left - 5, y: y(error) + 4, "text-anchor": "end" }, `${error}`));
      chart.append(draw("text", { x: x(step), y: box.bottom + 16, "text-anchor": "middle" }, step.toLocaleString("en")));
    }
    for (const drop of now.drops) chart.append(draw("line", { x1: x(drop), x2: x(drop), y1: box.top, y2: box.bottom, class: "drop" }));
    if (now.chance && now.chance < top) chart.append(draw("line", { x1: box.left, x2: box.right, y1: y(now.chance), y2: y(now.chance), class: "chance" }));
    chart.append(draw("text", { x: (box.left + box.right) / 2, y: box.bottom + 31, "text-anchor": "middle" }, "step"));
  }

  /** Public networks: a diamond at the end of the run for each repository, hollow for the training error. */
  function ends(chart, kind, now, box, y) {
    if (state.paper !== "1" || now.id !== "cifar10-paper") return;
    for (const net of data.public.filter((each) => each.kind === kind && chosen("depth", each.depth)))
      for (const split of Object.keys(SPLITS).filter((each) => chosen("split", each))) {
        const [h, v] = [box.right + 3, y(net[split])];
        const mark = draw("path", { d: `M${h - 3} ${v}l3 -3 3 3 -3 3z`, class: "public", "fill-opacity": split === "test" ? 1 : 0 });
        mark.append(draw("title", {}, `${net.of}, ${kind} ${net.depth}: ${SPLITS[split]} ${net[split]} %`));
        chart.append(mark);
      }
  }

  /** Depths at the ends of the lines, pushed apart where they would overlap. */
  function labels(chart, kind, all, box, y) {
    const last = new Map();
    for (const line of all) if (line.ours || !last.has(line.depth)) last.set(line.depth, y(line.error[line.error.length - 1] ?? 0));
    let free = Infinity;
    for (const [depth, at] of [...last].sort((one, other) => other[1] - one[1])) {
      free = Math.min(at + 4, free - 12);
      chart.append(draw("text", { x: box.right + 9, y: free, style: `fill:var(--${kind}-${depth})` }, `${depth}`));
    }
  }

  /** Mouse and keys read points of our runs; a click or Enter opens the record. */
  function listen(chart, ours, x, y, width) {
    let line = 0, point = -1;
    const mark = () => {
      const at = ours[line], error = at.error[point];
      for (const each of ours) each.path.classList.toggle("chosen", each.run === at.run);
      $("tip").textContent = `${at.run}, step ${at.steps[point].toLocaleString("en")}: ${SPLITS[at.split]} ${error} %`;
    };
    chart.onmousemove = (event) => {
      const area = chart.getBoundingClientRect(), scale = width / area.width;
      const [h, v] = [(event.clientX - area.left) * scale, (event.clientY - area.top) * scale];
      let nearest = 400;
      ours.forEach((each, i) => each.steps.forEach((step, j) => {
        const far = (x(step) - h) ** 2 + (y(each.error[j] ?? -1e3) - v) ** 2;
        if (far < nearest) [nearest, line, point] = [far, i, j];
      }));
      if (nearest < 400) mark();
    };
    chart.onclick = () => ours[line] && point >= 0 && showRecords([byName.get(ours[line].run)]);
    chart.onkeydown = (event) => {
      const move = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (!ours.length || (!move && event.key !== "Enter")) return;
      event.preventDefault();
      if (!move) return chart.onclick();
      line = (line + move[0] + ours.length) % ours.length;
      point = Math.max(0, Math.min(ours[line].steps.length - 1, (point < 0 ? -1 : point) + move[1]));
      mark();
    };
  }

  const redraw = () => ["plain", "residual"].forEach((kind) => $(`fig6-${kind}`).replaceChildren(panel(kind)));

  function change(key, value) {
    state[key] = value;
    if (key === "protocol") {
      Object.assign(state, { depth: "", seed: "", top: "" });
      controls();
    }
    const query = Object.entries(state).filter(([, text]) => text).map(([name, text]) => `${name}=${text}`).join("&");
    history.replaceState(null, "", `#fig6?${query}`);
    redraw();
  }

  function select(key, label, options) {
    const list = make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
    Object.assign(list, { value: state[key], onchange: () => change(key, list.value) });
    return make("label", {}, `${label} `, list);
  }

  function boxes(key, options) {
    const all = options.map(([value]) => String(value));
    return options.map(([value, text]) => {
      const box = make("input", { type: "checkbox", value });
      box.checked = chosen(key, value);
      box.onchange = () => {
        const left = all.filter((each) => (each === String(value) ? box.checked : chosen(key, each)));
        change(key, left.join(",") || "none");
      };
      return make("label", {}, box, ` ${text}`);
    });
  }

  function controls() {
    const p = protocol(), here = data.runs.filter((run) => run.p === p);
    const values = (key, from) => [...new Set(from.map((each) => each[key]))].sort((a, b) => a - b);
    const depths = values("depth", [...here, ...data.paper.filter((line) => line.p === p)]);
    state.protocol = data.protocols[p].id;
    $("fig6-controls").replaceChildren(
      select("protocol", "protocol", data.protocols.map((each) => [each.id, each.title])),
      ...boxes("depth", depths.map((depth) => [depth, `${depth} layers`])),
      ...boxes("split", Object.entries(SPLITS)),
      select("seed", "seed", [["", "all"], ...values("seed", here).map((seed) => [String(seed), String(seed)])]),
      select("top", "up to", [["", "as in the paper"], ["100", "100 %"], ["60", "60 %"], ["20", "20 %"], ["10", "10 %"]]),
      ...boxes("paper", [["1", "the paper and public networks"]]),
    );
  }

  // ---- Start ----

  const query = location.hash.match(/^#fig6\?(.*)/);
  if (query) for (const [key, value] of new URLSearchParams(query[1])) if (key in state) state[key] = value;
  const kinds = (p) => new Set(data.runs.filter((run) => run.p === p).map((run) => run.kind + run.depth)).size;
  if (!query) state.protocol = (data.protocols.find((_, p) => kinds(p) > 2) ?? data.protocols[0]).id;
  $("fig6-explorer").hidden = false;
  $("fig6-static").open = false;
  controls();
  redraw();
  const runs = document.querySelector("table[data-filter]");
  if (runs) runTools(runs);
  addEventListener("resize", redraw);
  addEventListener("hashchange", unfold);
  unfold();
})();
