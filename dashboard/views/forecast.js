/** When is this disk full: the forecast of one host's disks, with its interval, and what it was made from. */
import { find } from '../api.js';
import { timeChart } from '../chart.js';
import { h, replace } from '../dom.js';
import * as f from '../format.js';
import { empty, refresh, select } from '../parts.js';
import { choose } from '../place.js';

export function showForecast(panel, { host, place, signal }) {
  const mounts = host.latest
    .filter(({ metricType, fields }) => metricType === 'disk' && fields.used_percent !== undefined)
    .map(({ tags }) => tags.mount ?? '');
  const mount = mounts.includes(place.get('mount')) ? place.get('mount') : mounts[0];
  const verdict = h('p', { class: 'verdict', id: 'forecast' });
  const note = h('div');
  const pick =
    mounts.length > 1
      ? select(
          'Disk',
          mounts.map((each) => [each, each]),
          mount,
          (chosen) => choose({ mount: chosen }),
        )
      : h('span', { class: 'hint' }, mount ?? '');
  replace(
    panel,
    h(
      'div',
      { class: 'panel-head' },
      h('h2', {}, 'When is the disk full?'),
      h('div', { class: 'panel-extra' }, pick),
    ),
  );
  if (mount === undefined) {
    panel.append(empty('This host reports no disk', 'Its agent sends them each minute.'));
    return;
  }
  const chart = timeChart({
    label: `Forecast of disk ${mount} of ${host.host}`,
    series: [
      { label: 'expected' },
      { label: 'lower', colour: '--c8', dash: [4, 3] },
      { label: 'upper', colour: '--c8', dash: [4, 3] },
    ],
    format: f.percent,
    height: 180,
    max: 105,
  });
  panel.append(verdict, chart.root, note);
  refresh({
    signal,
    everyMs: 60_000,
    place: note,
    load: () =>
      find(
        '/v1/fleet/forecast',
        {
          host: host.host,
          field: 'used_percent',
          metricType: 'disk',
          mount: mount === '' ? undefined : mount,
          horizon: '30d',
        },
        signal,
      ),
    draw: (forecast) => {
      chart.root.hidden = forecast === undefined || forecast.model === null;
      if (chart.root.hidden) {
        replace(verdict);
        return replace(
          note,
          empty('Not yet', forecast?.reason ?? 'A forecast needs some hours of this disk.'),
        );
      }
      replace(verdict, verdictOf(forecast));
      const { points } = forecast;
      chart.setData([
        points.map(({ timestamp }) => timestamp),
        points.map(({ mean }) => mean),
        points.map(({ lower }) => Math.max(0, lower)),
        points.map(({ upper }) => Math.min(105, upper)),
      ]);
      replace(
        note,
        h(
          'p',
          { class: 'hint' },
          `${forecast.model === 'trend' ? 'A straight line' : 'Trend and daily season (Holt–Winters)'} through ${f.plural(forecast.history.windows, 'hourly mean')}; ${f.number(100 * forecast.confidence, 0)} % interval.`,
        ),
      );
    },
  });
  signal.addEventListener('abort', () => chart.destroy());
}

function verdictOf({ fullAt: { expected, earliest, latest } }) {
  if (expected === null && earliest === null) return 'Not within 30 days.';
  if (expected === null) return `Hardly within 30 days; ${f.day(earliest)} at the earliest.`;
  return h(
    'span',
    {},
    'About ',
    h('strong', {}, f.day(expected)),
    ` (${f.ago(expected)}), between ${earliest === null ? 'then' : f.day(earliest)} and ${latest === null ? 'more than 30 days from now' : f.day(latest)}.`,
  );
}
