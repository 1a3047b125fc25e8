// The console in a real browser: every page by axe in both themes, and the first minute of a person
// with a mouse, with a keyboard, and without scripts.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { BASE, LOOKS, PICTURE, audit, bucket, drag, shown, start, stop, tab } from "./browser.mjs";

const BUCKET = "console-test";

before(start);
after(stop);

/** Every kind of page there is, found by following the console's own links; three of a kind do. */
async function pages(page) {
  const seen = new Set(["/", "/nonsense-page"]);
  const kinds = new Map();
  for (const path of seen) {
    if (path === "/nonsense-page") continue;
    await page.goto(BASE + path);
    const links = page.locator("a[href^='/']");
    for (const href of await links.evaluateAll((all) => all.map((one) => one.getAttribute("href")))) {
      const to = href.split("#")[0];
      const kind = to.replace(/^(\/\w+\/)(?!invite)[^/?]+/, "$1x").replace(/=.*/, "");
      if (href.startsWith("/api/") || seen.has(to) || (kinds.get(kind) ?? 0) >= 3) continue;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      seen.add(to);
    }
  }
  return [...seen];
}

/** Presses Tab until the wanted element has the focus. */
async function tabTo(page, wanted) {
  const element = await wanted.elementHandle();
  for (let presses = 0; presses < 80; presses += 1) {
    if (await element.evaluate((one) => one === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${wanted} cannot be reached with Tab`);
}

async function put(page, name, body = PICTURE) {
  const url = `${BASE}/api/v1/buckets/${BUCKET}/objects/${encodeURIComponent(name)}`;
  const answer = await page.request.put(url, { data: body, headers: { "content-type": "image/png" } });
  assert.equal(answer.status(), 200);
}

test("axe sees what is wrong", async () => {
  const page = await tab();
  await page.goto(`${BASE}/`);
  await page.evaluate(() => {
    const pale = document.createElement("p");
    pale.textContent = "hard to read";
    pale.style.color = "#bbb";
    document.querySelector("main").append(pale, document.createElement("img"));
  });
  await assert.rejects(audit(page, "spoilt"), /color-contrast[^]*image-alt/);
  await page.context().close();
});

test("every page passes axe in both themes, wide and narrow, and nothing sticks out", async () => {
  const page = await tab();
  await bucket(page, BUCKET);
  await put(page, "for axe.png");
  await put(page, "for axe.bin");
  const all = await pages(page);
  assert.ok(all.length > 10, `only ${all}`);
  for (const path of all) {
    await page.goto(BASE + path);
    for (const { colorScheme, viewport } of LOOKS) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await audit(page, `${path} ${viewport.width} ${colorScheme}`);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${path} is ${over} pixels too wide at ${viewport.width}`);
    }
  }
  await page.check({ statuses: [404] });
});

test("forms that were refused and confirmations pass axe", async () => {
  const page = await tab();
  await bucket(page, BUCKET);
  await put(page, "to confirm.png");
  await page.goto(`${BASE}/files/${BUCKET}/view?key=to%20confirm.png`);
  await page.getByText("Delete…").click();
  await audit(page, "delete");
  await page.goto(`${BASE}/nodes/invite`);
  await page.getByRole("button", { name: "Make the invitation" }).click();
  await page.getByRole("img", { name: "QR code of the invitation" }).waitFor();
  await audit(page, "invitation");
  await page.goto(`${BASE}/nodes`);
  await page.getByRole("button", { name: "Withdraw" }).last().click();
  await page.getByRole("status").filter({ hasText: "Nobody can use" }).waitFor();
  await page.goto(`${BASE}/buckets/${BUCKET}`);
  await page.getByRole("button", { name: "Verify now" }).click();
  await page.getByRole("log").getByRole("heading", { name: "Everything in" }).waitFor();
  await audit(page, "verified");
  await page.check();
});

test("a guardian phrase of nobody is refused in words", async () => {
  const page = await tab();
  await page.goto(`${BASE}/realm`);
  await page.getByLabel("A guardian phrase").fill("not a phrase");
  await page.getByRole("button", { name: "Test it" }).click();
  await page.getByRole("alert").waitFor();
  await audit(page, "refused phrase");
  await page.check({ statuses: [400, 422] });
});

test("strangers get the sign-in page, and it passes axe", async () => {
  const page = await tab({ signedIn: false });
  await page.goto(`${BASE}/files`);
  assert.equal(new URL(page.url()).pathname, "/sign-in");
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await audit(page, `sign-in ${colorScheme}`);
  }
  await page.getByLabel("Set-up code").fill("0000-0000");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  await audit(page, "wrong code");
  assert.equal((await page.request.get(`${BASE}/api/v1/status`)).status(), 401);
  await page.check({ statuses: [401, 403] });
});

