// How moments are written. Pure: the clock, the locale and the time zone are given.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Answers that are remembered: a page of messages asks for the same few again and again, and Intl is slow. */
const REMEMBERED = 10_000;

/** Formats for one reader. All times are ms UTC; `now` is the present moment. */
export function timeFormats({ locale, timeZone } = {}) {
  const format = (options) => new Intl.DateTimeFormat(locale, { timeZone, ...options });
  const clock = format({ hour: "numeric", minute: "2-digit" });
  const weekday = format({ weekday: "long" });
  const shortWeekday = format({ weekday: "short" });
  const dayOfYear = format({ day: "numeric", month: "long" });
  const shortDay = format({ day: "numeric", month: "short" });
  const fullDay = format({ day: "numeric", month: "long", year: "numeric" });
  const shortDate = format({ day: "2-digit", month: "2-digit", year: "2-digit" });
  const exact = format({ dateStyle: "full", timeStyle: "short" });
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

  /** The calendar day as `2026-03-14`. */
  const dayKey = byMinute((at) => parts.format(at));

  /** Whole calendar days between two moments, whatever daylight saving did to their length. */
  const daysBetween = (at, now) => Math.round((Date.parse(dayKey(now)) - Date.parse(dayKey(at))) / DAY);

  const capital = (text) => text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);
  const sameYear = (at, now) => dayKey(at).slice(0, 4) === dayKey(now).slice(0, 4);

  return {
    dayKey,
    clock: byMinute((at) => clock.format(at)),
    exact: (at) => exact.format(at),

    /** Heads the messages of a day. */
    dayLabel(at, now) {
      const days = daysBetween(at, now);
      if (days === 0 || days === 1) return capital(relative.format(-days, "day"));
      if (days > 1 && days < 7) return weekday.format(at);
      return (sameYear(at, now) ? dayOfYear : fullDay).format(at);
    },

    /** The same for the narrow column of a list. */
    listLabel(at, now) {
      const days = daysBetween(at, now);
      if (days <= 0) return clock.format(at);
      if (days === 1) return capital(relative.format(-1, "day"));
      if (days < 7) return shortWeekday.format(at);
      return (sameYear(at, now) ? shortDay : shortDate).format(at);
    },

    /** How long ago somebody was seen. */
    ago(at, now) {
      const passed = Math.max(0, now - at);
      if (passed < MINUTE) return "just now";
      if (passed < HOUR) return relative.format(-Math.floor(passed / MINUTE), "minute");
      if (daysBetween(at, now) === 0) return relative.format(-Math.floor(passed / HOUR), "hour");
      if (daysBetween(at, now) === 1) return relative.format(-1, "day");
      return (sameYear(at, now) ? dayOfYear : fullDay).format(at);
    },
  };
}

/** A function of a moment that is the same all through a minute, with a memory. */
function byMinute(answer) {
  const known = new Map();
  return (at) => {
    const minute = Math.floor(at / MINUTE);
    let text = known.get(minute);
    if (text === undefined) {
      if (known.size >= REMEMBERED) known.clear();
      text = answer(at);
      known.set(minute, text);
    }
    return text;
  };
}
