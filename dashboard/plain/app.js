import { live } from "/plain/live.js";
import { el, replace, transcript } from "/plain/view.js";

const at = id => document.getElementById(id);
const state = { org: null, task: null, session: null, tasks: [], snapshot: null, manual: false };
const log = new transcript(at("transcript"));
let server = null;

function say(text) { at("line").textContent = text || ""; }
function fail(error) { say(error.message || String(error)); }

function welcome(text) {
  at("welcome-text").textContent = text;
  at("welcome").hidden = false;
  at("task").hidden = true;
}

async function start() {
  const word = new URLSearchParams(location.hash.slice(1)).get("sign-in");
  if (word) {
    // Used or not, the word goes from the address and the history.
    history.replaceState(null, "", location.pathname);
    const answer = await fetch("/v1/session", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ word }),
    });
    if (!answer.ok) return welcome((await answer.json()).detail || "This sign-in link does not work: ask for a new one.");
  }
  const me = await fetch("/v1/session");
  if (!me.ok) return welcome("Open a sign-in link to begin. On the server, troupe access link USER makes one.");
  server = new live(on_state);
}

function on_state(what, text, principal) {
  say(text);
  if (what === "signed out") {
    server.close();
    return welcome("You were signed out. Open a sign-in link to begin again.");
  }
  if (what !== "open") return;
  at("who").textContent = principal.user;
  at("out").hidden = false;
  choose_orgs(Object.keys(principal.roles).sort());
}

function choose_orgs(names) {
  const known = new URLSearchParams(location.search).get("org");
  if (known && !names.includes(known)) names.push(known);
  if (!names.length) {
    if (!state.org) welcome("You are in no organization yet. On the server, troupe org create NAME makes one.");
    return;
  }
  replace(at("org"), ...names.map(name => el("option", { value: name }, name)));
  at("org").hidden = false;
  if (!state.org) open_org(known || names[0]);
  at("org").value = state.org;
}

function open_org(name) {
  if (state.org) server.unsubscribe(`org/${state.org}`);
  close_task();
  state.org = name;
  welcome("Choose a task.");
  server.subscribe(`org/${name}`, frame => {
    if (frame.op === "gone") return welcome(`The organization is not there: ${frame.reason}`);
    if (frame.op === "snapshot") draw_org(frame.data);
  });
}

function draw_org(org) {
  state.tasks = org.tasks || [];
  const chosen = at("repo").value;
  replace(at("repo"), ...(org.repositories || []).map(r => el("option", { value: r.repository }, r.repository)));
  if (chosen) at("repo").value = chosen;
  at("new").hidden = !(org.repositories || []).length;
  draw_tasks();
  for (const warning of org.warnings || []) say(warning.detail);
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (!state.task && state.tasks.some(t => t.task === wanted)) open_task(wanted);
}

function draw_tasks() {
  replace(at("tasks"), ...state.tasks.map(t => el("li", {},
    el("a", { href: `#${encodeURIComponent(t.task)}`, "aria-current": t.task === state.task ? "page" : null },
      el("div", {}, t.title),
      el("div", { class: "sub" }, el("span", { class: t.status }, t.status.replaceAll("_", " ")), el("span", {}, t.repository),
        t.diff && t.diff.files ? el("span", {}, `+${t.diff.additions} -${t.diff.deletions}`) : null)))));
}

const task_key = () => `org/${state.org}/task/${state.task}`;
const session_key = () => `${task_key()}/session/${state.session}`;

function close_session() {
  if (!state.session) return;
  server.unsubscribe(session_key());
  server.unsubscribe(`${session_key()}#transcript`);
  state.session = null;
  log.clear();
  replace(at("permissions"));
}

function close_task() {
  close_session();
  if (state.task) server.unsubscribe(task_key());
  state.task = null;
  state.manual = false;
}