test("a photo is dragged in and seen", async () => {
  const page = await tab();
  await bucket(page, BUCKET);
  const name = `dragged <b> & ${Date.now()}.png`;
  await drag(page, name);
  await page.getByText("1 file is stored.").waitFor();
  const picture = page.locator(".pictures li").filter({ hasText: name });
  await shown(picture.locator("img"));
  await picture.getByRole("link").click();
  await shown(page.getByRole("img", { name }));
  const stored = await page.request.get(await page.getByRole("img", { name }).evaluate((image) => image.src));
  assert.deepEqual(await stored.body(), PICTURE);
  await page.check();
});

test("with the keyboard alone a file is sent, looked at and deleted", async () => {
  const page = await tab();
  await bucket(page, BUCKET);
  const name = `typed ${Date.now()}.png`;
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  await page.keyboard.press("Enter");
  await tabTo(page, page.locator("#choose"));
  const outline = await page.locator("label[for=choose]").evaluate((label) => getComputedStyle(label).outlineStyle);
  assert.equal(outline, "solid", "the focus is seen");
  const choosing = page.waitForEvent("filechooser");
  // Once to the page and back: from then on the browser tells of the chooser instead of opening it.
  await page.evaluate(() => 0);
  await page.keyboard.press("Space");
  await (await choosing).setFiles({ name, mimeType: "image/png", buffer: PICTURE });
  await page.getByRole("status").filter({ hasText: "1 file is stored." }).waitFor();
  await tabTo(page, page.locator(".pictures").getByRole("link", { name }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name }).waitFor();
  await tabTo(page, page.locator("summary"));
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("button", { name: "Delete it" }));
  await page.keyboard.press("Enter");
  await page.getByText("It is deleted.").waitFor();
  assert.equal(await page.getByText(name).count(), 0);
  await page.check();
});

test("a name that is taken is not overwritten unasked", async () => {
  const page = await tab();
  await bucket(page, BUCKET);
  const name = `taken ${Date.now()}.txt`;
  const send = (text) => page.setInputFiles("#choose", { name, mimeType: "text/plain", buffer: Buffer.from(text) });
  await send("first");
  await page.getByText("1 file is stored.").waitFor();
  await send("second");
  await page.getByText("There is a file of that name already.").waitFor();
  const url = `${BASE}/api/v1/buckets/${BUCKET}/objects/${encodeURIComponent(name)}`;
  assert.equal(await (await page.request.get(url)).text(), "first");
  await page.getByRole("button", { name: "Replace it" }).click();
  await page.getByText("1 file is stored.").waitFor();
  assert.equal(await (await page.request.get(url)).text(), "second");
  await page.check({ statuses: [409] });
});

test("without scripts a file is sent by the plain form", async () => {
  const page = await tab({ javaScriptEnabled: false });
  await bucket(page, BUCKET);
  const name = `plain ${Date.now()}.png`;
  await page.setInputFiles("#choose", { name, mimeType: "image/png", buffer: PICTURE });
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("It is stored.").waitFor();
  assert.equal(await page.getByRole("link", { name }).count(), 1);
  await page.check();
});

test("the theme is chosen and kept", async () => {
  const page = await tab({ colorScheme: "light" });
  await page.goto(`${BASE}/nodes`);
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.getByRole("button", { name: "Dark" }).click();
  await page.waitForLoadState();
  assert.equal(new URL(page.url()).pathname, "/nodes");
  const dark = await paper();
  assert.notEqual(dark, light);
  await page.goto(`${BASE}/health`);
  assert.equal(await paper(), dark);
  await page.check();
});

test("who may reach whom is asked by keyboard alone, and answered below", async () => {
  const page = await tab({ viewport: { width: 360, height: 740 } });
  await page.goto(`${BASE}/network`);
  const name = await page.locator("#net-nodes h2").first().innerText();
  await tabTo(page, page.getByLabel("From"));
  await page.keyboard.type(name);
  await tabTo(page, page.getByLabel("To", { exact: true }));
  await page.keyboard.type(name);
  await tabTo(page, page.getByLabel("Port"));
  await page.keyboard.type("22");
  await page.keyboard.press("Enter");
  await page.getByText(/^(Allowed|Shut)$/).first().waitFor();
  assert.equal(await page.getByLabel("From").inputValue(), name);
  await audit(page, "an answer");
  await page.check();
});
