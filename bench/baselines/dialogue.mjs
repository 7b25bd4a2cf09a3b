// What every server of the fan-out benchmark says and hears, for those in Node; see send_loop.c.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

/** Finds what tests/js/package.json names. */
export const require = createRequire(new URL("../../tests/js/package.json", import.meta.url));

/** For each line "MESSAGES PAUSE_MS" sends so many, and tells the CPU microseconds, the process' own and the kernel's. */
export async function answer(sendToAll) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [messages, pause] = line.split(" ").map(Number);
    const before = process.cpuUsage();
    for (let message = 0; message < messages; message++) {
      sendToAll();
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    const used = process.cpuUsage(before);
    console.log(used.user, used.system);
  }
}
