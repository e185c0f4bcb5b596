/** Notes people put on the time axis: a deployment, an outage. Shown on every chart, made and deleted here. */
import { ApiError, get, send } from './api.js';
import { h, replace, say } from './dom.js';
import { time } from './format.js';
import { live } from './live.js';
import { ask, failure, field } from './parts.js';

let notes = [];
/** undefined until the engine said; false where it keeps none. */
let offered;
const listeners = new Set();
const shapeOf = ({ endTime, ...note }) => ({ ...note, end: endTime ?? undefined });

export async function loadAnnotations() {
  if (live.latest === undefined) return;
  offered = live.latest.offers.includes('annotations');
  if (!offered) return;
  try {
    const { annotations } = await get('/v1/annotations', { from: 0, limit: 10_000 });
    notes = annotations.map(shapeOf);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    notes = [];
  }
  for (const listener of [...listeners]) listener();
}

export const annotations = {
  list: () => notes,
  onChange(listener, signal) {
    listeners.add(listener);
    signal.addEventListener('abort', () => listeners.delete(listener));
  },
  /** Opens the form; does nothing where annotations are not kept. */
  async addAt(ms) {
    if (offered === false) return say('This engine keeps no annotations.');
    const given = await ask('Add an annotation', {
      text: `At ${time(ms)}. It shows on every chart, for everybody.`,
      fields: [
        field(
          'What happened',
          h('input', {
            name: 'text',
            required: true,
            maxlength: '200',
            autofocus: true,
            autocomplete: 'off',
          }),
        ),
      ],
      action: 'Add',
    });
    if (given === undefined || given.text.trim() === '') return;
    await attempt(() => send('POST', '/v1/annotations', { time: ms, text: given.text.trim() }));
    await loadAnnotations();
    say('Annotation added.');
  },
  button(at = () => Date.now()) {
    if (offered === false) return null;
    return [
      h(
        'button',
        {
          type: 'button',
          class: 'small',
          title: 'Mark this moment on every chart; a double click on a chart marks that moment',
          onclick: () => annotations.addAt(at()),
        },
        'Annotate',
      ),
      h('button', { type: 'button', class: 'small', onclick: showList }, 'Notes'),
    ];
  },
};

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    await ask('That did not work', { fields: [failure(error)], action: 'Close', cancel: null });
  }
}

async function showList() {
  await loadAnnotations();
  const list = h('ul', { class: 'notes' });
  const draw = () =>
    replace(
      list,
      notes.length === 0
        ? h('li', { class: 'soft' }, 'None yet. A double click on a chart marks that moment.')
        : null,
      notes
        .toSorted((a, b) => b.time - a.time)
        .slice(0, 100)
        .map(({ id, time: at, text }) =>
          h(
            'li',
            {},
            h('span', { class: 'soft' }, time(at)),
            h('span', {}, text),
            h(
              'button',
              {
                type: 'button',
                class: 'small',
                'aria-label': `Delete “${text}”`,
                onclick: async () => {
                  await attempt(() => send('DELETE', `/v1/annotations/${encodeURIComponent(id)}`));
                  await loadAnnotations();
                  draw();
                },
              },
              'Delete',
            ),
          ),
        ),
    );
  draw();
  await ask('Annotations', { fields: [list], action: 'Close', cancel: null });
}
