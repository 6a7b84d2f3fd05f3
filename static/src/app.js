// What every page needs: partial updates, questions before what cannot be undone, messages that go away.
import htmx from "htmx.org";

import { csrfToken } from "./csrf.js";

window.htmx = htmx;

document.body.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = csrfToken();
});

// A form with data-confirm="id" is sent only after the <dialog> of that id was answered with yes.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const dialog = form.dataset.confirm && document.getElementById(form.dataset.confirm);
  if (!dialog || form.dataset.confirmed) return;
  event.preventDefault();
  dialog.returnValue = "";
  dialog.addEventListener(
    "close",
    () => {
      if (dialog.returnValue !== "yes") return;
      form.dataset.confirmed = "1";
      form.requestSubmit();
    },
    { once: true },
  );
  dialog.showModal();
});

// A button with data-opens="id" opens that dialog.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("[data-closable]")?.remove();
});

// Times are shown in the reader's own zone.
function showLocalTimes(root = document) {
  const form = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    time.textContent = form.format(new Date(time.dateTime));
    time.dataset.local = "1";
  }
}
showLocalTimes();
document.body.addEventListener("htmx:afterSettle", () => showLocalTimes());
