// SPDX-License-Identifier: Apache-2.0
// The changes that an operator can make, each in a dialog that says what it does, asks why, and sends
// it with the session's cookie. A change is done when the server says that every thread has it.
import { translate } from "./words.js";

const dialog = document.getElementById("dialog");
const form = dialog.querySelector("form");
const fields = document.getElementById("fields");
const problem = document.getElementById("dialog-problem");
const send = document.getElementById("send");
const done = document.getElementById("done");

const text = (name, more = {}) => ({ name, type: "text", required: true, ...more });
const stock = { name: "total_stock", type: "number", required: true, min: 1, max: 1000000, inputmode: "numeric" };
const times = [{ name: "starts_at", type: "datetime-local" }, { name: "ends_at", type: "datetime-local" }];
const verbs = {
  create: [text("event_id", { maxlength: 64, pattern: "[A-Za-z0-9_\\-]+" }), stock, ...times],
  pause: [],
  resume: [],
  restock: [stock],
  reschedule: times,
  return: [text("user_id", { maxlength: 64 })],
  close: [text("confirm")],
};
const who = [text("operator", { maxlength: 64, autocomplete: "username" }), text("reason", { maxlength: 200 })];

let open = null; // { verb, event } while the dialog is

// "2026-12-01T09:00" of the local time, for a datetime-local field, and back.
function toField(instant) {
  if (!instant) return "";
  const local = new Date(new Date(instant).getTime() - new Date(instant).getTimezoneOffset() * 60000);
  return local.toISOString().slice(0, 19);
}
const toInstant = (field) => (field === "" ? null : new Date(field).toISOString());

function remembered(name) {
  try {
    return name === "operator" ? localStorage.getItem("operator") ?? "" : "";
  } catch {
    return "";
  }
}

function initial(name, verb, event) {
  if (verb === "restock" && name === "total_stock") return event.total_stock;
  if (verb === "reschedule" && name.endsWith("_at")) return toField(event[name]);
  return remembered(name);
}

function addField({ name, ...attributes }) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  label.htmlFor = input.id = input.name = name;
  label.textContent = translate(name);
  for (const [key, value] of Object.entries(attributes)) input.setAttribute(key, value);
  if (attributes.type === "datetime-local") input.step = 1;
  input.value = initial(name, open.verb, open.event);
  fields.append(label, input);
}

function start(verb, event) {
  open = { verb, event };
  document.getElementById("dialog-title").textContent = translate(verb);
  document.getElementById("dialog-help").textContent = translate(`${verb}Help`, event?.event_id);
  send.textContent = translate(verb);
  send.className = verb === "close" ? "danger" : "primary";
  problem.textContent = "";
  fields.replaceChildren();
  for (const field of [...verbs[verb], ...who]) addField(field);
  dialog.showModal();
}

function refuse(input, words) {
  problem.textContent = words;
  input.setAttribute("aria-invalid", "true");
  input.focus();
  return false;
}

function isGood() {
  for (const input of fields.querySelectorAll("input")) {
    input.removeAttribute("aria-invalid");
    if (input.required && input.value.trim() === "")
      return refuse(input, translate("missing", translate(input.name)));
    if (!input.validity.valid) return refuse(input, input.validationMessage);
    if (input.name === "confirm" && input.value.trim() !== open.event.event_id)
      return refuse(input, translate("confirmWrong"));
  }
  return true;
}

function body() {
  const members = {};
  for (const input of fields.querySelectorAll("input")) {
    const value = input.value.trim();
    if (input.type === "number") members[input.name] = Number(value);
    else if (input.type === "datetime-local") members[input.name] = toInstant(value);
    else if (input.name !== "confirm") members[input.name] = value;
  }
  return members;
}

async function post(path, members) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(members),
  });
  if (response.status === 401) location.reload();
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return { isDone: response.status !== 202, event: answer.event_id };
}

let hide = 0;
function tell(words) {
  done.textContent = words;
  done.hidden = false;
  clearTimeout(hide);
  hide = setTimeout(() => { done.hidden = true; }, 8000);
}

async function submit(created) {
  const { verb, event } = open;
  const members = body();
  const path = verb === "create" ? "/admin/v1/events" : `/admin/v1/events/${event.event_id}/${verb}`;
  send.disabled = true;
  try {
    const answer = await post(path, members);
    dialog.close();
    tell(translate(answer.isDone ? "done" : "later", translate(verb)));
    if (verb === "create") created(members.event_id);
  } catch (error) {
    problem.textContent = error instanceof TypeError ? translate("unreachable") : error.message;
  }
  send.disabled = false;
  try {
    localStorage.setItem("operator", members.operator);
  } catch { /* then it is asked for again */ }
}

/** Wires the buttons: `current` gives the event that is shown, `created` gets the name of a new one. */
export function setUp(current, created) {
  for (const button of document.querySelectorAll("[data-verb]"))
    button.addEventListener("click", () => start(button.dataset.verb, current()));
  document.getElementById("cancel").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!send.disabled && isGood()) submit(created);
  });
}

/** Which changes make sense for the event as it is. */
export function offer(event) {
  const isOff = {
    pause: event.closed || event.paused,
    resume: event.closed || !event.paused,
    restock: event.closed,
    reschedule: event.closed,
    close: event.closed,
    return: event.total_participants === 0,
  };
  for (const [verb, off] of Object.entries(isOff))
    document.querySelector(`[data-verb="${verb}"]`).disabled = off;
}
