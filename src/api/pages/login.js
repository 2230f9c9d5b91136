// SPDX-License-Identifier: Apache-2.0
// The log-in page: shows the token once; from then on the browser has a cookie that no script reads.
import { speak, translate } from "./words.js";

const form = document.getElementById("login");
const token = document.getElementById("token");
const problem = document.getElementById("problem");
const button = form.querySelector("button");

const reasons = { 401: "wrongToken", 429: "slowDown" };
let reason = null;

function show() {
  document.title = `${translate("logIn")} · coupond`;
  problem.textContent = reason ? translate(reason) : "";
}

async function logIn() {
  try {
    const response = await fetch("/admin/v1/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: token.value.trim() }),
    });
    if (response.ok) return location.reload();
    return reasons[response.status] ?? "failed";
  } catch {
    return "unreachable";
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.disabled) return;
  button.disabled = true;
  reason = null;
  show();
  reason = (await logIn()) ?? null;
  button.disabled = false;
  show();
  if (reason) token.select();
});

speak(show);
