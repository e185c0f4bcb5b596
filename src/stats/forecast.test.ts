import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Fit, fitHoltWinters, forecast } from './forecast.ts';
import { HoltWinters, type Seasonal } from './holt-winters.ts';

interface Reference {
  period: number;
  alpha: number;
  beta: number;
  gamma: number;
  l_start: number;
  b_start: number;
  s_start: number[];
  SSE: number;
  level: number;
  trend: number;
  season: number[];
  one_step_fitted: number[];
  forecast_24: number[];
}

const golden = new URL('../../test/golden/holt-winters/', import.meta.url);
const series = (name: string) => {
  const [, ...rows] = readFileSync(new URL(`${name}.csv`, golden), 'utf8')
    .trim()
    .split('\n');
  return rows.map((row) => Number(row.split(',')[2]));
};
const reference = (name: string) =>
  JSON.parse(readFileSync(new URL(`${name}.holtwinters.json`, golden), 'utf8')) as Record<
    string,
    Reference
  >;
/** The largest relative distance of two lists. */
const distance = (ours: ArrayLike<number>, theirs: ArrayLike<number>) => {
  expect(ours.length).toBe(theirs.length);
  return Math.max(
    ...Array.from(ours, (x, i) => Math.abs(x - theirs[i]!) / Math.max(Math.abs(theirs[i]!), 1e-3)),
  );
};
const summary = ({ model, start, sse, fitted }: Fit) => [
  start.level,
  start.trend,
  ...start.season,
  sse,
  model.state.level,
  model.state.trend,
  ...model.state.season,
  ...fitted,
];

const kinds = ['additive', 'multiplicative'] as const;
describe.each(['co2', 'AirPassengers', 'UKgas'])('for %s', (name) => {
  const values = series(name);
  test.each(kinds)('%s smoothing with given parameters is that of R', (seasonal: Seasonal) => {
    for (const mode of ['fixed', 'optim']) {
      const r = reference(name)[`${seasonal}_${mode}`]!;
      const { period, alpha, beta, gamma } = r;
      const fit = fitHoltWinters(values, { period, seasonal, alpha, beta, gamma });
      const theirs = [r.l_start, r.b_start, ...r.s_start, r.SSE, r.level, r.trend, ...r.season];
      expect(distance(summary(fit), [...theirs, ...r.one_step_fitted])).toBeLessThan(1e-8);
      expect(distance(forecast(fit, 24).mean, r.forecast_24)).toBeLessThan(1e-8);
    }
  });

  test.each(kinds)('the %s search finds a fit as good as that of R', (seasonal: Seasonal) => {
    const r = reference(name)[`${seasonal}_optim`]!;
    const fit = fitHoltWinters(values, { period: r.period, seasonal });
    expect(fit.sse).toBeLessThan(1.001 * r.SSE);
  });

  test('a parameter that is given stays, the others are searched for', () => {
    const { period } = reference(name).additive_fixed!;
    const fit = fitHoltWinters(values, { period, gamma: 0.2 });
    expect(fit.gamma).toBe(0.2);
    expect(fit.sse).toBeLessThan(reference(name).additive_fixed!.SSE);
    expect(fit.sse).toBeGreaterThanOrEqual(fitHoltWinters(values, { period }).sse);
  });
});

test('an additive interval widens as Chatfield and Yar say', () => {
  const fit = fitHoltWinters(series('UKgas'), { period: 4, alpha: 0.3, beta: 0.1, gamma: 0.2 });
  const { mean, lower, upper } = forecast(fit, 5);
  const residuals = Array.from(fit.fitted, (x, i) => series('UKgas')[i + 4]! - x);
  const average = residuals.reduce((sum, x) => sum + x, 0) / residuals.length;
  const variance = residuals.reduce((sum, x) => sum + (x - average) ** 2, 0) / 103;
  const weights = [1, 0.33, 0.36, 0.39, 0.3 * 1.4 + 0.2 * 0.7];
  let sum = 0;
  for (const [i, weight] of weights.entries()) {
    sum += weight ** 2;
    const spread = 1.959963984540054 * Math.sqrt(variance * sum);
    expect(upper[i]! - mean[i]!).toBeCloseTo(spread, 8);
    expect(mean[i]! - lower[i]!).toBeCloseTo(spread, 8);
  }
});

