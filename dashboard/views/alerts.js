/** Alerts: what fires, who takes care of it, what is kept quiet, what there was, and the rules it is judged by. */
import { get, send } from '../api.js';
import { h, reconcile, replace, say, setText } from '../dom.js';
import * as f from '../format.js';
import {
  ask,
  badge,
  cell,
  empty,
  failure,
  field,
  LIVE_MS,
  panel,
  refresh,
  setBadge,
  table,
} from '../parts.js';

export const title = 'Alerts';
export const lead = 'What needs somebody, judged in the stream on event time.';

const tone = ({ severity, state }) =>
  state === 'resolved' ? 'good' : severity === 'critical' ? 'bad' : 'warn';
/** What fires before what may, the critical before the rest, then the newest. */
const rank = ({ state, severity }) =>
  (state === 'firing' ? 0 : 2) + (severity === 'critical' ? 0 : 1);
const byUrgency = (a, b) => rank(a) - rank(b) || b.startedAt - a.startedAt;
const valueText = ({ value, threshold }) =>
  value === null
    ? '–'
    : `${f.number(value, 2)}${threshold === null ? '' : ` of ${f.number(threshold, 2)}`}`;

export function show(main, { signal }) {
  const firing = h('ul', { class: 'alerts' });
  const firingNote = h('div');
  const history = table('History', [
    { name: 'when' },
    { name: 'state' },
    { name: 'rule' },
    { name: 'what' },
    { name: 'value', number: true },
  ]);
  const historyNote = h('div');
  const silences = h('ul', { class: 'notes' });
  const rules = table('Rules', [
    { name: 'rule' },
    { name: 'condition' },
    { name: 'firing', number: true },
  ]);
  const rulesNote = h('div');

  replace(
    main,
    h(
      'div',
      { class: 'panels' },
      panel('Firing', { wide: true, id: 'firing' }, firing, firingNote),
      panel('History', { hint: 'the last 24 hours', wide: true }, history.root, historyNote),
      panel(
        'Silences',
        {
          extra: h(
            'button',
            { type: 'button', class: 'small', onclick: () => silence({}) },
            'New silence',
          ),
        },
        silences,
      ),
      panel('Rules', {}, rules.root, rulesNote),
    ),
  );

  const reload = [];
  const change = async (work, done) => {
    try {
      await work();
      say(done);
    } catch (error) {
      await ask('That did not work', { fields: [failure(error)], action: 'Close', cancel: null });
    }
    for (const each of reload) void each();
  };

  async function acknowledge({ id, subject }) {
    const given = await ask(`Take care of ${subject}`, {
      text: 'It is not repeated until it resolves.',
      fields: [
        field(
          'Who',
          h('input', { name: 'by', maxlength: '100', autocomplete: 'name', autofocus: true }),
        ),
        field('Comment', h('input', { name: 'comment', maxlength: '500', autocomplete: 'off' })),
      ],
      action: 'Acknowledge',
    });
    if (given === undefined) return;
    const note = Object.fromEntries(Object.entries(given).filter(([, text]) => text.trim() !== ''));
    await change(
      () => send('POST', `/v1/alerts/${encodeURIComponent(id)}/acknowledge`, note),
      'Acknowledged.',
    );
  }

  async function silence({ rule = '', subject = '' }) {
    const given = await ask('Silence alerts', {
      text: 'No notification is sent of alerts that fit; they are still judged and shown.',
      fields: [
        field(
          'Rule',
          h('input', { name: 'rule', value: rule, autocomplete: 'off' }),
          '* stands for anything; empty fits all',
        ),
        field(
          'Subject',
          h('input', { name: 'subject', value: subject, autocomplete: 'off' }),
          'a host, a validator, a sink',
        ),
        field(
          'For',
          h(
            'select',
            { name: 'hours' },
            [
              ['1', '1 hour'],
              ['4', '4 hours'],
              ['24', 'a day'],
              ['168', 'a week'],
            ].map(([value, text]) => h('option', { value }, text)),
          ),
        ),
        field('Why', h('input', { name: 'comment', maxlength: '500', autocomplete: 'off' })),
      ],
      action: 'Silence',
    });
    if (given === undefined) return;
    const matchers = Object.fromEntries(
      ['rule', 'subject'].flatMap((name) =>
        given[name].trim() === '' ? [] : [[name, given[name].trim()]],
      ),
    );
    if (Object.keys(matchers).length === 0) matchers.rule = '*';
    const comment = given.comment.trim();
    await change(
      () =>
        send('POST', '/v1/alerts/silences', {
          matchers,
          durationMs: Number(given.hours) * 3_600_000,
          ...(comment === '' ? {} : { comment }),
        }),
      'Silenced.',
    );
  }

  function drawFiring(alerts) {
    reconcile(firing, alerts, {
      key: ({ id, startedAt, state }) => `${id}\n${startedAt}\n${state}`,
      make: (alert) =>
        h(
          'li',
          { class: 'alert', 'data-alert': alert.id, 'data-tone': tone(alert) },
          h(
            'div',
            { class: 'alert-head' },
            badge('', ''),
            h('strong', {}, `${alert.rule}: ${alert.subject}`),
            h('span', { class: 'soft' }),
          ),
          h('p', {}),
          h('p', { class: 'hint' }),
          h(
            'div',
            { class: 'panel-extra' },
            alert.state === 'firing'
              ? h(
                  'button',
                  {
                    type: 'button',
                    class: 'small',
                    'aria-label': `Acknowledge ${alert.rule} of ${alert.subject}`,
                    onclick: () => acknowledge(alert),
                  },
                  'Acknowledge',
                )
              : null,
            h(
              'button',
              {
                type: 'button',
                class: 'small',
                'aria-label': `Silence ${alert.rule} of ${alert.subject}`,
                onclick: () => silence(alert),
              },
              'Silence',
            ),
          ),
        ),
      update: (item, alert) => {
        const [head, summary, note] = item.children;
        setBadge(
          head.children[0],
          alert.state === 'pending' ? `pending ${alert.severity}` : alert.severity,
          alert.state === 'pending' ? '' : tone(alert),
        );
        setText(
          head.children[2],
          `since ${f.time(alert.firedAt ?? alert.startedAt)}, ${valueText(alert)}`,
        );
        setText(summary, alert.summary);
        const { acknowledged } = alert;
        setText(
          note,
          [
            acknowledged
              ? `Acknowledged${acknowledged.by ? ` by ${acknowledged.by}` : ''}${acknowledged.comment ? `: ${acknowledged.comment}` : ''}`
              : '',
            alert.silencedBy ? 'Silenced' : '',
          ]
            .filter(Boolean)
            .join(' · '),
        );
      },
    });
  }

  reload.push(
    refresh({
      signal,
      everyMs: LIVE_MS,
      place: firingNote,
      load: () => get('/v1/alerts', { limit: 200 }, signal),
      draw: ({ firing: now, pending, history: past }) => {
        drawFiring([...now, ...pending].sort(byUrgency));
        replace(
          firingNote,
          now.length + pending.length > 0
            ? null
            : empty('Nothing fires', 'The rules below are being judged as records come in.'),
        );
        reconcile(history.body, past, {
          key: ({ id, sequence, at }) => `${id}\n${sequence}\n${at}`,
          make: (each) =>
            h(
              'tr',
              {},
              cell(f.time(each.at)),
              cell(badge(each.state, tone(each))),
              cell(each.rule),
              cell(each.summary),
              cell(valueText(each), { number: true }),
            ),
        });
        replace(
          historyNote,
          past.length > 0
            ? null
            : empty(
                'No alert in the last day',
                'What fires and what resolves is kept here for 30 days.',
              ),
        );
      },
    }),
    refresh({
      signal,
      everyMs: 5_000,
      place: rulesNote,
      load: () => get('/v1/alerts/rules', {}, signal),
      draw: ({ rules: all }) =>
        reconcile(rules.body, all, {
          key: ({ name }) => name,
          make: ({ name, description }) =>
            h(
              'tr',
              { 'data-rule': name },
              cell(name),
              cell(description),
              cell('', { number: true }),
            ),
          update: (row, rule) => {
            row.children[1].className = rule.enabled ? '' : 'soft';
            setText(row.children[1], rule.enabled ? rule.description : `off: ${rule.description}`);
            setText(row.children[2], f.count(rule.firing));
          },
        }),
    }),
    refresh({
      signal,
      everyMs: 5_000,
      place: silences,
      load: () => get('/v1/alerts/silences', {}, signal),
      draw: ({ silences: all }) => {
        const open = all.filter(({ state }) => state !== 'expired');
        replace(
          silences,
          open.length === 0 ? h('li', { class: 'soft' }, 'None in force.') : null,
          open.map(({ id, matchers, endsAt, comment, state }) =>
            h(
              'li',
              { 'data-silence': id },
              badge(state, state === 'active' ? 'warn' : ''),
              h(
                'span',
                {},
                Object.entries(matchers)
                  .map(([name, value]) => `${name} ${value}`)
                  .join(', '),
              ),
              h(
                'span',
                { class: 'soft' },
                `until ${f.time(endsAt)}${comment ? `: ${comment}` : ''}`,
              ),
              h(
                'button',
                {
                  type: 'button',
                  class: 'small',
                  onclick: () =>
                    change(
                      () => send('DELETE', `/v1/alerts/silences/${encodeURIComponent(id)}`),
                      'The silence is over.',
                    ),
                },
                'End',
              ),
            ),
          ),
        );
      },
    }),
  );
}
