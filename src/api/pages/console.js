// SPDX-License-Identifier: Apache-2.0
// The status page: a stream of snapshots, each drawn as it comes. Nothing is asked for twice, nothing
// is kept but the last snapshot and the seconds of history.
import { area, bars } from "./picture.js";
import { bytes, duration, knows, moment, number, speak, translate } from "./words.js";
import { offer, setUp } from "./forms.js";

const HISTORY_SECONDS = 900, SECONDS_IN_BAR = 5, SPOKEN_EVERY_MS = 15000;
const at = (id) => document.getElementById(id);

let stream = null;
let snapshot = null;
let isLost = false;
let wanted = named(); // event to look at; "" for the newest
let seconds = new Map(); // second of the server's life: requests in it
let spoken = { at: 0, words: "" };

// ---- small things ----

// The event that the address names: …/#/drop
function named() {
  return location.hash.startsWith("#/") ? decodeURIComponent(location.hash.slice(2)) : "";
}

// Only what changes is touched: a screen reader and a selection are left alone.
function put(id, text) {
  const element = typeof id === "string" ? at(id) : id;
  if (element.textContent !== text) element.textContent = text;
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const share = (part, all) => (all === 0 ? 0 : Math.min((100 * part) / all, 100));

function wait(us, count) {
  if (count === 0) return translate("noWait");
  if (us === null) return translate("above");
  return translate("atMost", us < 1000000 ? translate("ms", number(us / 1000, 2)) : translate("seconds", number(us / 1000000, 1)));
}

// ---- the list of events ----

function row(event) {
  const link = element("a", "", element("span", "event-name"), element("span", "event-state"),
    element("span", "event-left"), element("span", "mini", element("span")));
  link.href = `#/${event.event_id}`;
  const item = element("li", "", link);
  item.dataset.event = event.event_id;
  return item;
}

function drawRow(item, event, isShown) {
  const link = item.firstChild;
  const [name, state, left, mini] = link.children;
  put(name, event.event_id);
  put(state, translate(event.status));
  state.dataset.state = event.status;
  put(left, `${number(event.remaining_stock)} / ${number(event.total_stock)}`);
  mini.firstChild.style.width = `${share(event.total_participants, event.total_stock)}%`;
  if (isShown) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

function drawEvents() {
  const list = at("events");
  const names = snapshot.events.map((event) => event.event_id).join();
  if (list.dataset.names !== names) {
    const before = new Map([...list.children].map((item) => [item.dataset.event, item]));
    list.replaceChildren(...snapshot.events.map((event) => before.get(event.event_id) ?? row(event)));
    list.dataset.names = names;
  }
  snapshot.events.forEach((event, i) =>
    drawRow(list.children[i], event, event.event_id === snapshot.event?.event_id));
  const hidden = snapshot.events_count - snapshot.events.length;
  at("more").hidden = hidden === 0;
  put("more", translate("more", number(hidden)));
}

// ---- the event ----

function times(event) {
  const from = event.starts_at && translate("from", moment(new Date(event.starts_at)));
  const until = event.ends_at ? translate("until", moment(new Date(event.ends_at))) : translate("open");
  return [from, until].filter(Boolean).join(" · ");
}

const allClaims = (event) => Object.values(event.claims).reduce((sum, count) => sum + count, 0);

function lastSecond() {
  const last = Math.max(-1, ...seconds.keys());
  return last < 0 ? 0 : seconds.get(last);
}

function drawNumbers(event) {
  put("name", event.event_id);
  put("state", translate(event.status));
  at("state").dataset.state = event.status;
  put("when", times(event));
  put("left", number(event.remaining_stock));
  put("of", translate("left", number(event.total_stock)));
  const bar = at("bar");
  bar.setAttribute("aria-valuenow", event.total_participants);
  bar.setAttribute("aria-valuemax", event.total_stock);
  bar.firstChild.style.width = `${share(event.total_participants, event.total_stock)}%`;
  put("taken", number(event.total_participants));
  put("rate", number(lastSecond()));
  put("claims", number(allClaims(event)));
  put("p50", wait(snapshot.latency.p50_us, snapshot.latency.count));
  put("p99", wait(snapshot.latency.p99_us, snapshot.latency.count));
}

function drawIssuing(event) {
  const { from_ms, step_ms, counts } = event.curve;
  let sum = 0;
  const sums = counts.map((count) => (sum += count));
  const precise = { hour: "numeric", minute: "2-digit", second: "2-digit",
    ...(step_ms < 1000 ? { fractionalSecondDigits: 2 } : {}), ...(step_ms >= 600000 ? { month: "short", day: "numeric" } : {}) };
  const when = (i) => moment(from_ms + i * step_ms, precise);
  const length = duration((counts.length * step_ms) / 1000);
  const note = counts.length ? translate("issuingNote", number(sum), length) : translate("nothing");
  put("issuing-note", note);
  const every = Math.ceil(counts.length / 60); // a table that can be read
  area(at("issuing"), sums, event.total_stock, {
    label: `${translate("issuing")}: ${note}`,
    top: number(event.total_stock),
    axis: counts.length ? [when(0), when(counts.length)] : ["", ""],
    columns: [translate("time"), translate("sum")],
    rows: sums.map((value, i) => [when(i + 1), number(value)]).filter((_, i) => (i + 1) % every === 0 || i === sums.length - 1),
  });
}

function drawRequests() {
  const last = Math.max(0, ...seconds.keys());
  const values = [];
  for (let second = last - HISTORY_SECONDS + 1; second <= last; second += SECONDS_IN_BAR) {
    let most = 0;
    for (let i = 0; i < SECONDS_IN_BAR; i++) most = Math.max(most, seconds.get(second + i) ?? 0);
    values.push(most);
  }
  const most = Math.max(0, ...values);
  const note = translate("requestsNote", number(most));
  const when = (i) => moment(new Date(snapshot.now).getTime() - (values.length - i) * SECONDS_IN_BAR * 1000,
    { timeStyle: "medium" });
  put("requests-note", note);
  bars(at("requests"), values, Math.max(most, 1), {
    label: `${translate("requests")}: ${note}`,
    top: number(most),
    axis: [translate("ago"), translate("now")],
    columns: [translate("time"), translate("perSecond")],
    rows: values.map((value, i) => [when(i), value]).filter(([, value]) => value > 0)
      .map(([time, value]) => [time, number(value)]),
  });
}

// Names that events have too are told apart from what a claim was told.
const outcomeWord = (name) => translate(knows(`told_${name}`) ? `told_${name}` : name);

function drawOutcomes(event) {
  const body = at("outcomes");
  const names = Object.keys(event.claims);
  if (body.childElementCount === 0)
    for (const name of names) {
      const head = element("th", "", element("span"), element("span", "mini", element("span")));
      head.scope = "row";
      body.append(element("tr", "", head, element("td")));
    }
  const all = allClaims(event);
  names.forEach((name, i) => {
    const [head, count] = body.children[i].children;
    put(head.firstChild, outcomeWord(name));
    head.lastChild.firstChild.style.width = `${share(event.claims[name], all)}%`;
    put(count, number(event.claims[name]));
    body.children[i].classList.toggle("zero", event.claims[name] === 0);
  });
}

function drawEvent() {
  const event = snapshot.event;
  at("empty").hidden = event !== null;
  at("event").hidden = event === null;
  if (event === null) return;
  drawNumbers(event);
  drawIssuing(event);
  drawRequests();
  drawOutcomes(event);
  offer(event);
}

// ---- the server ----

function parts(health) {
  return [
    ["journal", health.journal.status, translate("journalNote", bytes(health.journal.room_bytes))],
    ["engine", health.engine.status, translate("engineNote", number(health.engine.claims_waiting), number(health.engine.changes_waiting))],
    ["views", health.views.status, translate("viewsNote", number(health.views.records_behind))],
    ["copy", health.copy.status, health.copy.status === "none" ? translate("copyNone") : translate("copyNote", number(health.copy.records_behind))],
    ["disk", health.disk.status, translate("diskNote", bytes(health.disk.free_bytes))],
    ["connections", "ok", translate("connectionsNote", number(health.connections))],
  ];
}

function drawHealth() {
  const list = at("health");
  parts(snapshot.health).forEach(([name, state, note], i) => {
    const item = list.children[i] ??
      list.appendChild(element("li", "", element("span", "part"), element("span", "word"), element("span", "muted")));
    put(item.children[0], translate(name));
    put(item.children[1], translate(state));
    item.children[1].dataset.state = ["ok", "none", "catching_up"].includes(state) ? "ok" : "bad";
    put(item.children[2], note);
  });
  put("version", translate("version", snapshot.health.version, duration(snapshot.health.uptime_s)));
}

function drawPill() {
  const state = isLost ? "lost" : snapshot?.health.status ?? "wait";
  put("pill", translate(state));
  at("pill").dataset.state = state;
}

// Not more often than a person can listen to.
function speakNews() {
  const event = snapshot.event;
  if (event === null || Date.now() - spoken.at < SPOKEN_EVERY_MS) return;
  const words = translate("spoken", event.event_id, number(event.remaining_stock), number(event.total_stock), number(lastSecond()));
  if (words === spoken.words) return;
  put("spoken", words);
  spoken = { at: Date.now(), words };
}

function draw() {
  drawPill();
  if (snapshot === null) return;
  document.title = `${snapshot.event ? `${snapshot.event.event_id} · ` : ""}coupond`;
  drawEvents();
  drawEvent();
  drawHealth();
  speakNews();
}

// ---- the stream ----

function take(message) {
  snapshot = JSON.parse(message.data);
  isLost = false;
  const requests = snapshot.event?.requests ?? { from_s: 0, counts: [] };
  if (message.lastEventId === "1") seconds = new Map();
  requests.counts.forEach((count, i) => seconds.set(requests.from_s + i, count));
  const oldest = requests.from_s + requests.counts.length - HISTORY_SECONDS;
  for (const second of seconds.keys()) if (second < oldest) seconds.delete(second);
  draw();
}

// EventSource comes back by itself after a break, but not after a refusal: then the session has ended,
// the event is not there, or too many look on.
async function lost() {
  isLost = true;
  drawPill();
  if (stream.readyState !== EventSource.CLOSED) return;
  stream.close();
  const response = await fetch("/admin/v1/events", { method: "HEAD" }).catch(() => null);
  if (response?.status === 401) location.reload();
  if (response?.ok && wanted !== "") wanted = "";
  setTimeout(look, 3000);
}

function look() {
  stream?.close();
  stream = new EventSource(wanted === "" ? "/admin/v1/stream" : `/admin/v1/stream?event=${encodeURIComponent(wanted)}`);
  stream.addEventListener("snapshot", take);
  stream.addEventListener("error", lost);
}

function lookAt(name) {
  if (named() !== name) history.replaceState(null, "", `#/${name}`);
  wanted = name;
  look();
}

window.addEventListener("hashchange", () => {
  if (named() !== "") lookAt(named());
});

at("logout").addEventListener("click", async () => {
  await fetch("/admin/v1/logout", { method: "POST" }).catch(() => null);
  location.assign("/");
});

setUp(() => snapshot?.event, lookAt);
speak(draw);
look();