test('a multiplicative interval weighs each residual by the seasons it comes from and goes to', () => {
  const fit = fitHoltWinters(series('UKgas'), {
    period: 4,
    seasonal: 'multiplicative',
    alpha: 0.3,
    beta: 0.1,
    gamma: 0.2,
  });
  const { season } = fit.model.state;
  const { mean, upper } = forecast(fit, 11, 0.5);
  for (let h = 1; h <= 11; h++) {
    let sum = 1;
    for (let j = 1; j < h; j++) {
      const weight = 0.3 * (1 + 0.1 * j) + (j % 4 === 0 ? 0.2 * 0.7 : 0);
      sum += ((weight * season[(h - 1) % 4]!) / season[(h - 1 - j) % 4]!) ** 2;
    }
    const spread = 0.6744897501960817 * Math.sqrt(fit.variance * sum);
    expect((upper[h - 1]! - mean[h - 1]!) / spread).toBeCloseTo(1, 10);
  }
});

test('a series without noise is forecast exactly, for odd periods too', () => {
  const values = Array.from({ length: 63 }, (_, i) => 10 + [3, -1, 0, -4, 2, 1, -1][i % 7]!);
  const fit = fitHoltWinters(values.slice(0, 42), { period: 7 });
  expect(fit.sse).toBeLessThan(1e-18);
  const { mean, lower, upper } = forecast(fit, 21);
  expect(distance(mean, values.slice(42))).toBeLessThan(1e-12);
  expect(upper[20]! - lower[20]!).toBeLessThan(1e-6);
});

test('a restored model goes on as if it had never stopped', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 8, maxLength: 60 }),
      fc.nat({ max: 60 }),
      (values, cut) => {
        const start = { level: 1, trend: 0, season: [1, -1, 0] };
        const smoothing = { alpha: 0.4, beta: 0.2, gamma: 0.6 };
        const whole = new HoltWinters('additive', smoothing, start);
        let restored = new HoltWinters('additive', smoothing, start);
        for (const [i, x] of values.entries()) {
          if (i === cut) restored = HoltWinters.fromBytes(restored.toBytes());
          expect(restored.push(x)).toBe(whole.push(x));
        }
        expect(restored.toBytes()).toEqual(whole.toBytes());
      },
    ),
  );
});

test.each([
  [[1, 2, 3], { period: 2 }, '3 values for a period of 2'],
  [[1, 2, 3, 4], { period: 1 }, 'a period of 1 is none'],
  [[1, 2, Number.NaN, 4], { period: 2 }, 'value 3 is NaN'],
  [[1, 0, 3, 4], { period: 2, seasonal: 'multiplicative' as const }, 'value 2 is 0'],
  [[1, 2, 3, 4], { period: 2, alpha: 1.5 }, 'alpha is 1.5'],
  [[1e200, 2e200, 5e200, 4], { period: 2 }, 'beyond what numbers hold'],
])('%j with %j is refused', (values, options, message) => {
  expect(() => fitHoltWinters(values, options)).toThrow(message);
});

test('a horizon and a confidence that mean nothing are refused', () => {
  const fit = fitHoltWinters([1, 2, 1, 2, 1, 2], { period: 2 });
  expect(() => forecast(fit, 0)).toThrow('a horizon of 0');
  expect(() => forecast(fit, 1, 1)).toThrow('a confidence of 1');
});

test('bytes that are no model are refused', () => {
  const bytes = fitHoltWinters([1, 2, 1, 2, 1, 2], { period: 2 }).model.toBytes();
  for (const wrong of [
    bytes.subarray(0, -1),
    Buffer.concat([bytes, bytes]),
    Buffer.from([9, ...bytes.subarray(1)]),
    Buffer.from([1, 2, ...bytes.subarray(2)]),
  ]) {
    expect(() => HoltWinters.fromBytes(wrong)).toThrow('a stored Holt–Winters model');
  }
});
