// One job, live: ticks move the bars at once; a change of state asks the server for the page's live part.
import { atMostEvery, followJob, seconds } from "./live.js";

const page = document.getElementById("job");
const refresh = atMostEvery(300, () => window.htmx.ajax("GET", page.dataset.live, { target: "#live", swap: "outerHTML" }));

function bar(selector, percent) {
  const element = document.querySelector(selector);
  if (!element) return;
  element.value = Math.max(Number(element.value) || 0, percent);
}

function take(event) {
  const data = event.data;
  if (event.type === "job.progress") {
    bar("#progress", data.progress);
    const text = document.getElementById("progress-text");
    if (text) text.textContent = `${Math.floor(data.progress)} %`;
    const left = document.getElementById("eta");
    if (left) left.textContent = data.eta_seconds ? `about ${seconds(data.eta_seconds)} left` : "";
  } else if (event.type === "stage.progress") {
    if (!data.shard) bar(`progress[data-stage="${data.stage}"][data-language="${data.language || ""}"]`, data.progress);
  } else {
    refresh();
  }
}

function connection(state) {
  document.getElementById("offline").hidden = state !== "waiting";
}

if (page.dataset.open === "true") followJob(page.dataset.job, page.dataset.seq, take, connection);
