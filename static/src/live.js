// Events of one job over server-sent events; and a brake on how often a page is asked for anew.

const TYPES = [
  "job.queued", "job.started", "job.progress", "job.waiting_review", "job.succeeded", "job.failed", "job.cancelling",
  "job.cancelled", "stage.started", "stage.progress", "stage.retrying", "stage.succeeded", "stage.skipped",
  "stage.failed", "stage.dead", "artifact.created",
];

// Calls `take(event)` for each event after `after`. The browser reconnects by itself and says what it has seen.
export function followJob(jobId, after, take, state = () => {}) {
  const source = new EventSource(`/api/v1/jobs/${jobId}/stream?after=${after}`);
  for (const type of TYPES) {
    source.addEventListener(type, (message) => {
      const event = JSON.parse(message.data);
      take(event);
      if (["job.succeeded", "job.failed", "job.cancelled"].includes(event.type)) source.close();
    });
  }
  source.addEventListener("open", () => state("open"));
  source.addEventListener("error", () => state(source.readyState === EventSource.CLOSED ? "closed" : "waiting"));
  return source;
}

// Runs `act` at once, and then at most once in `pause` milliseconds; the last call is never lost.
export function atMostEvery(pause, act) {
  let timer = null;
  let again = false;
  const run = () => {
    timer = setTimeout(() => {
      timer = null;
      if (again) {
        again = false;
        run();
      }
    }, pause);
    act();
  };
  return () => {
    if (timer) again = true;
    else run();
  };
}

export function seconds(value) {
  if (value === null || value === undefined) return "";
  const whole = Math.max(1, Math.round(value));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
