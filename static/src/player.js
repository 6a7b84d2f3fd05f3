// The player: one film, its languages as audio and subtitle tracks, and the transcript beside it.
import "./before-videojs.js";
import videojs from "video.js";
import "video.js/dist/video-js.css";

const page = document.getElementById("watch");
const job = page.dataset.job;
const api = `/api/v1/jobs/${job}`;
const message = document.getElementById("message");
const list = document.getElementById("transcript");
const audioChoice = document.getElementById("audio");
const textChoice = document.getElementById("subtitles");
const languages = JSON.parse(document.getElementById("languages").textContent); // [{code, name, path}]
const segments = new Map();

const player = videojs("player", {
  controls: true,
  preload: "metadata",
  fill: true,
  playbackRates: [0.75, 1, 1.25, 1.5, 2],
  html5: {
    vhs: { overrideNative: true },
    nativeAudioTracks: false,
    nativeTextTracks: false,
  },
  userActions: { hotkeys: true },
});
window.player = player;

function say(text) {
  message.textContent = text;
  message.hidden = !text;
}

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.detail || `The server answered ${answer.status}.`);
  return body;
}

// Signed addresses end; a new one is fetched in time, and playing goes on where it was.
async function load() {
  const playback = await ask(`${api}/playback`);
  const at = player.currentTime();
  const playing = !player.paused();
  if (playback.poster) player.poster(playback.poster);
  player.src({ src: playback.url, type: playback.type });
  if (at) player.one("loadedmetadata", () => player.currentTime(at));
  if (playing) player.play();
  const rest = new Date(playback.expires_at) - Date.now() - 60000;
  setTimeout(() => load().catch((error) => say(error.message)), Math.min(Math.max(rest, 60000), 2 ** 31 - 1));
}

function base(code) {
  return (code || "").split("-")[0];
}

function sameLanguage(one, other) {
  return one === other || base(one) === base(other);
}

// Video.js' lists have a length and no iterator.
function audioTracks() {
  return Array.from(player.audioTracks());
}

function subtitleTracks() {
  return Array.from(player.textTracks()).filter((track) => ["subtitles", "captions"].includes(track.kind));
}

function fill(select, entries, current) {
  const made = entries.map(([value, text]) => new Option(text, value, false, value === current));
  select.replaceChildren(...made);
  select.disabled = entries.length < 2;
}

function showAudio() {
  const tracks = audioTracks();
  const enabled = tracks.find((track) => track.enabled);
  fill(audioChoice, tracks.map((track) => [track.language, track.label]), enabled?.language);
  if (enabled) transcript(enabled.language);
}

function showSubtitles() {
  const tracks = subtitleTracks();
  const shown = tracks.find((track) => track.mode === "showing");
  fill(textChoice, [["", "Off"], ...tracks.map((track) => [track.language, track.label])], shown?.language ?? "");
}

audioChoice.addEventListener("change", () => {
  const track = audioTracks().find((t) => t.language === audioChoice.value);
  if (track) track.enabled = true; // the list turns the others off
});
textChoice.addEventListener("change", () => {
  const wanted = textChoice.value;
  for (const track of subtitleTracks()) track.mode = track.language === wanted ? "showing" : "disabled";
});

player.ready(() => {
  for (const event of ["addtrack", "change", "removetrack"]) {
    player.audioTracks().addEventListener(event, showAudio);
    player.textTracks().addEventListener(event, showSubtitles);
  }
});
player.on("error", () => {
  const error = player.error();
  if (error) say(`The film cannot be played: ${error.message}`);
});

function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0"));
  if (whole >= 3600) parts.unshift(String(Math.floor(whole / 3600)));
  return parts.join(":");
}

let shownLanguage = null;
async function transcript(code) {
  const language = languages.find((l) => sameLanguage(l.code, code));
  if (!language || shownLanguage === language.code) return;
  shownLanguage = language.code;
  document.getElementById("transcript-language").textContent = language.name;
  try {
    if (!segments.has(language.code)) segments.set(language.code, (await ask(language.path)).segments);
  } catch (error) {
    shownLanguage = null;
    say(`The transcript cannot be read: ${error.message}`);
    return;
  }
  if (shownLanguage !== language.code) return;
  list.lang = language.code;
  list.dir = language.direction;
  list.replaceChildren(...segments.get(language.code).map(line));
  document.getElementById("transcript-empty").hidden = list.children.length > 0;
  follow();
}

function line(segment) {
  const item = document.createElement("li");
  item.dataset.start = segment.start;
  item.dataset.end = segment.end;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "flex w-full gap-3 rounded px-2 py-1 text-left hover:bg-base-200";
  const time = Object.assign(document.createElement("span"), { textContent: clock(segment.start) });
  time.className = "text-base-content/60 tabular-nums text-sm pt-0.5";
  const text = Object.assign(document.createElement("span"), { textContent: segment.text });
  button.append(time, text);
  for (const flag of segment.flags || []) {
    const badge = Object.assign(document.createElement("span"), { textContent: flag });
    badge.className = "badge badge-warning badge-sm ml-auto";
    button.append(badge);
  }
  button.addEventListener("click", () => {
    player.currentTime(segment.start);
    player.play();
  });
  item.append(button);
  return item;
}

function follow() {
  const now = player.currentTime() || 0;
  let current = null;
  for (const item of list.children) {
    const here = Number(item.dataset.start) <= now && now < Number(item.dataset.end);
    if (here) current = item;
    if (here !== (item.getAttribute("aria-current") === "true")) {
      if (here) item.setAttribute("aria-current", "true");
      else item.removeAttribute("aria-current");
      if (here && !player.paused()) keepInView(item);
    }
  }
  return current;
}

// Scrolls the list, never the page.
function keepInView(item) {
  const top = item.offsetTop - list.offsetTop;
  if (top < list.scrollTop || top + item.offsetHeight > list.scrollTop + list.clientHeight) {
    list.scrollTop = top - list.clientHeight / 3;
  }
}
player.on("timeupdate", follow);

load().catch((error) => say(error.message));
if (languages.length) transcript(languages[0].code);
