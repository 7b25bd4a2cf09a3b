import assert from "node:assert/strict";
import test from "node:test";

import { isTemporary, patiently } from "../../../../chat/play/static/retry.js";

const BUSY = { code: 1000, message: "unavailable", temporary: true };

async function tried(errors, { worthwhile = () => true } = {}) {
  const left = [...errors];
  const pauses = [];
  const later = (ms, action) => {
    pauses.push(ms);
    action();
  };
  const action = async () => {
    if (left.length) throw left.shift();
    return "done";
  };
  const result = await patiently(action, { later, worthwhile }).catch((error) => error);
  return { result, pauses };
}

test("what fails for the moment is tried again, with growing pauses", async () => {
  assert.deepEqual(await tried([BUSY, BUSY, BUSY]), { result: "done", pauses: [400, 800, 1600] });
});

test("there is an end to patience", async () => {
  assert.deepEqual(await tried(Array(9).fill(BUSY)), { result: BUSY, pauses: [400, 800, 1600, 3200] });
});

test("what is refused is not asked again", async () => {
  const refused = { code: 103, message: "permission_denied" };
  assert.deepEqual(await tried([refused]), { result: refused, pauses: [] });
});

test("without a connection there is nothing to wait for", async () => {
  assert.deepEqual(await tried([BUSY], { worthwhile: () => false }), { result: BUSY, pauses: [] });
});

test("which errors are about the moment", () => {
  const temporary = [{ code: 1 }, { code: 111, temporary: true }, { status: 503, code: "unavailable" }, { status: 0 }, new TypeError("x")];
  const final = [{ code: 103 }, { code: 107 }, { status: 403, code: "permission_denied" }, { status: 404 }];
  assert.deepEqual(temporary.map(isTemporary), temporary.map(() => true));
  assert.deepEqual(final.map(isTemporary), final.map(() => false));
});
