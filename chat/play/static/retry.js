// What failed only for the moment is tried again.

const FIRST_PAUSE_MS = 400;
const ATTEMPTS = 5;

/**
 * A connection that went, a server or a database that is busy. Works for errors of the connection ({code, temporary};
 * codes below 100 are the SDK's own) and of REST ({status}; 0 is no answer).
 */
export function isTemporary(error) {
  if (typeof error?.status === "number") return [0, 429, 503].includes(error.status);
  return Boolean(error?.temporary) || typeof error?.code !== "number" || error.code < 100;
}

/**
 * Do something that may be done twice, a few times with growing pauses while it fails for the moment and `worthwhile()`.
 * Throws what the last attempt threw. `later(ms, action)` is a timer.
 */
export async function patiently(action, { later, worthwhile }) {
  for (let attempt = 1, pause = FIRST_PAUSE_MS; ; attempt++, pause *= 2) {
    try {
      return await action();
    } catch (error) {
      if (attempt === ATTEMPTS || !isTemporary(error) || !worthwhile()) throw error;
      await new Promise((resolve) => later(pause, resolve));
    }
  }
}
