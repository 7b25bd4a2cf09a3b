// A service worker for notifications: copy it to the root of your site, or import it into the worker that you have.
//
// Safari shows what arrives by itself; every other browser shows what this shows.
// Every push shows something: a browser takes the subscription away from a site that stays silent.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => event.waitUntil(show(event)));

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.navigate));
});

// The page says what was read: postMessage({type: "hubbub.read", conversation, upto, badge}).
self.addEventListener("message", (event) => {
  if (event.data?.type === "hubbub.read") event.waitUntil(read(event.data));
});

async function show(event) {
  // Safari has understood the message by itself, and shows it unless something else is shown here.
  if (event.notification) return;
  const message = parsed(event.data);
  const shown = message.notification ?? {};
  const ours = message.hubbub ?? {};
  // The same job again, since a service may deliver twice: no second sound.
  const before = await self.registration.getNotifications({ tag: shown.tag });
  const again = Boolean(ours.job_id) && before.some((one) => one.data?.job_id === ours.job_id);
  const silent = again || shown.silent === true;
  await self.registration.showNotification(shown.title || "New message", {
    body: shown.body ?? "",
    tag: shown.tag,
    silent,
    renotify: Boolean(shown.tag) && !silent,
    data: { ...ours, navigate: shown.navigate },
  });
  await badge(message.app_badge);
}

async function read({ conversation, upto, badge: number }) {
  for (const one of await self.registration.getNotifications()) {
    if (one.data?.conversation === conversation && one.data.upto <= upto) one.close();
  }
  await badge(number);
}

async function badge(number) {
  if (!Number.isInteger(number) || !self.navigator.setAppBadge) return;
  try {
    await (number > 0 ? self.navigator.setAppBadge(number) : self.navigator.clearAppBadge());
  } catch {
    // Only an app that is installed has one.
  }
}

async function open(url) {
  const target = new URL(url || "/", self.location.origin);
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = pages.find((page) => page.url === target.href);
  return there ? there.focus() : self.clients.openWindow(target.href);
}

function parsed(data) {
  try {
    return data?.json() ?? {};
  } catch {
    return {};
  }
}
