/**
 * Charts of values over time (uPlot), in the page's colours: a legend that reads the values under the cursor,
 * annotations as marked lines, arrow keys to walk along. A chart is updated in place and follows its panel's width.
 */

import { h, setText } from './dom.js';
import { time } from './format.js';
import uPlot from './uplot/uPlot.esm.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Names of colours in style.css, in the order in which series get them. */
export const COLOURS = ['--c1', '--c2', '--c3', '--c4', '--c5', '--c6', '--c7', '--c8'];

const charts = new Set();
/** Colours are drawn, so they must be drawn again when the theme changes. */
export function redrawCharts() {
  for (const chart of charts) chart.rebuild();
}

/**
 * @param options.label what a screen reader calls it
 * @param options.series `{ label, colour?, fill?, dash? }[]`; may change with `setSeries`
 * @param options.format of values
 * @param options.annotations `() => { time, end?, text }[]`
 * @param options.onPick `(ms)`: a double click or Enter at the cursor
 */
export function timeChart({
  label,
  series,
  format,
  height = 220,
  min = 0,
  max,
  annotations = () => [],
  onPick,
  onSelect,
}) {
  const legend = h('div', { class: 'legend' });
  const surface = h('div', { class: 'chart-surface' });
  const reading = h('p', { class: 'hidden-text', 'aria-live': 'polite' });
  const root = h(
    'div',
    {
      class: 'chart',
      role: 'group',
      'aria-label': `${label}. Left and right walk along the values.`,
      tabindex: '0',
      onkeydown: walk,
    },
    legend,
    surface,
    reading,
  );
  let plot;
  let data = [[]];
  let drawn = series;
  let values = [];
  let range;

  function rebuild() {
    plot?.destroy();
    plot = undefined;
    drawLegend();
    if (!surface.isConnected || surface.clientWidth === 0) return;
    plot = new uPlot(options(), data, surface);
    showValues();
  }

  function options() {
    const ink = css('--ink-3');
    const grid = { stroke: css('--grid'), width: 1 };
    const axis = { stroke: ink, font: '11px system-ui, sans-serif', grid, ticks: { show: false } };
    return {
      width: surface.clientWidth,
      height,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { size: 7 },
        drag: { x: onSelect !== undefined, y: false, setScale: false },
        bind: { dblclick: () => () => pick() },
      },
      scales: {
        x: {
          time: true,
          range: (_, low, high) => range ?? (low === high ? [low - 60, high + 60] : [low, high]),
        },
        y: { range: (_, low, high) => yRange(low, high) },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          space: 70,
          size: 28,
          values: (_, splits, __, ___, step) => splits.map((s) => tick(s, step)),
        },
        {
          ...axis,
          size: 52,
          space: 36,
          values: (_, splits) => splits.map((value) => (value === null ? '' : format(value))),
        },
      ],
      series: [
        {},
        ...drawn.map((each, i) => ({
          stroke: colourOf(each, i),
          width: 1.75,
          dash: each.dash,
          fill: each.fill ? `${colourOf(each, i)}1f` : undefined,
          points: { show: (u, s) => u.data[s].length < 24, size: 5 },
          spanGaps: false,
        })),
      ],
      hooks: {
        draw: [drawAnnotations],
        setCursor: [showValues],
        setSelect: [
          (u) => {
            if (onSelect === undefined || u.select.width < 8) return;
            const [from, to] = [
              u.posToVal(u.select.left, 'x'),
              u.posToVal(u.select.left + u.select.width, 'x'),
            ];
            u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            onSelect(Math.round(from * 1000), Math.round(to * 1000));
          },
        ],
      },
    };
  }

  const colourOf = (each, i) => css(each.colour ?? COLOURS[i % COLOURS.length]);

  function yRange(low, high) {
    const bottom = min ?? low ?? 0;
    const top = max ?? high ?? 1;
    if (top <= bottom) return [bottom, bottom + 1];
    return [bottom, max ?? bottom + (top - bottom) * 1.12];
  }

  const tick = (seconds, step) => {
    const date = new Date(seconds * 1000);
    const two = (n) => String(n).padStart(2, '0');
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
    if (step >= 86_400)
      return `${date.getDate()} ${date.toLocaleString('en-GB', { month: 'short' })}`;
    if (step < 60) return `${clock}:${two(date.getSeconds())}`;
    return clock === '00:00'
      ? `${date.getDate()} ${date.toLocaleString('en-GB', { month: 'short' })}`
      : clock;
  };

  function drawLegend() {
    values = drawn.map(() => h('span', { class: 'legend-value' }));
    const at = h('span', { class: 'legend-time' });
    legend.replaceChildren(
      ...drawn.map((each, i) => {
        const swatch = h('span', {
          class: 'swatch',
          'aria-hidden': 'true',
          style: { background: `var(${each.colour ?? COLOURS[i % COLOURS.length]})` },
        });
        return h('span', { class: 'legend-item' }, swatch, each.label, ' ', values[i]);
      }),
      at,
    );
    legend.at = at;
  }

  /** Of the point under the cursor, else of the newest. */
  function showValues() {
    const idx = plot?.cursor.idx ?? data[0].length - 1;
    for (const [i, value] of values.entries()) setText(value, format(data[i + 1]?.[idx] ?? null));
    const seconds = plot?.cursor.idx == null ? undefined : data[0][idx];
    setText(legend.at, seconds === undefined ? '' : time(seconds * 1000));
  }

  function drawAnnotations(u) {
    const { ctx, bbox } = u;
    const [from, to] = [u.scales.x.min, u.scales.x.max];
    ctx.save();
    for (const { time: ms, end, text } of annotations()) {
      const seconds = ms / 1000;
      if (seconds > to || (end ?? ms) / 1000 < from) continue;
      const x = Math.round(u.valToPos(Math.max(seconds, from), 'x', true));
      ctx.strokeStyle = ctx.fillStyle = css('--note');
      if (end !== undefined && end > ms) {
        const right = u.valToPos(Math.min(end / 1000, to), 'x', true);
        ctx.globalAlpha = 0.12;
        ctx.fillRect(x, bbox.top, right - x, bbox.height);
        ctx.globalAlpha = 1;
      }
      ctx.setLineDash([4, 3]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
      const shown = text.length > 24 ? `${text.slice(0, 23)}…` : text;
      const isRight = x + ctx.measureText(shown).width + 8 > bbox.left + bbox.width;
      ctx.textAlign = isRight ? 'right' : 'left';
      ctx.fillText(shown, x + (isRight ? -5 : 5), bbox.top + 11 * devicePixelRatio);
    }
    ctx.restore();
  }

  function pick() {
    const idx = plot?.cursor.idx;
    if (idx != null) onPick?.(Math.round(data[0][idx] * 1000));
  }

  function walk(event) {
    const step = {
      ArrowLeft: -1,
      ArrowRight: 1,
      Home: Number.NEGATIVE_INFINITY,
      End: Number.POSITIVE_INFINITY,
    }[event.key];
    if (event.key === 'Enter') return pick();
    if (step === undefined || plot === undefined || data[0].length === 0) return;
    event.preventDefault();
    const idx = Math.min(
      Math.max((plot.cursor.idx ?? data[0].length - 1) + step, 0),
      data[0].length - 1,
    );
    plot.setCursor({ left: plot.valToPos(data[0][idx], 'x'), top: 10 });
    reading.textContent = `${time(data[0][idx] * 1000)}: ${drawn.map((each, i) => `${each.label} ${format(data[i + 1][idx])}`).join(', ')}`;
  }

  const observer = new ResizeObserver(() => {
    if (surface.clientWidth === 0) return;
    if (plot === undefined) rebuild();
    else if (plot.width !== surface.clientWidth)
      plot.setSize({ width: surface.clientWidth, height });
  });
  observer.observe(surface);
  const chart = {
    root,
    rebuild,
    /** `columns`: times in ms, then one list of values per series; `shown` fixes the time axis, ms. */
    setData(columns, shown) {
      data = [columns[0].map((ms) => ms / 1000), ...columns.slice(1)];
      range = shown === undefined ? undefined : [shown.from / 1000, shown.to / 1000];
      if (plot === undefined) rebuild();
      else plot.setData(data);
      showValues();
    },
    setSeries(next) {
      if (JSON.stringify(next) === JSON.stringify(drawn)) return;
      drawn = next;
      data = [[], ...next.map(() => [])];
      rebuild();
    },
    redraw: () => plot?.redraw(false),
    destroy() {
      observer.disconnect();
      charts.delete(chart);
      plot?.destroy();
    },
  };
  drawLegend();
  charts.add(chart);
  return chart;
}