function open_task(id) {
  if (id === state.task) return;
  close_task();
  state.task = id;
  at("welcome").hidden = true;
  at("task").hidden = false;
  draw_tasks();
  server.subscribe(task_key(), frame => {
    if (frame.op === "gone") return welcome(`The task is gone: ${frame.reason}`);
    if (frame.op === "snapshot") draw_task(frame.data);
  });
}

function draw_task(task) {
  document.title = `${task.title} - Troupe`;
  at("title").textContent = task.title;
  const diff = task.diff && task.diff.files ? `, ${task.diff.files} files +${task.diff.additions} -${task.diff.deletions}` : "";
  at("facts").textContent = `${task.status.replaceAll("_", " ")} on ${task.branch} of ${task.repository}${diff}`;
  at("trouble").hidden = !task.error;
  at("trouble").textContent = task.error || "";
  replace(at("steps"), ...(task.steps || []).map(s => el("li", { class: s.state },
    `${s.name} ${s.state === "done" ? `${s.ms ?? ""} ms` : s.state}${s.detail ? `: ${s.detail}` : ""}`)));
  const sessions = task.sessions || [];
  replace(at("sessions"), ...sessions.map(s => el("button", {
    type: "button", role: "tab", "aria-selected": String(s.session === state.session),
    onclick: () => { state.manual = true; open_session(s.session); draw_task(task); },
  }, s.title || s.agent, s.pending_permissions ? " (asks)" : "")));
  if (!state.manual && sessions.length && state.session !== sessions[sessions.length - 1].session) {
    open_session(sessions[sessions.length - 1].session);
    draw_task(task);
  }
}

function open_session(id) {
  if (id === state.session) return;
  close_session();
  state.session = id;
  server.subscribe(session_key(), frame => { if (frame.op === "snapshot") draw_session(frame.data); });
  server.subscribe(`${session_key()}#transcript`, frame => {
    if (frame.op === "reset") return log.clear();
    if (frame.op !== "entries") return;
    const box = at("transcript");
    const at_end = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    for (const entry of frame.entries) log.take(entry.data);
    if (at_end) box.scrollTop = box.scrollHeight;
  });
}

function draw_session(session) {
  at("cancel").disabled = !["running", "needs_input"].includes(session.status);
  const key = session_key();
  const answers = [["allow_once", "Allow once"], ["allow_always", "Allow always"], ["reject", "Reject"]];
  replace(at("permissions"), ...(session.permissions || []).filter(p => p.state === "pending").map(p =>
    el("div", { class: "permission", role: "group", "aria-label": "Permission" },
      el("div", {}, p.title || p.kind || "The agent asks for a permission"),
      el("div", { class: "row" }, ...answers.map(([answer, words]) => el("button", {
        type: "button",
        onclick: () => server.command(key, "session.answer_permission", { permission: p.permission, answer }).catch(fail),
      }, words))))));
}

at("prompt").addEventListener("submit", event => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (!text || !state.task) return;
  const body = { text };
  if (state.session) body.session = state.session;
  at("text").value = "";
  server.command(task_key(), "task.send_message", body).then(() => say(""), error => {
    if (!at("text").value) at("text").value = text;
    fail(error);
  });
});
at("text").addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("prompt").requestSubmit();
});
at("cancel").addEventListener("click", () => server.command(session_key(), "session.cancel").catch(fail));
at("new").addEventListener("submit", event => {
  event.preventDefault();
  const description = at("what").value.trim();
  if (!description) return;
  server.command(`org/${state.org}`, "org.create_task", { repository: at("repo").value, description, prompt: description })
    .then(made => { at("what").value = ""; location.hash = encodeURIComponent(made.task); }, fail);
});
at("org").addEventListener("change", () => open_org(at("org").value));
at("out").addEventListener("click", async () => {
  await fetch("/v1/session", { method: "DELETE" });
  server.close();
  location.reload();
});
addEventListener("hashchange", () => {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id && server && !id.startsWith("sign-in=")) open_task(id);
});

start().catch(fail);
