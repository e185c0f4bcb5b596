/** The feed of the engine's figures: one for the page, whatever view is open. Keeps the last five minutes. */
import { follow } from './api.js';

const KEPT = 330;

export const live = {
  /** Oldest first, about one per second. */
  samples: [],
  /** The newest, twice a second. */
  latest: undefined,
  state: 'connecting',
  error: undefined,
  receivedAt: 0,
};
const listeners = new Set();

/** Called with each sample and when the connection changes. Until the returned function is called. */
export function onLive(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const tell = () => {
  for (const listener of [...listeners]) listener(live);
};

export function startLive() {
  const stop = new AbortController();
  void follow('/v1/live/stream?last=300', {
    signal: stop.signal,
    on: {
      event(type, data) {
        if (type !== 'sample') return;
        take(JSON.parse(data));
        schedule();
      },
      state(state, error) {
        live.state = state;
        live.error = error;
        tell();
      },
    },
  });
  return () => stop.abort();
}

function take(sample) {
  // A new life of the engine counts anew; its clock goes on.
  const last = live.samples.at(-1);
  if (last !== undefined && sample.at <= last.at) return;
  live.latest = sample;
  live.receivedAt = Date.now();
  if (last === undefined || sample.at - last.at >= 900) {
    live.samples.push(sample);
    if (live.samples.length > KEPT) live.samples.shift();
  }
}

/** Samples that arrive together are drawn once. */
let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => {
    scheduled = false;
    tell();
  });
}

/** The engine's event time: where the votes have got to; else the wall's. */
export function newestTime() {
  const watermarks = (live.latest?.topologies ?? []).flatMap(({ watermark, name }) =>
    watermark !== null && name === 'vote-latency' ? [watermark] : [],
  );
  // A finished recording closes its windows with a watermark at the end of time.
  const real = watermarks.filter((watermark) => watermark < Date.now() + 3_600_000);
  return real.length > 0 ? Math.max(...real) : Date.now();
}

/** What a live chart shows, ms: five minutes, or less while there is less. */
export function liveSpan() {
  const { samples } = live;
  const to = live.latest?.at ?? Date.now();
  const first = samples[0]?.at ?? to;
  return { from: Math.max(to - 300_000, Math.min(first, to - 60_000)), to };
}
