// Asks for the figures with the token, every two seconds while somebody looks, and draws the last five minutes.
// The token stays in this tab's storage and in one header; everything shown is set as text.
"use strict";

const EVERY = 2000; // milliseconds between two questions
const PATIENCE = 8000; // and until one is given up
const WINDOW = 300; // seconds that a plot shows
const KEPT = "mobium admin token";
const WIDTH = 300;
const HEIGHT = 72;
const SVG = "http://www.w3.org/2000/svg";

// ---------------------------------------------------------------- how figures are written

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

function count(n) {
  return n < 1e7 ? whole.format(n) : compact.format(n);
}

function rate(n) {
  return n >= 100 || n === 0 ? count(n) : n < 0.01 ? "< 0.01" : fine.format(n);
}

function bytes(n) {
  for (const unit of ["bytes", "KiB", "MiB", "GiB"]) {
    if (n < 1024) return `${unit === "bytes" || n >= 100 ? whole.format(n) : n.toPrecision(3)} ${unit}`;
    n /= 1024;
  }
  return `${n >= 100 ? whole.format(n) : n.toPrecision(3)} TiB`;
}

function duration(seconds) {
  const ms = seconds * 1000;
  if (ms === 0) return "0 ms";
  return ms < 1000 ? `${ms >= 100 ? whole.format(ms) : ms.toPrecision(2)} ms` : `${fine.format(seconds)} s`;
}

function time(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  let left = seconds;
  return parts.slice(first, first + 2).map(([size, unit]) => {
    const n = Math.floor(left / size);
    left -= n * size;
    return `${n} ${unit}`;
  }).join(" ");
}

function many(n, one, more) {
  return `${count(n)} ${n === 1 ? one : more}`;
}

// ---------------------------------------------------------------- which figures are shown

// `lines` are plotted; of a counter its growth a second. `more` follows the large figure.
const CARDS = [
  {
    title: "Connections",
    lines: [{ name: "open", of: (s) => s.connections }, { name: "logged in", of: (s) => s.sessions }],
    write: count,
    large: (v) => count(v[0]),
    more: (s) => `${many(s.sessions, "device is", "devices are")} logged in; ` +
      (s.connections_most ? `${count(s.connections_most)} may connect` : "any number may connect"),
  },
  {
    title: "Messages a second",
    lines: [{ name: "direct", rate: (s) => s.messages }, { name: "channels", rate: (s) => s.posts }],
    write: rate,
    large: (v) => rate(v[0] + v[1]),
    more: (s) => `${count(s.messages)} direct and ${count(s.posts)} for channels since the start`,
  },
  {
    title: "Deliveries a second",
    lines: [
      { name: "direct", rate: (s) => s.messages_delivered },
      { name: "channels", rate: (s) => s.fan_outs },
    ],
    write: rate,
    large: (v) => rate(v[0] + v[1]),
    more: (s) => `${count(s.messages_delivered)} direct and ${count(s.fan_outs)} to readers of channels`,
  },
  {
    title: "Waiting for recipients",
    lines: [{ name: "messages", of: (s) => s.mailbox_messages }],
    write: count,
    large: (v) => count(v[0]),
    more: (s) => (s.mailboxes_counted ? "" : "still counting: ") +
      `${bytes(s.mailbox_bytes)} in ${many(s.mailboxes, "mailbox", "mailboxes")}` +
      (s.mailboxes > 1 ? `; the fullest holds ${count(s.mailbox_deepest)}` : ""),
  },
  {
    title: "Commit to disk",
    lines: [
      { name: "median", of: (s) => s.commit_median_seconds },
      { name: "99 %", of: (s) => s.commit_99th_seconds },
    ],
    write: duration,
    large: (v, s) => (s.commits ? duration(v[0]) : "none yet"),
    more: (s) => (s.commits
      ? `99 of 100 took at most ${duration(s.commit_99th_seconds)}; ${many(s.commits, "commit", "commits")}`
      : "nothing had to be written since the start"),
  },
  {
    title: "Database",
    lines: [{ name: "size", of: (s) => s.database_bytes + s.log_bytes }],
    write: bytes,
    large: (v) => bytes(v[0]),
    more: (s) => `${bytes(s.log_bytes)} of it in the log` +
      (s.disk_total_bytes ? `; ${bytes(s.disk_free_bytes)} free of ${bytes(s.disk_total_bytes)}` : ""),
  },
  {
    title: "Channels",
    lines: [{ name: "channels", of: (s) => s.channels }, { name: "in voice", of: (s) => s.voice_people }],
    write: count,
    large: (v) => count(v[0]),
    more: (s) => `${many(s.channels_loaded, "roster", "rosters")} in memory; ` +
      `${many(s.voice_people, "person", "people")} in ${many(s.voice_rooms, "voice room", "voice rooms")}`,
  },
  {
    title: "Turned away a second",
    lines: [
      { name: "connections", rate: (s) => s.refused + s.login_failures },
      { name: "requests", rate: (s) => s.limited + s.malformed + s.media_limited + s.media_outside },
    ],
    write: rate,
    large: (v) => rate(v[0] + v[1]),
    more: () => "refused, not logged in, too many or malformed",
  },
];

