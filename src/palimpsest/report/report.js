"use strict";

const byId = (id) => document.getElementById(id);

function openDetailsForPrint() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((details) => (details.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((details) => (details.open = false)));
}

function startGallery(data) {
  const PAGE = 48;
  const className = new Map(data.classes);
  const scores = [
    ...data.scores.map((score) => ({ ...score, values: data.values[score.key] })),
    ...(data.norms ? [{ key: "norm", label: "Norm of the proof", better: "low", values: data.norms }] : []),
    { key: "number", label: "Image number", better: "low", values: data.rows },
  ];
  const positionOf = new Map(data.rows.map((row, position) => [row, position]));
  const uri = (base64) => `data:image/webp;base64,${base64}`;
  let listed = [];
  let page = 0;

  const written = (value) => {
    if (value === null) return "–";
    if (Number.isInteger(value)) return value.toLocaleString("en");
    return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e4 ? String(Number(value.toPrecision(4))) : value.toExponential(3);
  };
  const chosenScore = () => scores[byId("sort").selectedIndex];

  function fill(select, choices) {
    for (const [value, text] of choices) select.add(new Option(text, value));
  }

  function image(base64, alt) {
    const element = new Image(data.size[1], data.size[0]);
    element.decoding = "async";
    element.alt = alt;
    element.src = uri(base64);
    return element;
  }

  function span(text) {
    const element = document.createElement("span");
    element.textContent = text;
    return element;
  }

  function card(position) {
    const row = data.rows[position];
    const score = chosenScore().key === "number" ? scores[0] : chosenScore();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "card";
    button.dataset.row = row;
    const pair = document.createElement("span");
    pair.className = "pair";
    pair.append(
      image(data.originals[position], `Original of image ${row}`),
      image(data.reconstructions[position], `Reconstruction of image ${row}`),
    );
    const caption = document.createElement("span");
    caption.className = "caption";
    caption.append(
      span(`No. ${row} ${className.get(data.labels[position])}`),
      span(`${score.key === "norm" ? "Norm" : score.label} ${written(score.values[position])}`),
    );
    button.append(pair, caption);
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  function select() {
    const score = chosenScore();
    const wanted = (id) => byId(id).value;
    const bound = (id, none) => (wanted(id) === "" ? none : Number(wanted(id)));
    const low = bound("low", -Infinity);
    const high = bound("high", Infinity);
    const bounded = wanted("low") !== "" || wanted("high") !== "";
    const keep = (position) => {
      const value = score.values[position];
      return (
        (wanted("class") === "" || data.labels[position] === Number(wanted("class"))) &&
        (wanted("owner") === "" || data.owners[position] === Number(wanted("owner"))) &&
        (wanted("identified") === "" || String(data.identified[position]) === wanted("identified")) &&
        (wanted("accepted") === "" || String(data.accepted[position]) === wanted("accepted")) &&
        (!bounded || (value !== null && value >= low && value <= high))
      );
    };
    const sign = (score.better === "low") === (wanted("order") === "most") ? 1 : -1;
    listed = data.rows.map((_, position) => position).filter(keep);
    listed.sort((a, b) => {
      const [x, y] = [score.values[a], score.values[b]];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return sign * (x - y) || a - b;
    });
    page = 0;
    show();
  }

  function show(start = page * PAGE, end = Math.min(start + PAGE, listed.length)) {
    const pages = Math.max(1, Math.ceil(listed.length / PAGE));
    byId("cards").replaceChildren(...listed.slice(start, end).map(card));
    byId("status").textContent = listed.length
      ? `Images ${(start + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ${listed.length.toLocaleString("en")}` +
        (listed.length < data.rows.length ? `, filtered from ${data.rows.length.toLocaleString("en")}` : "")
      : "No image matches these filters.";
    byId("page").textContent = `Page ${page + 1} of ${pages}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page >= pages - 1;
    byId("pages").hidden = pages === 1;
    byId("range-legend").textContent = `${chosenScore().label} between`;
  }

  function showAllForPrint() {
    addEventListener("beforeprint", () => show(0, listed.length));
    addEventListener("afterprint", () => show());
  }

  function turn(step) {
    page += step;
    show();
    byId("gallery").scrollIntoView();
  }

  function fact(name, value) {
    const group = document.createElement("div");
    const term = document.createElement("dt");
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = value;
    group.append(term, detail);
    return group;
  }

  let among = [];
  let current = 0;

  function enlarge() {
    const position = among[current];
    const row = data.rows[position];
    byId("enlarged-title").textContent = `Image ${row}, ${className.get(data.labels[position])}`;
    for (const [kind, images] of [["original", data.originals], ["reconstruction", data.reconstructions]]) {
      byId(`large-${kind}`).src = byId(`difference-${kind}`).src = uri(images[position]);
      byId(`large-${kind}`).alt = `${kind === "original" ? "Original" : "Reconstruction"} of image ${row}, enlarged`;
    }
    byId("large-facts").replaceChildren(
      ...scores.filter((score) => score.key !== "number").map((score) => fact(score.label, written(score.values[position]))),
      ...(data.identified ? [fact("Identified", data.identified[position] ? "yes" : "no")] : []),
      ...(data.accepted ? [fact("Verifier", data.accepted[position] ? "accepted" : "rejected")] : []),
      ...(data.owners ? [fact("Client", String(data.owners[position]))] : []),
    );
    byId("dialog-previous").disabled = current === 0;
    byId("dialog-next").disabled = current === among.length - 1;
  }

  function step(by) {
    if (current + by < 0 || current + by >= among.length) return;
    current += by;
    enlarge();
  }

  function open(button) {
    const inGallery = byId("cards").contains(button);
    const neighbors = [...button.closest(".grid").querySelectorAll(".card")].map((card) => Number(card.dataset.row));
    among = inGallery ? listed : neighbors.map((row) => positionOf.get(row));
    current = among.indexOf(positionOf.get(Number(button.dataset.row)));
    enlarge();
    byId("enlarged").showModal();
  }

  fill(byId("sort"), scores.map((score) => [score.key, score.label]));
  fill(byId("class"), [["", "all"], ...data.classes]);
  byId("owner-label").hidden = data.owners === null;
  byId("accepted-label").hidden = data.accepted === null;
  byId("identified-label").hidden = data.identified === null;
  if (data.owners) {
    const clients = [...new Set(data.owners)].sort((a, b) => a - b);
    fill(byId("owner"), [["", "all"], ...clients.map((client) => [client, `client ${client}`])]);
  }
  const controls = byId("controls");
  controls.hidden = false;
  controls.addEventListener("input", (event) => {
    if (event.target.id === "sort") byId("low").value = byId("high").value = "";
    select();
  });
  controls.addEventListener("reset", () => setTimeout(select));
  controls.addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".card");
    if (button) open(button);
  });
  const dialog = byId("enlarged");
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  byId("close").addEventListener("click", () => dialog.close());
  byId("dialog-previous").addEventListener("click", () => step(-1));
  byId("dialog-next").addEventListener("click", () => step(1));
  showAllForPrint();
  select();
}

openDetailsForPrint();
if (byId("data")) startGallery(JSON.parse(byId("data").textContent));
