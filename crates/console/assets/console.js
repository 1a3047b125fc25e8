// What pages can do without, done more comfortably: dropping files, progress, fresh numbers, copying.

document.documentElement.classList.add("js");

const code = document.getElementById("code");
// The QR code in the terminal carries it where no server reads it.
if (code?.name === "code" && /^#[0-9A-Za-z-]{4,40}$/.test(location.hash)) {
  code.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
}
const form = document.querySelector("form[data-upload]");
if (form) uploads(form);
for (const box of document.querySelectorAll("[data-copy]")) copyable(box);
setInterval(refresh, 5000);

/** Sends files as they are chosen or dropped, one after another. */
function uploads(form) {
  const input = form.querySelector("input[type=file]");
  const section = document.querySelector(".sending");
  const list = document.getElementById("sending");
  const said = document.getElementById("sending-said");
  const queue = [];
  let busy = false, done = 0, failed = 0;

  input.addEventListener("change", () => {
    add(input.files);
    form.reset();
  });
  form.addEventListener("submit", (event) => event.preventDefault());

  let depth = 0;
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (over) => document.body.classList.toggle("over", over);
  addEventListener("dragenter", (event) => { if (carriesFiles(event)) { depth += 1; mark(true); event.preventDefault(); } });
  addEventListener("dragleave", (event) => { if (carriesFiles(event) && (depth -= 1) <= 0) { depth = 0; mark(false); } });
  addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    mark(false);
    add(event.dataTransfer.files);
  });
  addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });

  function add(files) {
    if (!files.length) return;
    if (!busy) { done = failed = 0; list.replaceChildren(); }
    for (const file of files) queue.push(row(file));
    section.hidden = false;
    if (!busy) work();
  }

  function row(file) {
    const name = element("span", file.name);
    const percent = element("span", "waiting", "quiet-text");
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", `Sending ${file.name}`);
    const line = document.createElement("li");
    line.append(name, percent, bar);
    list.append(line);
    return { file, line, percent, bar, replace: false };
  }

  async function work() {
    busy = true;
    while (queue.length) {
      const next = queue.shift();
      say(`Sending ${next.file.name}, ${queue.length} to go.`);
      const problem = await send(next);
      next.bar.remove();
      if (problem) {
        failed += 1;
        refuse(next, problem);
      } else {
        done += 1;
        next.percent.textContent = "stored";
        await refresh();
      }
    }
    busy = false;
    const stored = done === 1 ? "1 file is stored." : `${done} files are stored.`;
    say(failed ? `${stored} ${failed} could not be sent.` : stored);
  }

  /** Resolves to nothing, or to what went wrong. */
  function send(entry) {
    return new Promise((resolve) => {
      const key = form.elements.in.value + entry.file.name;
      const request = new XMLHttpRequest();
      request.open("PUT", form.dataset.upload + key.split("/").map(encodeURIComponent).join("/"));
      if (entry.file.type) request.setRequestHeader("Content-Type", entry.file.type);
      if (!entry.replace) request.setRequestHeader("If-None-Match", "*");
      request.upload.addEventListener("progress", (event) => {
        if (!event.lengthComputable || !event.total) return;
        entry.bar.value = event.loaded / event.total;
        // All sent is not yet all stored.
        entry.percent.textContent = event.loaded === event.total ? "storing" : `${Math.floor(entry.bar.value * 100)} %`;
      });
      request.addEventListener("load", () => {
        if (request.status < 300) return resolve();
        if (request.status === 401) return location.reload();
        let problem = {};
        try { problem = JSON.parse(request.responseText); } catch { /* no reason was given */ }
        resolve({ exists: request.status === 409, text: problem.why || `The node answered ${request.status}.` });
      });
      request.addEventListener("error", () => resolve({ text: "The node could not be reached, or the file could not be read." }));
      request.send(entry.file);
    });
  }

  function refuse(entry, problem) {
    entry.percent.textContent = "";
    const text = problem.exists ? "There is a file of that name already." : problem.text;
    const why = element("span", text, "failed");
    const again = element("button", problem.exists ? "Replace it" : "Try again", "button soft small");
    again.type = "button";
    again.addEventListener("click", () => {
      entry.line.remove();
      queue.push({ ...row(entry.file), replace: problem.exists === true });
      if (!busy) { done = failed = 0; work(); }
    });
    entry.line.append(why, again);
  }

  function say(text) { said.textContent = text; }
}

/** Fetches the page again and exchanges the parts that say how things are. */
async function refresh() {
  const parts = document.querySelectorAll("[data-refresh]");
  if (!parts.length || document.hidden) return;
  let page;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return; // The node is away; the next turn may find it.
  }
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    // What has the focus stays as it is: nobody's place on the page is taken away.
    if (!fresh || part.contains(document.activeElement) || same(part, fresh)) continue;
    part.replaceChildren(...fresh.childNodes);
  }
}

/** The same, but for a server's white space. */
function same(a, b) { return a.innerHTML === b.innerHTML; }

function copyable(box) {
  if (!navigator.clipboard) return;
  const button = element("button", "Copy", "button soft small");
  button.type = "button";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(box.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  box.append(button);
}

function element(tag, text, name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}
