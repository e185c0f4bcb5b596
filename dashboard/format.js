/** Numbers, times and names as people read them. Everything takes null and shows a dash. */

const NONE = '–';
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 9,999 · 12.3 k · 4.56 M */
export function count(value) {
  if (!isNumber(value)) return NONE;
  const size = Math.abs(value);
  if (size < 10_000) return whole.format(value);
  for (const [limit, unit] of [
    [1e9, 'k'],
    [1e12, 'M'],
    [1e15, 'G'],
  ]) {
    if (size < limit / 1e3) {
      const scaled = value / (limit / 1e6);
      return `${scaled.toFixed(Math.abs(scaled) < 100 ? 1 : 0)} ${unit}`;
    }
  }
  return value.toExponential(1);
}

/** Up to 10 with one decimal, above without. */
export const rate = (value) =>
  !isNumber(value) ? NONE : value > 0 && value < 10 ? value.toFixed(1) : count(Math.round(value));

/** Latency in slots: 1.21 · 12.4 · 120 */
export function slots(value) {
  if (!isNumber(value)) return NONE;
  const size = Math.abs(value);
  return value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
}

export function number(value, digits = 1) {
  if (!isNumber(value)) return NONE;
  return new Intl.NumberFormat('en-US', { maximumFractionDigits: digits }).format(value);
}

export const percent = (value) => (isNumber(value) ? `${number(value, 1)} %` : NONE);

export function bytes(value) {
  if (!isNumber(value)) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  let scaled = value;
  while (Math.abs(scaled) >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${unit === 0 || Math.abs(scaled) >= 100 ? scaled.toFixed(0) : scaled.toFixed(1)} ${units[unit]}`;
}

/** 850 ms · 12 s · 3 min · 2 h 5 min · 4 d */
export function span(ms) {
  if (!isNumber(ms)) return NONE;
  const size = Math.abs(ms);
  if (size < 1_000) return `${Math.round(ms)} ms`;
  if (size < 60_000) return `${number(ms / 1_000, size < 10_000 ? 1 : 0)} s`;
  if (size < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (size < 86_400_000) {
    const minutes = Math.floor(ms / 60_000) % 60;
    return `${Math.floor(ms / 3_600_000)} h${minutes === 0 ? '' : ` ${minutes} min`}`;
  }
  return `${Math.floor(ms / 86_400_000)} d`;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const yearFormat = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
});

/** 14:03:12; with its day when that is not today. */
export function time(ms) {
  if (!isNumber(ms)) return NONE;
  const date = new Date(ms);
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return clockFormat.format(date);
  const day = (date.getFullYear() === now.getFullYear() ? dayFormat : yearFormat).format(date);
  return `${day}, ${clockFormat.format(date)}`;
}

export const day = (ms) => (isNumber(ms) ? yearFormat.format(new Date(ms)) : NONE);

/** 3 min ago · in 2 d */
export function ago(ms, now = Date.now()) {
  if (!isNumber(ms)) return NONE;
  const since = now - ms;
  return since >= 0 ? `${span(since)} ago` : `in ${span(-since)}`;
}

/** A pubkey by its ends. */
export const short = (id) => (id.length > 13 ? `${id.slice(0, 6)}…${id.slice(-4)}` : id);

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
