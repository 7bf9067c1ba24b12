// Shows the snapshots that the program sends each second. Whatever comes from elsewhere goes in as text.
"use strict";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
/** Seconds that the charts show. */
const SPAN = 120;

let source, last, lastAt;
const series = { in: [], out: [], req: [], writes: [] };
const before = new Map();

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes the body of a table have these rows: lists of texts or elements, the first one of which is the heading. */
function fill(body, rows, none) {
  const shown = rows.length ? rows : [[none]];
  while (body.rows.length > shown.length) body.deleteRow(-1);
  shown.forEach((cells, number) => {
    const row = body.rows[number] ?? body.insertRow();
    while (row.cells.length > cells.length) row.deleteCell(-1);
    cells.forEach((content, column) => {
      let cell = row.cells[column];
      const tag = column === 0 && rows.length ? "TH" : "TD";
      if (cell?.tagName !== tag) {
        const made = document.createElement(tag);
        if (tag === "TH") made.scope = "row";
        cell ? cell.replaceWith(made) : row.append(made);
        cell = made;
      }
      if (content instanceof Element) cell.replaceChildren(content);
      else set(cell, String(content));
      cell.colSpan = rows.length ? 1 : body.parentElement.tHead.rows[0].cells.length;
    });
  });
}

function facts(list, entries) {
  while (list.children.length < entries.length) {
    const pair = document.createElement("div");
    pair.append(document.createElement("dt"), document.createElement("dd"));
    list.append(pair);
  }
  while (list.children.length > entries.length) list.lastChild.remove();
  entries.forEach(([name, value], number) => {
    const [term, text] = list.children[number].children;
    set(term, name);
    set(text, String(value));
  });
}

function svg(name, attributes, title) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (title) element.append(Object.assign(document.createElementNS(SVG, "title"), { textContent: title }));
  return element;
}

function bytes(count) {
  if (count == null) return "unknown";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) (count /= 1000), unit++;
  return `${count.toFixed(unit && count < 100 ? 1 : 0)} ${units[unit]}`;
}

