// What is said about phones, and what of it is new. Pure.

/** The switches in the order of the page: what they are called, and what they are for. */
export const SWITCHES = [
  { id: "offline", name: "Offline", hint: "No network: the vendor keeps what comes" },
  { id: "pocket", name: "In the pocket", hint: "Off: the app is open in front of somebody" },
  { id: "ended", name: "Force-quit", hint: "The app runs for nothing until it is opened" },
  { id: "dozing", name: "On the table", hint: "Nothing but what is urgent wakes it" },
];

const HAPPENED = {
  rang: "Rang",
  shown: "Shown without a sound",
  replaced: "Replaced without a sound",
  cleared: "Cleared",
  badge: "Badge is now",
  nothing: "A push arrived; nothing to be seen of it",
  away: "A push waits until it can arrive",
  switched: "Somebody:",
};

/** A line of a phone's log. */
export function happened({ what, text }) {
  if (what === "switched") return text.charAt(0).toUpperCase() + text.slice(1);
  const said = HAPPENED[what] ?? what;
  if (!text) return said;
  return what === "badge" ? `${said} ${text}` : `${said} · ${text}`;
}

/** When a banner made a sound, in words. `clock(at)` writes a moment. */
export function rang(banner, clock) {
  if (banner.rang_at === null) return `Silent, ${clock(banner.shown_at)}`;
  if (banner.rang_at === banner.shown_at) return `Rang ${clock(banner.rang_at)}`;
  return `Rang ${clock(banner.rang_at)}, changed ${clock(banner.shown_at)}`;
}

/** What is under a phone's name. */
export function summary(phone) {
  const times = phone.rings === 1 ? "once" : `${phone.rings} times`;
  return phone.rings ? `Rang ${times}` : "Has not rung";
}

/** The highest number of anything that has happened. */
export function newest(phones) {
  return Math.max(0, ...phones.flatMap((phone) => phone.log.map((line) => line.number)));
}

/** What is to be read out of what has happened after `number`, oldest first: banners that came and went. */
export function toAnnounce(phones, number) {
  return phones
    .flatMap((phone) => phone.log.map((line) => ({ phone, line })))
    .filter(({ line }) => line.number > number && ["rang", "shown", "cleared"].includes(line.what))
    .sort((a, b) => a.line.number - b.line.number)
    .map(({ phone, line }) => `${phone.name}: ${happened(line)}`);
}