const TOTALS = [
  ["Connections that came", "accepted"],
  ["Connections refused", "refused"],
  ["Logins", "logins"],
  ["Logins that failed", "login_failures"],
  ["Direct messages stored", "messages_stored"],
  ["Channel messages stored", "posts_stored"],
  ["Channel statements stored", "statements_stored"],
  ["Prekey bundles handed out", "bundles"],
  ["Readers that fell behind", "behinds"],
  ["Media frames relayed", "media_out"],
  ["Media frames dropped for slow readers", "media_slow"],
  ["Media frames dropped as too many a second", "media_limited"],
  ["Media frames from outside a room", "media_outside"],
  ["Refused as too many: requests, new identities, bytes to keep, TLS handshakes, floods", "limited"],
  ["Malformed frames", "malformed"],
  ["Faults of the server", "internal", true],
  ["Failures of the storage", "storage_failures", true],
];

// ---------------------------------------------------------------- the page

const $ = (id) => document.getElementById(id);

function element(kind, name, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawn(kind, name) {
  const made = document.createElementNS(SVG, kind);
  if (name) made.setAttribute("class", name);
  return made;
}

class Card {
  constructor(about) {
    this.about = about;
    this.points = []; // [seconds, values]
    const root = element("section", "card");
    this.large = element("div", "large");
    this.more = element("p", "more");
    const figure = element("figure");
    this.plot = drawn("svg");
    this.plot.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.plot.setAttribute("preserveAspectRatio", "none");
    this.plot.setAttribute("role", "img");
    const base = drawn("path", "base");
    base.setAttribute("d", `M0 ${HEIGHT - 1}H${WIDTH}`);
    this.plot.append(base);
    const key = element("span");
    this.paths = about.lines.map((line, i) => {
      const name = i ? "second" : "first";
      const path = drawn("path", name);
      this.plot.append(path);
      if (about.lines.length > 1) key.append(element("span", `key ${name}`, line.name), " ");
      return path;
    });
    this.top = element("span");
    const caption = element("figcaption");
    caption.append(key, this.top);
    figure.append(this.plot, caption);
    root.append(element("h2", "", about.title), this.large, this.more, figure);
    $("cards").append(root);
  }

  clear() {
    this.points = [];
  }

  take(now, before) {
    const values = this.about.lines.map((line) => {
      if (line.of) return line.of(now);
      const passed = before ? now.uptime_seconds - before.uptime_seconds : 0;
      return passed > 0 ? Math.max(0, line.rate(now) - line.rate(before)) / passed : 0;
    });
    const at = now.uptime_seconds;
    // A rate needs two answers: the first has none to show.
    if (before || !this.about.lines[0].rate) this.points.push([at, values]);
    this.points = this.points.filter(([when]) => when >= at - WINDOW);
    this.large.textContent = this.about.large(values, now);
    this.more.textContent = this.about.more(now);
    this.draw(at);
  }

  draw(at) {
    const { lines, write, title } = this.about;
    const most = Math.max(0, ...this.points.flatMap(([, values]) => values));
    const x = (when) => (WIDTH * (1 - (at - when) / WINDOW)).toFixed(1);
    const y = (value) => (HEIGHT - 2 - (most ? value / most : 0) * (HEIGHT - 6)).toFixed(1);
    this.paths.forEach((path, i) => {
      const line = this.points.map(([when, values]) => `${x(when)} ${y(values[i])}`);
      path.setAttribute("d", line.length ? `M${line.join("L")}` : "");
    });
    this.top.textContent = `highest ${write(most)}`;
    const newest = this.points.at(-1);
    const spoken = newest ? lines.map((line, i) => `${line.name} ${write(newest[1][i])}`).join(", ") : "none yet";
    this.plot.setAttribute("aria-label", `${title} in the last five minutes: now ${spoken}`);
  }
}

const cards = CARDS.map((about) => new Card(about));
const totals = TOTALS.map(([label, name, grave]) => {
  const row = element("div");
  const value = element("dd");
  row.append(element("dt", "", label), value);
  $("totals").append(row);
  return { value, name, grave };
});

function say(text, bad) {
  const notice = $("notice");
  notice.hidden = !text;
  notice.classList.toggle("bad", Boolean(bad));
  if (notice.textContent !== text) notice.textContent = text;
}

function trouble(stats) {
  if (stats.storage_failing) {
    return "The storage fails: whatever has to be written is refused. The server's log says why.";
  }
  if (stats.disk_low) {
    return `Only ${bytes(stats.disk_free_bytes)} are free on the disk: mail for people who are away and ` +
      `messages of channels are refused until there are ${bytes(stats.disk_reserve_bytes)}.`;
  }
  return "";
}

let before = null;

function show(stats) {
  // A server that was started again counts from nothing.
  if (before && stats.uptime_seconds < before.uptime_seconds) {
    before = null;
    cards.forEach((card) => card.clear());
  }
  cards.forEach((card) => card.take(stats, before));
  for (const { value, name, grave } of totals) {
    value.textContent = count(stats[name]);
    value.classList.toggle("bad", Boolean(grave && stats[name]));
  }
  $("about").textContent = `version ${stats.version}, running for ${time(stats.uptime_seconds)}`;
  before = stats;
  $("enter").hidden = true;
  $("figures").hidden = false;
  $("forget").hidden = false;
  say(trouble(stats), true);
}

// ---------------------------------------------------------------- asking

let token = sessionStorage.getItem(KEPT);
let timer = null;
let asking = 0; // which question is the newest: an answer to an older one is not shown

function enter(text) {
  asking += 1;
  clearTimeout(timer);
  token = null;
  before = null;
  sessionStorage.removeItem(KEPT);
  cards.forEach((card) => card.clear());
  $("figures").hidden = true;
  $("forget").hidden = true;
  $("about").textContent = "";
  $("enter").hidden = false;
  say(text, Boolean(text));
  $("token").focus();
}

const SILENT = "The server does not answer. It is asked again every few seconds.";

function refused(status, text) {
  if (status === 401) {
    enter("That is not the token of this server. Its operator set it as SC_ADMIN_TOKEN.");
    return false;
  }
  if (status === 404) {
    enter("This server shows no figures: SC_ADMIN_TOKEN is empty.");
    return false;
  }
  // A proxy whose server is gone answers with a page of its own.
  say(status === 502 || status === 504 ? SILENT : `The server answered with status ${status}. ${text}`, true);
  return true;
}

async function ask() {
  const mine = ++asking;
  let again = true;
  try {
    const response = await fetch("admin/stats", {
      headers: { Authorization: `Bearer ${token}` },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE),
    });
    const text = await response.text();
    if (mine !== asking) return;
    if (response.ok) {
      sessionStorage.setItem(KEPT, token);
      show(JSON.parse(text));
    } else {
      again = refused(response.status, text.length < 200 ? text.trim() : "");
    }
  } catch {
    if (mine !== asking) return;
    say(before ? `${SILENT} These are its last figures.` : SILENT, true);
  }
  if (again) timer = setTimeout(ask, EVERY);
}

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = $("token").value.trim();
  $("token").value = "";
  // What no header can carry is no token either, and would only look like a server that is silent.
  if (!/^[\x20-\x7e]+$/.test(typed)) {
    enter("That is not the token of this server. Its operator set it as SC_ADMIN_TOKEN.");
    return;
  }
  token = typed;
  clearTimeout(timer);
  say("", false);
  ask();
});

$("forget").addEventListener("click", () => enter(""));

// Nobody looks: nothing is asked.
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden && token) ask();
  else asking += 1;
});

if (token) ask();
else enter("");
