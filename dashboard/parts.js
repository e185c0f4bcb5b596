/** What views are made of: panels, tiles, tables, states of waiting, emptiness and error, dialogs. */
import { ApiError } from './api.js';
import { h, replace, setText } from './dom.js';

/** A titled box; `extra` stands right of the title. */
export function panel(title, { extra, wide = false, id, hint } = {}, ...children) {
  const head = h(
    'div',
    { class: 'panel-head' },
    h('h2', {}, title),
    hint ? h('p', { class: 'hint' }, hint) : null,
    extra ? h('div', { class: 'panel-extra' }, extra) : null,
  );
  return h(
    'section',
    { class: wide ? 'panel wide' : 'panel', id, 'aria-label': title },
    head,
    ...children,
  );
}

/** A figure with its name, a line below it, and perhaps a sparkline. `set({ value, unit, note, tone })`. */
export function tile(name, { spark, href, id } = {}) {
  const value = h('span', { class: 'tile-number' }, '–');
  const unit = h('span', { class: 'tile-unit' });
  const note = h('span', { class: 'tile-note' });
  const root = h(
    href ? 'a' : 'div',
    { class: 'tile', href, 'data-tile': id ?? name },
    h('span', { class: 'tile-name' }, name),
    h('span', { class: 'tile-value' }, value, unit),
    note,
    spark?.root,
  );
  return {
    root,
    set({ value: shown, unit: of = '', note: line = '', tone = '' }) {
      setText(value, shown);
      setText(unit, of);
      setText(note, line);
      root.dataset.tone = tone;
    },
  };
}

/** A word with a colour; the word alone tells it. */
export const badge = (text, tone) => h('span', { class: 'badge', 'data-tone': tone }, text);

export function setBadge(element, text, tone) {
  setText(element, text);
  element.dataset.tone = tone;
}

/** `columns`: `{ name, number?, title? }`. Scrolls within itself where the screen is narrow. */
export function table(label, columns) {
  const body = h('tbody');
  const heads = columns.map(({ name, number, title }) =>
    h('th', { scope: 'col', class: number ? 'num' : null, title }, name),
  );
  const root = h(
    'div',
    { class: 'table-box', tabindex: '0', role: 'region', 'aria-label': label },
    h('table', {}, h('thead', {}, h('tr', {}, heads)), body),
  );
  return { root, body };
}

export const cell = (content, { number = false, ...rest } = {}) =>
  h('td', { class: number ? 'num' : null, ...rest }, content);

/** What is said where nothing is: what it means and what to do. */
export const empty = (title, ...cure) =>
  h('div', { class: 'empty' }, h('p', { class: 'empty-title' }, title), h('p', {}, ...cure));

export function failure(error, retry) {
  const isOurs = error instanceof ApiError;
  const title = isOurs ? error.title : 'This view failed';
  return h(
    'div',
    { class: 'empty failure', role: 'alert' },
    h('p', { class: 'empty-title' }, title),
    h(
      'p',
      {},
      isOurs && error.status === 404
        ? 'This engine does not offer it; a newer one, or one with the role that does, may.'
        : error.message,
    ),
    retry ? h('button', { type: 'button', onclick: retry }, 'Try again') : null,
  );
}

/** A row of choices of which one holds. `options`: `{ id, label, href, title? }`. */
export function choices(label, options, chosen) {
  return h(
    'div',
    { class: 'choices', role: 'group', 'aria-label': label },
    options.map(({ id, label: text, href, title }) =>
      h('a', { href, title, class: 'choice', 'aria-current': id === chosen ? 'true' : null }, text),
    ),
  );
}

export function select(label, options, chosen, onChoose) {
  const element = h(
    'select',
    { 'aria-label': label, onchange: () => onChoose(element.value) },
    options.map(([value, text]) => h('option', { value, selected: value === chosen }, text)),
  );
  return element;
}

/**
 * A modal form. `fields` are elements; resolves with the form's data, or undefined when it was closed.
 */
export function ask(title, { text, fields, action, cancel = 'Cancel' }) {
  return new Promise((resolve) => {
    let answer;
    const form = h(
      'form',
      {
        method: 'dialog',
        onsubmit: () => {
          answer = Object.fromEntries(new FormData(form));
        },
      },
      h('h2', {}, title),
      text ? h('p', { class: 'hint' }, text) : null,
      ...fields,
      h(
        'div',
        { class: 'actions' },
        cancel
          ? h('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, cancel)
          : null,
        h('button', { type: 'submit', class: 'primary' }, action),
      ),
    );
    const dialog = h(
      'dialog',
      {
        'aria-label': title,
        onclose: () => {
          dialog.remove();
          resolve(answer);
        },
      },
      form,
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

export const field = (label, input, hint) =>
  h('label', { class: 'field' }, h('span', {}, label), input, hint ? h('small', {}, hint) : null);

/** What happens is on the page within a second: half of it for the wait, the rest for the answer. */
export const LIVE_MS = 500;
/** A service that needs long for an answer is asked less often, so that pages take a third of its time at most. */
const WAIT_PER_ANSWER = 2;

/**
 * Keeps `draw(data)` fresh: loads at once and `everyMs` after each answer until the signal aborts; shows what is wrong
 * in `place` and goes on trying. One question at a time.
 */
export function refresh({ signal, everyMs, load, draw, place }) {
  let timer;
  let failed = false;
  const run = async () => {
    clearTimeout(timer);
    const askedMs = performance.now();
    try {
      const data = await load(signal);
      if (signal.aborted) return;
      if (failed && place) replace(place);
      failed = false;
      draw(data);
    } catch (error) {
      if (signal.aborted) return;
      failed = true;
      if (place) replace(place, failure(error, run));
      else console.warn(error.message);
    }
    if (everyMs === undefined || signal.aborted) return;
    const waitMs = Math.max(everyMs, WAIT_PER_ANSWER * (performance.now() - askedMs));
    timer = setTimeout(run, document.hidden ? waitMs * 4 : waitMs);
  };
  signal.addEventListener('abort', () => clearTimeout(timer));
  void run();
  return run;
}
