// The browser, signed in, and what it must never do. CHROMIUM names another browser than Debian's.

import { existsSync } from "node:fs";
import assert from "node:assert/strict";
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { node } from "./node.mjs";

const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(PROGRAM)) throw new Error(`no ${PROGRAM}: install Chromium (Debian: apt-get install chromium)`);

// No sandbox: the tests may run as root. The rest keeps the browser from talking to its maker.
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

/** Where the console is, once it is there. */
export let BASE;

/** The node: where there is one of our own, with `folder` and `freehold`, which types a command there. */
export let there;
let browser;
let state;

/** Signs in once for all tests of a file: a code works once. */
export async function start() {
  there = await node();
  BASE = there.base;
  browser = await chromium.launch({ executablePath: PROGRAM, args: ARGS });
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(`${BASE}/sign-in`);
  await page.getByLabel("Set-up code").fill(there.code);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${BASE}/`);
  state = await context.storageState();
  await context.close();
}

export async function stop() {
  await browser?.close();
  await there?.stop();
}

/**
 * A tab of a browser that is signed in; `check` at its end says what it did wrong, but for answers that
 * the browser notes by their number and the test wanted.
 */
export async function tab(options = {}) {
  const { signedIn = true, ...rest } = options;
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    storageState: signedIn ? state : undefined,
    ...rest,
  });
  const wrong = [];
  const origin = new URL(BASE).origin;
  context.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith("blob:") && !url.startsWith("data:")) wrong.push(`asked ${url}`);
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
  page.check = async ({ statuses = [] } = {}) => {
    await context.close();
    const wanted = statuses.map((status) => `with a status of ${status} `);
    assert.deepEqual(wrong.filter((line) => !wanted.some((status) => line.includes(status))), []);
  };
  return page;
}

/** Colours change with the theme and the layout with the width: two looks see all of both. */
export const LOOKS = [
  { colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { colorScheme: "dark", viewport: { width: 360, height: 740 } },
];

/** What axe says of the page as it is now. */
export async function audit(page, what) {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  const said = violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`);
  assert.deepEqual(said, [], what);
}

/** Opens the console's bucket of this name, and makes it if it is not there. */
export async function bucket(page, name) {
  await page.goto(`${BASE}/buckets`);
  if (await page.getByRole("link", { name, exact: true }).count()) {
    await page.goto(`${BASE}/files/${name}`);
  } else {
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Copies").selectOption("1");
    await page.getByRole("button", { name: "Make it" }).click();
  }
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

/** A picture that a browser has to decode: 8 by 8, PNG. */
export const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAbElEQVR42hXNQRUAUQhCUZOYhCQmeUlIQhISzR+XXA7ODDtouIHB" +
  "Q4YOM8suWm5h8ZKl+0CskDiBsIioHhx76LiDw0eO3oN/4FVf+J8h0PduzBqZ8x/bxNQPwgaFy192SGgelC0q13/CJaXlA+odUoEV" +
  "KnyAAAAAAElFTkSuQmCC",
  "base64",
);

/** Drags the picture onto the page, under a name. */
export async function drag(page, name) {
  const data = await page.evaluateHandle(([bytes, name]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
    return transfer;
  }, [[...PICTURE], name]);
  const main = page.locator("main");
  await main.dispatchEvent("dragenter", { dataTransfer: data });
  await page.locator("body.over").waitFor();
  await main.dispatchEvent("dragover", { dataTransfer: data });
  await main.dispatchEvent("drop", { dataTransfer: data });
}

/** Waits until the picture is not only named but seen. */
export async function shown(image) {
  await image.scrollIntoViewIfNeeded();
  await image.page().waitForFunction((one) => one.complete && one.naturalWidth === 8, await image.elementHandle());
}