function time(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** Draws values, and names the last and the greatest one for those who do not see the picture. */
function chart(id, values, show) {
  const most = Math.max(...values, 1e-9);
  const now = values.length ? show(values.at(-1)) : "none";
  const points = values.map((value, at) => `${at},${29 - (28 * value) / most}`).join(" ");
  const picture = $(id);
  picture.setAttribute("viewBox", `0 0 ${Math.max(values.length - 1, 1)} 30`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-label", `the last ${values.length} values: ${now} now, ${show(values.length ? most : 0)} at most`);
  picture.replaceChildren(svg("polyline", { class: "line", points }));
  set($(`${id}-now`), now);
}

function rate(name, value, seconds) {
  const known = before.get(name);
  before.set(name, value);
  return known === undefined || value < known || !seconds ? 0 : (value - known) / seconds;
}

function push(name, value) {
  series[name].push(value);
  if (series[name].length > SPAN) series[name].shift();
}

/** Returns how many bits two ids share, and the 32 bits of the second one that follow as a share of the circle. */
function place(own, id) {
  const [a, b] = [BigInt(`0x${own}`), BigInt(`0x${id}`)];
  const difference = (a ^ b).toString(2).padStart(64, "0");
  const shared = Math.max(difference.indexOf("1"), 0);
  const rest = (b << BigInt(shared + 1)) & 0xffffffffffffffffn;
  return [shared, Number(rest >> 32n) / 2 ** 32];
}

function rings(node) {
  const placed = node.table.map(([id, address]) => [...place(node.id, id), id, address]);
  const counts = new Map();
  for (const [shared] of placed) counts.set(shared, (counts.get(shared) ?? 0) + 1);
  const depth = Math.max(...counts.keys(), 3);
  const radius = (shared) => 95 * (1 - shared / (depth + 1));
  const picture = [];
  for (let shared = 0; shared <= depth; shared++) picture.push(svg("circle", { class: "ring", r: radius(shared) }));
  picture.push(svg("circle", { class: "own", r: 2.5 }, `this node, ${node.id}…`));
  for (const [shared, angle, id, address] of placed) {
    const [x, y] = [Math.sin(angle * 2 * Math.PI), -Math.cos(angle * 2 * Math.PI)].map((part) => part * radius(shared));
    picture.push(svg("circle", { class: "peer", cx: x.toFixed(2), cy: y.toFixed(2), r: 1.8 }, `${id}… at ${address}`));
  }
  $("rings").replaceChildren(...picture);
  $("rings").setAttribute("aria-label", `${placed.length} nodes on rings; the table beside has their numbers`);
  fill($("rows"), [...counts].sort((a, b) => a[0] - b[0]), "The table is empty");
}

const PATHS = { direct: "direct", lan: "local network", relayed: "through a relay" };

function connections(node, seconds, isServer) {
  const names = document.querySelector(".names");
  set(names, isServer ? "Profile" : "Side");
  const kept = new Set(["in", "out", "req", "writes"]);
  const rows = node.connections.map((open) => {
    kept.add(`in ${open.id}`).add(`out ${open.id}`);
    const [received, sent] = [rate(`in ${open.id}`, open.received, seconds), rate(`out ${open.id}`, open.sent, seconds)];
    const side = open.dialled ? "dialled" : "accepted";
    return [
      open.proven ? open.key : `${open.key} (not proven)`,
      isServer ? (open.name ?? "none") : side,
      PATHS[open.path] ?? open.path,
      open.address,
      time(open.age),
      open.round_trip === null ? "unknown" : `${open.round_trip.toFixed(1)} ms`,
      `${bytes(open.received)}, ${bytes(received)}/s`,
      `${bytes(open.sent)}, ${bytes(sent)}/s`,
    ];
  });
  for (const name of before.keys()) if (!kept.has(name)) before.delete(name);
  set($("c-connections"), `${rows.length} newest of ${node.connections_open} open connections`);
  fill($("connections"), rows, "No connection is open");
}

const NATS = {
  unknown: "not known",
  open: "none: every host reaches this node",
  consistent: "one with the same port for all hosts",
  random: "one with another port for each host",
};

function joined(state) {
  if (state.closed) return "closed";
  if (state.suspended) return "suspended";
  if (state.joined === "pending") return "joining";
  if (state.joined === "unreachable") return "no node answers";
  return { online: "joined", degraded: "joined, many requests get no answer", offline: "offline" }[state.health];
}

function limits(data) {
  const all = [...data.node.fills];
  if (data.service) {
    all.unshift({ what: "connections of clients", used: data.service.connections, bound: data.service.connections_limit });
  }
  const rows = all.map(({ what, used, bound }, number) => {
    const meter = $("limits").rows[number]?.querySelector("meter") ?? document.createElement("meter");
    Object.assign(meter, { max: bound, high: bound * 0.8, low: bound * 0.5, optimum: 0, value: used });
    const share = `${((100 * used) / bound).toFixed(1)} %`;
    meter.setAttribute("aria-label", what);
    meter.title = share;
    const cell = meter.parentElement ?? document.createElement("span");
    if (!meter.parentElement) cell.append(meter, document.createElement("span"));
    set(cell.lastChild, ` ${share}`);
    return [what, what.includes("bytes") ? bytes(used) : used, what.includes("bytes") ? bytes(bound) : bound, cell];
  });
  fill($("limits"), rows, "None");
}

const STORES = { sled: "a folder of this computer", postgres: "a database" };

function service(data, seconds) {
  $("store").hidden = !data.service;
  if (!data.service) return;
  const { store, others, registration, lookup, profiles, writes, syncs, sync_times } = data.service;
  facts($("service"), [
    ["Profiles", profiles],
    ["Store", STORES[store] ?? store],
    ...(others === null ? [] : [["Other servers of the key", others]]),
    ["Registration", registration],
    ["Lookups", lookup],
    ["Written since the start", `${writes} entries in ${syncs} syncs`],
  ]);
  push("writes", rate("writes", writes, seconds));
  chart("writes", series.writes, (value) => `${value.toFixed(1)}/s`);
  chart("syncs", sync_times, (value) => `${value.toFixed(1)} ms`);
}

function show(data) {
  const now = performance.now();
  const seconds = lastAt === undefined ? 0 : (now - lastAt) / 1000;
  [last, lastAt] = [data, now];
  document.title = data.program;
  set($("title"), data.program);
  $("choice").hidden = data.nodes.length < 2;
  if ($("which").length !== data.nodes.length) {
    const chosen = $("which").selectedIndex;
    $("which").replaceChildren(...data.nodes.map((address, number) => new Option(address, number)));
    $("which").selectedIndex = Math.max(chosen, 0);
  }
  const { node } = data;
  fill($("warnings"), data.warnings.map(({ time, level, text }) => [new Date(time * 1000).toLocaleString(), level, text]), "None since the start");
  service(data, seconds);
  if (!node) return facts($("node"), [["State", "not started, or ended"], ["Running for", time(data.uptime)]]);
  const { state } = node;
  facts($("node"), [
    ["State", joined(state)],
    ["Address as others see it", state.public_address ?? "none that every host reaches"],
    ["Local address", node.local],
    ["NAT", NATS[state.nat] ?? state.nat],
    ["Serves other nodes", state.persistent ? "yes, under an id of its own" : "no"],
    ["Firewall", node.firewalled ? "seems to keep other nodes out" : "none seen"],
    ["Id begins with", node.id],
    ["Running for", time(data.uptime)],
    ["Memory", bytes(data.memory)],
    ["Version", data.version],
  ]);
  fill($("seen"), node.seen_as, "No node has answered yet");
  fill($("samples"), node.nat_samples, "The NAT is not examined unless a server or a connection needs it");
  push("in", rate("in", node.received, seconds));
  push("out", rate("out", node.sent, seconds));
  push("req", rate("req", node.requests, seconds));
  for (const id of ["in", "out"]) chart(id, series[id], (value) => `${bytes(value)}/s`);
  chart("req", series.req, (value) => `${value.toFixed(1)}/s`);
  rings(node);
  connections(node, seconds, Boolean(data.service));
  set($("records"), `Records kept for other nodes: ${node.records}`);
  fill(
    $("servers"),
    node.servers.map(({ key, address, announced_at }) => [
      key,
      address ? `${address.address}${address.reachable ? "" : " (not reachable for all)"}` : "not known",
      announced_at.join(", ") || "nowhere",
    ]),
    "No server listens",
  );
  limits(data);
}

function connect() {
  source?.close();
  before.clear();
  for (const values of Object.values(series)) values.length = 0;
  lastAt = undefined;
  source = new EventSource(`/events?node=${Math.max($("which").selectedIndex, 0)}`);
  source.onmessage = (event) => {
    set($("link"), "Live");
    $("link").className = "";
    show(JSON.parse(event.data));
  };
  source.onerror = () => {
    set($("link"), "No data: the program does not answer");
    $("link").className = "bad";
  };
}

$("which").addEventListener("change", connect);
connect();
