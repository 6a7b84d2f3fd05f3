// The list of jobs, live over one websocket.
import { atMostEvery } from "./live.js";

const list = () => document.getElementById("jobs");
const refresh = atMostEvery(1000, () => {
  if (list()) window.htmx.ajax("GET", location.href, { target: "#jobs", swap: "outerHTML", headers: { "HX-Quiet": "1" } });
});

let pause = 1000;
function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws/jobs/`);
  let opened = false;
  socket.addEventListener("open", () => {
    if (pause > 1000) refresh();
    pause = 1000;
    opened = true;
  });
  socket.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    if (event.type === "job.progress") {
      const bar = document.querySelector(`progress[data-job="${event.job}"]`);
      if (bar) bar.value = event.data.progress;
    } else if (event.type.startsWith("job.")) {
      refresh();
    }
  });
  socket.addEventListener("close", (event) => {
    if (event.code === 4401) return location.reload();
    if (!opened) refresh();
    setTimeout(connect, pause);
    pause = Math.min(30000, pause * 2);
  });
}
connect();
