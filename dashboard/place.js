/**
 * Where the page is: the view and what was chosen in it, all in the address behind the #, so that an address can
 * be shared, kept and gone back to. `#/votes?range=6h&network=testnet`.
 */

export const RANGES = {
  live: { label: 'Live', hint: 'the last 5 minutes, second by second', ms: 300_000 },
  '1h': { label: '1 h', hint: 'the last hour', ms: 3_600_000 },
  '6h': { label: '6 h', hint: 'the last 6 hours', ms: 21_600_000 },
  '24h': { label: '24 h', hint: 'the last day', ms: 86_400_000 },
  '7d': { label: '7 d', hint: 'the last week', ms: 604_800_000 },
};
const DEFAULT_RANGE = 'live';

const listeners = new Set();

export function here() {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  const parameters = new URLSearchParams(query);
  return {
    view: path === '' ? 'overview' : path,
    get: (name) => parameters.get(name) ?? undefined,
  };
}

/** Address of a view, keeping the range; `changes` of null take a parameter away. */
export function addressOf(view, changes = {}) {
  const now = here();
  const parameters = new URLSearchParams(
    now.view === view ? location.hash.split('?', 2)[1] : undefined,
  );
  for (const name of ['range', 'from', 'to']) {
    const value = now.get(name);
    if (value !== undefined) parameters.set(name, value);
  }
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === '') parameters.delete(name);
    else parameters.set(name, String(value));
  }
  if (parameters.get('range') === DEFAULT_RANGE) parameters.delete('range');
  const query = parameters.toString();
  return `#/${view}${query === '' ? '' : `?${query}`}`;
}

/** Choices of one view; `replace` keeps them out of the history of the Back key. */
export function choose(changes, { replace = false } = {}) {
  const address = addressOf(here().view, changes);
  if (address === location.hash) return;
  if (replace) {
    history.replaceState(null, '', address);
    for (const listener of listeners) listener();
  } else location.hash = address;
}

export function onMove(listener) {
  listeners.add(listener);
  if (listeners.size === 1)
    addEventListener('hashchange', () => {
      for (const each of listeners) each();
    });
}

/**
 * The time on view, ms. Relative ranges end at `newest`, the engine's event time: a recording of last year has
 * its "last hour" last year.
 */
export function timeRange(newest = Date.now()) {
  const { get } = here();
  const from = Number(get('from'));
  const to = Number(get('to'));
  if (get('from') !== undefined && get('to') !== undefined && from < to) {
    return { name: 'custom', from, to, isLive: false };
  }
  const name = get('range') in RANGES ? get('range') : DEFAULT_RANGE;
  return { name, from: newest - RANGES[name].ms, to: newest + 1, isLive: name === 'live' };
}

/** What a chart of some hundred points needs. */
export const stepFor = ({ from, to }) =>
  to - from <= 2 * 86_400_000 ? '5m' : to - from <= 31 * 86_400_000 ? '1h' : '1d';
