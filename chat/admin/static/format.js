// Numbers for people. Null is what is not known: a dash.

const NONE = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(value) {
  return value == null ? NONE : whole.format(value);
}

export function short(value) {
  if (value == null) return NONE;
  const size = Math.abs(value);
  if (size >= 1e9) return `${trim(value / 1e9)}G`;
  if (size >= 1e6) return `${trim(value / 1e6)}M`;
  if (size >= 1e4) return `${trim(value / 1e3)}k`;
  if (size >= 100 || Number.isInteger(value)) return whole.format(value);
  return trim(value);
}

export function perSecond(value) {
  return value == null ? NONE : `${short(value)}/s`;
}

export function milliseconds(value) {
  if (value == null) return NONE;
  if (value >= 1000) return `${trim(value / 1000)} s`;
  return `${trim(value)} ms`;
}

export function bytes(value) {
  if (value == null) return NONE;
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit ? trim(value) : whole.format(value)} ${units[unit]}`;
}

export function percent(value) {
  return value == null ? NONE : `${trim(value * 100)} %`;
}

export function age(seconds) {
  if (seconds == null) return NONE;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function processName({ node, role, slot }) {
  return role === slot ? `${node} · ${role}` : `${node} · ${role} ${slot}`;
}

// Three significant digits, no trailing zeros.
function trim(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return String(Number(value.toFixed(digits)));
}
