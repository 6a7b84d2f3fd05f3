// A new job: the file goes up with a bar, then the order is sent. Both over the public API.
import { csrfToken } from "./csrf.js";
import { seconds } from "./live.js";

const options = JSON.parse(document.getElementById("options").textContent);
const form = document.getElementById("order");
const picker = document.getElementById("file");
const drop = document.getElementById("drop");
const upload = document.getElementById("upload");
const bar = document.getElementById("upload-bar");
const label = document.getElementById("upload-label");
const chosen = document.getElementById("chosen");
const known = document.getElementById("known");
const submit = document.getElementById("submit");
const errors = document.getElementById("errors");
const title = form.elements.title;
let asset = null;
let sending = null;

// crypto.randomUUID is there only over https and on localhost.
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fail(lines) {
  errors.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  errors.parentElement.hidden = !lines.length;
  if (lines.length) errors.parentElement.scrollIntoView({ block: "nearest" });
}

function problem(body, status) {
  if (!body || !body.detail) return [`The server answered ${status}. Try again.`];
  const named = (body.errors || []).filter((e) => e.detail && !body.detail.includes(e.detail));
  return [body.detail, ...named.map((e) => `${e.pointer.replace(/^\//, "")}: ${e.detail}`)];
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (bytes >= 1000 && at < units.length - 1) {
    bytes /= 1000;
    at += 1;
  }
  return `${bytes < 10 && at ? bytes.toFixed(1) : Math.round(bytes)} ${units[at]}`;
}

function describe(found) {
  const video = (found.streams || []).find((s) => s.type === "video");
  const parts = [found.kind, found.duration ? seconds(found.duration) : "", size(found.size)];
  if (video && video.width) parts.splice(1, 0, `${video.width} × ${video.height}`);
  return parts.filter(Boolean).join(", ");
}

function use(found) {
  asset = found;
  chosen.hidden = !found;
  drop.hidden = Boolean(found);
  if (known) known.closest("label").hidden = Boolean(found);
  if (found) {
    document.getElementById("chosen-name").textContent = found.filename;
    document.getElementById("chosen-facts").textContent = describe(found);
    if (!title.value) title.value = found.filename.replace(/\.[^.]+$/, "");
  }
  ready();
}

function send(file) {
  fail([]);
  if (!file) return;
  if (options.max_bytes && file.size > options.max_bytes) {
    fail([`${file.name} has ${size(file.size)}; this server takes files up to ${size(options.max_bytes)}.`]);
    return;
  }
  const body = new FormData();
  body.append("file", file, file.name);
  sending = new XMLHttpRequest();
  const began = Date.now();
  sending.open("POST", "/api/v1/assets");
  sending.setRequestHeader("X-CSRFToken", csrfToken());
  sending.responseType = "json";
  sending.upload.addEventListener("progress", (event) => {
    bar.value = (100 * event.loaded) / event.total;
    const left = ((Date.now() - began) / 1000) * (event.total / event.loaded - 1);
    label.textContent =
      event.loaded < event.total
        ? `${size(event.loaded)} of ${size(event.total)}` + (left > 2 ? `, about ${seconds(left)} left` : "")
        : "Looking at the file";
    if (event.loaded === event.total) bar.removeAttribute("value");
  });
  const end = () => {
    upload.hidden = true;
    drop.hidden = Boolean(asset);
    picker.value = "";
    sending = null;
  };
  sending.addEventListener("load", (event) => {
    const { status, response } = event.target;
    end();
    if (status === 201) use(response);
    else fail(problem(response, status));
  });
  sending.addEventListener("error", () => {
    end();
    fail(["The connection broke before the whole file had gone up. Choose the file again."]);
  });
  sending.addEventListener("abort", end);
  drop.hidden = true;
  upload.hidden = false;
  bar.value = 0;
  document.getElementById("upload-name").textContent = file.name;
  label.textContent = "";
  sending.send(body);
}

function kind() {
  return form.elements.kind.value;
}

// The languages that the server can really make from this one.
function targets() {
  const source = form.elements.source_language.value;
  for (const box of document.querySelectorAll("input[name=target]")) {
    const can =
      box.value !== source &&
      options.pairs.some(([from, to]) => to === box.value && (from === source || source === "auto")) &&
      (kind() !== "dub" || options.speak.includes(box.value));
    box.closest("label").hidden = !can;
    box.disabled = !can;
  }
  ready();
}

function wanted() {
  return [...document.querySelectorAll("input[name=target]:checked:not(:disabled)")].map((box) => box.value);
}

function ready() {
  submit.disabled = !asset || !wanted().length;
  const possible = document.querySelectorAll("input[name=target]:not(:disabled)").length;
  document.getElementById("no-targets").hidden = possible > 0;
}

async function order(event) {
  event.preventDefault();
  fail([]);
  submit.disabled = true;
  submit.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("/api/v1/jobs", {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "X-CSRFToken": csrfToken(),
        "Idempotency-Key": form.dataset.key,
      },
      body: JSON.stringify({
        kind: kind(),
        asset: asset.id,
        source_language: form.elements.source_language.value,
        target_languages: wanted(),
        title: title.value,
        priority: form.elements.priority.value,
      }),
    });
    const body = await answer.json().catch(() => null);
    if (answer.status === 202) {
      location.assign(`/jobs/${body.id}/`);
      return;
    }
    form.dataset.key = newKey();
    fail(problem(body, answer.status));
  } catch {
    fail(["The server did not answer. Press the button again; nothing will be done twice."]);
  }
  submit.removeAttribute("aria-busy");
  ready();
}

form.dataset.key = newKey();
picker.addEventListener("change", () => send(picker.files[0]));
document.getElementById("upload-stop").addEventListener("click", () => sending?.abort());
document.getElementById("chosen-other").addEventListener("click", () => use(null));
known?.addEventListener("change", () => {
  const found = options.assets.find((a) => a.id === known.value);
  if (found) use(found);
  known.value = "";
});
for (const type of ["dragover", "dragenter"]) {
  drop.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.add("border-primary");
  });
}
drop.addEventListener("dragleave", () => drop.classList.remove("border-primary"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("border-primary");
  send(event.dataTransfer.files[0]);
});
window.addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
form.addEventListener("change", targets);
form.addEventListener("submit", order);
targets();
use(options.assets.find((a) => a.id === options.chosen) || null);
