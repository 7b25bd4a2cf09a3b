// JSON over HTTP. Failures are ApiError with the problem's own words.

let csrfToken = "";

export class ApiError extends Error {
  constructor(status, message, retryAfterS) {
    super(message);
    this.status = status; // 0: no answer
    this.retryAfterS = retryAfterS;
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new ApiError(0, "the server does not answer", 0);
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new ApiError(
      response.status,
      body.detail ?? `HTTP ${response.status}`,
      Number(response.headers.get("Retry-After") ?? 0),
    );
  }
  if (body.csrf_token) csrfToken = body.csrf_token;
  return body;
}

export const get = (path, query = {}, signal = undefined) => {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value != null));
  return call(search.size ? `${path}?${search}` : path, { signal });
};

export const post = (path, body) =>
  call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrfToken },
    body: JSON.stringify(body),
  });
