// Where the console is: at BASE_URL with the set-up code CODE, or on a node of our own, made from
// FREEHOLD_TEST_BINARY in a folder that goes afterwards.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = process.env.FREEHOLD_TEST_BINARY ?? new URL("../../target/debug/freehold", import.meta.url).pathname;
const READY_WITHIN_MS = 60_000;

/** Resolves to `{ base, code, stop }`, and on a node of our own `folder` and `freehold` as well. */
export async function node() {
  const { BASE_URL, CODE } = process.env;
  if (BASE_URL && CODE) return { base: BASE_URL.replace(/\/$/, ""), code: CODE, stop() {} };
  if (!existsSync(PROGRAM)) throw new Error(`no ${PROGRAM}: cargo build -p freehold, or set BASE_URL and CODE`);
  const folder = mkdtempSync(join(tmpdir(), "freehold-console-"));
  const options = ["--home", join(folder, "home"), "up", "--name", "smith", "--guardians-file", join(folder, "phrases")];
  const child = spawn(PROGRAM, options, { stdio: ["ignore", "pipe", "pipe"] });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    child.kill("SIGTERM");
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  const freehold = (...typed) => execFileSync(PROGRAM, ["--home", join(folder, "home"), ...typed], { encoding: "utf8" });
  let said = "";
  const ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the node is not ready:\n${said}`)), READY_WITHIN_MS);
    const read = (piece) => {
      said += piece;
      const [, base] = said.match(/console\s+(https:\S+)/) ?? [];
      const [, code] = said.match(/set-up code\s+([0-9A-Z]{4}-[0-9A-Z]{4})/) ?? [];
      if (!base || !code) return;
      clearTimeout(timer);
      resolve({ base, code, stop, folder, freehold });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    gone.then((status) => reject(new Error(`the node ended with ${status}:\n${said}`)));
  });
  return ready.catch(async (error) => {
    await stop();
    throw error;
  });
}
