/** Starts the page: the header, the feed, and whichever view the address names. */

import { annotations, loadAnnotations } from './annotations.js';
import { forgetToken, onUnauthorized } from './api.js';
import { redrawCharts } from './chart.js';
import { h, replace, say, setText } from './dom.js';
import { span, time } from './format.js';
import { live, newestTime, onLive, startLive } from './live.js';
import { ask, failure, field } from './parts.js';
import { addressOf, choose, here, onMove, RANGES, timeRange } from './place.js';

const VIEWS = {
  overview: 'Overview',
  votes: 'Votes',
  fleet: 'Fleet',
  alerts: 'Alerts',
  topology: 'Topology',
};
/** Views that look back; the others show now. */
const RANGED = new Set(['votes', 'fleet']);
const main = document.getElementById('main');
let shown;
let leave = new AbortController();

onUnauthorized(async (wasRefused) => {
  const given = await ask('This engine asks for a token', {
    text: wasRefused
      ? 'That token is not known here. It is one of TIDEMARK_TOKENS.'
      : 'One of TIDEMARK_TOKENS. It stays in this tab and is gone when you close it.',
    fields: [
      field(
        'Token',
        h('input', {
          name: 'token',
          type: 'password',
          required: true,
          autofocus: true,
          autocomplete: 'current-password',
        }),
      ),
    ],
    action: 'Look in',
    cancel: null,
  });
  return given?.token.trim() || undefined;
});

async function showView() {
  const place = here();
  drawHeader(place);
  const name = place.view in VIEWS ? place.view : 'overview';
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  let view;
  try {
    view = await import(`./views/${name}.js`);
  } catch (error) {
    return replace(main, failure(error, showView));
  }
  if (signal.aborted) return;
  document.title = `${view.title} · Tidemark`;
  const body = h('div');
  const tools = h('div', { class: 'view-tools' }, RANGED.has(name) ? rangePicker() : null);
  replace(
    main,
    h('div', { class: 'view-head' }, h('h1', {}, view.title), h('p', {}, view.lead), tools),
    notice,
    body,
  );
  if (shown !== undefined && shown !== name) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
    say(`${view.title}: ${view.lead}`);
  }
  shown = name;
  document.body.dataset.view = name;
  try {
    view.show(body, {
      signal,
      annotations,
      place,
      range: (newest = newestTime()) => timeRange(newest),
    });
  } catch (error) {
    replace(body, failure(error, showView));
  }
}

/** Live charts run on the wall's clock, those that look back on event time. */
function momentOnView() {
  const looksBack = here().view === 'votes' && !timeRange().isLive;
  return looksBack ? newestTime() : Date.now();
}

function rangePicker() {
  const range = timeRange();
  const { view } = here();
  const items = Object.entries(RANGES).map(([id, { label, hint }]) =>
    h(
      'a',
      {
        class: 'choice',
        href: addressOf(view, { range: id, from: null, to: null }),
        title: hint,
        'aria-current': range.name === id ? 'true' : null,
      },
      label,
    ),
  );
  const custom = h(
    'button',
    { type: 'button', class: 'small', onclick: askRange },
    range.name === 'custom' ? `${time(range.from)} – ${time(range.to)}` : 'From – to',
  );
  return h(
    'div',
    { class: 'panel-extra' },
    h('div', { class: 'choices', role: 'group', 'aria-label': 'Time range' }, items),
    custom,
  );
}

async function askRange() {
  const range = timeRange(newestTime());
  const local = (ms) =>
    new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  const given = await ask('Show from – to', {
    text: 'Event time, in your time zone. Dragging over a chart does the same.',
    fields: [
      field(
        'From',
        h('input', {
          name: 'from',
          type: 'datetime-local',
          required: true,
          value: local(range.from),
        }),
      ),
      field(
        'To',
        h('input', { name: 'to', type: 'datetime-local', required: true, value: local(range.to) }),
      ),
    ],
    action: 'Show',
  });
  if (given === undefined) return;
  const [from, to] = [Date.parse(given.from), Date.parse(given.to)];
  if (from < to) choose({ range: null, from, to });
  else say('From must be before to.');
}

const notice = h('p', { class: 'notice', role: 'status' });
const pulse = h('span', { class: 'pulse', id: 'pulse' }, 'connecting');

function drawHeader({ view }) {
  const current = view in VIEWS ? view : 'overview';
  replace(
    document.getElementById('views'),
    Object.entries(VIEWS).map(([id, label]) =>
      h('a', { href: addressOf(id), 'aria-current': id === current ? 'page' : null }, label),
    ),
  );
}

