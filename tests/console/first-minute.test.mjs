// From the first command to the first photo that is seen: within a minute, on a machine that has the
// program. A browser's own start is part of it; a person's hands are not.

import { after, test } from "node:test";
import assert from "node:assert/strict";
import { BASE, bucket, drag, shown, start, stop, tab } from "./browser.mjs";

const MINUTE_MS = 60_000;

after(stop);

test("the first photo is seen within a minute of the first command", async () => {
  const begun = performance.now();
  await start();
  const page = await tab();
  await page.goto(BASE);
  // What is worth doing is listed, and in nobody's way.
  await page.getByText("Add a second node").waitFor();
  await bucket(page, "photos");
  await drag(page, "first.png");
  await page.getByText("1 file is stored.").waitFor();
  await shown(page.locator(".pictures li").filter({ hasText: "first.png" }).locator("img"));
  const took = performance.now() - begun;
  console.log(`seen after ${Math.round(took)} ms`);
  assert.ok(took < MINUTE_MS, `it took ${took} ms`);
  await page.check();
});
