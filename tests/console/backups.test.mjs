// Looking into backups on a node of our own: from the page to the code that the terminal prints, to a date, to a file, which
// comes back by the byte as it was.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LOOKS, PICTURE, BASE, audit, shown, start, stop, tab, there } from "./browser.mjs";

// A pretended node has no terminal.
const skip = Boolean(process.env.BASE_URL);
const FILM = Buffer.alloc(5_000_000, "no two of its parts are alike ");

before(async () => {
  if (skip) return;
  await start();
  const papers = join(there.folder, "papers");
  mkdirSync(join(papers, "Straße & März"), { recursive: true });
  for (let at = 0; at < FILM.length; at += 997) FILM.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, Math.min(at, FILM.length - 4));
  writeFileSync(join(papers, "Straße & März", "first film 100%.mov"), FILM);
  writeFileSync(join(papers, "autumn.png"), PICTURE);
  writeFileSync(join(papers, "letter.txt"), "Dear Ann");
  there.freehold("backup", "target", "add", "disk", join(there.folder, "disk"));
  there.freehold("backup", "add", "papers", papers, "--to", "disk");
  there.freehold("backup", "now", "papers");
  writeFileSync(join(papers, "letter.txt"), "Dear Ben");
  there.freehold("backup", "now", "papers");
});
after(stop);

async function saved(page, name) {
  const coming = page.waitForEvent("download");
  await page.getByRole("link", { name, exact: true }).click();
  return readFileSync(await (await coming).path());
}

test("a file is found by its date and by its name, and comes back as it was", { skip }, async () => {
  const page = await tab();
  await page.goto(`${BASE}/backups`);
  await page.getByRole("link", { name: "Look into backups" }).click();
  await page.getByText("freehold console --backups").waitFor();
  await audit(page, "the code");
  await page.getByLabel("Code").fill("0000-0000");
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByText("This code does not open the backups").waitFor();
  const { code } = JSON.parse(there.freehold("--json", "console", "--backups"));
  await page.getByLabel("Code").fill(code);
  await page.getByRole("button", { name: "Open" }).click();

  // One target: its dates come at once. The oldest has the older letter.
  await page.getByRole("heading", { level: 1, name: "disk" }).waitFor();
  const dates = await page.locator(".files a").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  assert.ok(dates.length >= 2);
  for (const [href, wanted] of [[dates[0], "Dear Ben"], [dates.at(-1), "Dear Ann"]]) {
    await page.goto(BASE + href);
    assert.equal((await saved(page, "Download letter.txt")).toString(), wanted);
  }
  await page.getByRole("link", { name: "Straße & März" }).click();
  await page.getByRole("link", { name: "first film 100%.mov", exact: true }).click();
  assert.ok((await saved(page, "Download")).equals(FILM), "another film came");
  await page.getByRole("link", { name: "papers", exact: true }).click();
  await page.getByRole("link", { name: "autumn.png", exact: true }).click();
  await shown(page.locator(".picture img"));

  await page.goto(`${BASE}/backups/look`);
  await page.getByLabel("A part of the name").fill("LETTER");
  await page.getByRole("button", { name: "Find" }).click();
  const found = page.getByRole("link", { name: /\/letter\.txt$/ });
  assert.equal(await found.count(), 2, "each form that it had");
  await found.first().click();
  assert.equal((await saved(page, "Download")).toString(), "Dear Ben");
  await page.getByRole("link", { name: "At other dates" }).click();
  assert.equal(await found.count(), 2);
  await page.check({ statuses: [403] });
});

test("every page of it passes axe in both themes, wide and narrow", { skip }, async () => {
  const first = await tab();
  await first.goto(`${BASE}/backups/look/disk`);
  const [date] = await first.locator(".files a").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  const view = date.replace("?path=", "/view?path=");
  const pages = ["/backups/look/disk", date, `${view}/autumn.png`, `${view}/letter.txt`, date.split("?")[0],
    "/backups/look/disk/find?q=letter", "/backups/look/disk/find?q=nothing-of-the-kind"];
  await first.check();
  for (const look of LOOKS) {
    const page = await tab(look);
    for (const path of pages) {
      const answer = await page.goto(BASE + path);
      assert.equal(answer.status(), 200, path);
      await audit(page, `${path} ${look.colorScheme}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `${path} sticks out by ${wide} pixels`);
      if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${look.colorScheme}-${pages.indexOf(path)}.png`, fullPage: true });
    }
    await page.check();
  }
});