function drawTools() {
  replace(
    document.getElementById('tools'),
    pulse,
    h(
      'button',
      {
        type: 'button',
        class: 'icon',
        id: 'theme',
        title: 'Light, dark or as the system (t)',
        'aria-label': 'Change the theme',
        onclick: changeTheme,
      },
      '◐',
    ),
    h(
      'button',
      {
        type: 'button',
        class: 'icon',
        title: 'Keys (?)',
        'aria-label': 'Keys and help',
        onclick: showKeys,
      },
      '?',
    ),
  );
}

/** Alive, or what is wrong; a feed that stands still is told from one that is cut. */
function drawPulse() {
  const { state, latest, receivedAt, error } = live;
  const stale = latest !== undefined && Date.now() - receivedAt > 5_000;
  if (state === 'closed' && error?.status === 401) {
    setText(pulse, 'no token');
    pulse.dataset.tone = 'bad';
  } else if (state === 'closed') {
    setText(pulse, 'reconnecting');
    pulse.dataset.tone = 'bad';
  } else if (stale) {
    setText(pulse, `silent for ${span(Date.now() - receivedAt)}`);
    pulse.dataset.tone = 'bad';
  } else if (latest !== undefined) {
    setText(pulse, 'live');
    pulse.dataset.tone = 'good';
  }
  const reasons = latest !== undefined && !latest.ready ? latest.reasons : [];
  setText(
    notice,
    state === 'closed' && error !== undefined ? error.message : reasons.slice(0, 3).join(' · '),
  );
  notice.dataset.tone = state === 'closed' ? 'bad' : '';
}

const themes = ['system', 'light', 'dark'];
function changeTheme() {
  const root = document.documentElement;
  const next = themes[(themes.indexOf(root.dataset.theme ?? 'system') + 1) % themes.length];
  if (next === 'system') delete root.dataset.theme;
  else root.dataset.theme = next;
  try {
    if (next === 'system') localStorage.removeItem('tidemark.theme');
    else localStorage.setItem('tidemark.theme', next);
  } catch {
    // Chosen for this page only, then.
  }
  redrawCharts();
  say(next === 'system' ? 'Theme as the system has it.' : `${next} theme.`);
}

const KEYS = [
  ['1 – 5', 'Overview, Votes, Fleet, Alerts, Topology'],
  ['r', 'next time range'],
  ['a', 'annotate this moment'],
  ['/', 'find a validator or a host'],
  ['t', 'light, dark, as the system'],
  ['← →', 'walk along a chart that has the focus'],
  ['Enter', 'annotate the moment the chart stands at'],
  ['?', 'this list'],
];
function showKeys() {
  void ask('Keys', {
    fields: [
      h(
        'div',
        { class: 'keys' },
        KEYS.flatMap(([key, what]) => [h('kbd', {}, key), h('span', {}, what)]),
      ),
      h(
        'p',
        { class: 'field hint' },
        h(
          'span',
          {},
          h('a', { href: '/docs' }, 'HTTP API'),
          ' · ',
          h('a', { href: '/metrics' }, 'metrics'),
          ' · ',
          h(
            'button',
            {
              type: 'button',
              class: 'small',
              onclick: () => {
                forgetToken();
                location.reload();
              },
            },
            'Forget the token',
          ),
        ),
      ),
    ],
    action: 'Close',
    cancel: null,
  });
}

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]'))
    return;
  if (event.target.closest?.('input, select, textarea')) return;
  const view = Object.keys(VIEWS)[Number(event.key) - 1];
  if (view !== undefined) location.hash = addressOf(view);
  else if (event.key === 'r' && RANGED.has(here().view)) {
    const names = Object.keys(RANGES);
    choose({
      range: names[(names.indexOf(timeRange().name) + 1) % names.length],
      from: null,
      to: null,
    });
  } else if (event.key === 'a') void annotations.addAt(momentOnView());
  else if (event.key === 't') changeTheme();
  else if (event.key === '?') showKeys();
  else if (event.key === '/') document.querySelector('input[type=search]')?.focus();
  else return;
  event.preventDefault();
});

drawTools();
onMove(showView);
onLive(drawPulse);
setInterval(drawPulse, 1_000);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawCharts);
const stopLive = startLive();
addEventListener('pagehide', stopLive);
addEventListener('pageshow', (event) => event.persisted && location.reload());
void showView();
const firstSample = onLive(() => {
  if (live.latest === undefined) return;
  firstSample();
  void loadAnnotations().catch(() => {});
});
setInterval(() => document.hidden || void loadAnnotations().catch(() => {}), 30_000);