/** Bars of counts, widest value range first to last; each bar says its own. */
export function barChart({ label, unit }) {
  const list = h('ol', { class: 'bars', 'aria-label': label });
  return {
    root: list,
    /** `bars`: `{ name, count, title }`. */
    setData(bars) {
      const most = Math.max(1, ...bars.map(({ count }) => count));
      const total = bars.reduce((sum, { count }) => sum + count, 0);
      while (list.children.length > bars.length) list.lastChild.remove();
      bars.forEach(({ name, count }, i) => {
        let bar = list.children[i];
        if (bar === undefined) {
          bar = h(
            'li',
            {},
            h('span', { class: 'bar-name' }),
            h('span', { class: 'bar-track' }, h('span', { class: 'bar-fill' })),
            h('span', { class: 'bar-count' }),
          );
          list.append(bar);
        }
        const share = total === 0 ? 0 : (100 * count) / total;
        setText(bar.children[0], name);
        bar.children[1].firstChild.style.setProperty('width', `${(100 * count) / most}%`);
        setText(bar.children[2], share > 0 && share < 0.05 ? '<0.1 %' : `${share.toFixed(1)} %`);
        bar.title = `${name} ${unit}: ${count}`;
      });
    },
  };
}

/** A line of the last values without axes, for a tile. */
export function sparkline(label) {
  const path = h('path', { class: 'spark-line' });
  const area = h('path', { class: 'spark-area' });
  const root = h(
    'svg',
    {
      class: 'spark',
      viewBox: '0 0 100 28',
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': label,
    },
    area,
    path,
  );
  return {
    root,
    setData(values) {
      const given = values.filter((value) => value !== null);
      if (given.length < 2) return;
      const most = Math.max(...given, 1e-9);
      const points = values.map(
        (value, i) =>
          `${((100 * i) / (values.length - 1)).toFixed(2)},${(26 - (24 * (value ?? 0)) / most).toFixed(2)}`,
      );
      path.setAttribute('d', `M${points.join('L')}`);
      area.setAttribute('d', `M0,28L${points.join('L')}L100,28Z`);
    },
  };
}
