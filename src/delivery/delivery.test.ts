import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FatalError, RetriableError } from '../model/index.ts';
import { type Clock, ManualClock, registry } from '../runtime/index.ts';
import type { Rejection, Sink } from './contract.ts';
import { deliver } from './delivery.ts';
import type { DeliveryPolicy } from './policy.ts';

const away = () => new RetriableError('connection refused', { code: 'SINK_UNREACHABLE' });
const busy = (retryAfterMs?: number) =>
  new RetriableError('too busy', {
    code: 'SINK_BUSY',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });

/** A database in memory that notes every call with its time, and does what `answer` says to a write. */
class FakeSink implements Sink<number> {
  readonly name: string;
  readonly calls: string[] = [];
  readonly writes: { atMs: number; points: readonly number[] }[] = [];
  readonly stored: number[] = [];
  inFlightMax = 0;
  #inFlight = 0;
  readonly #clock: Clock;
  answer: (points: readonly number[], signal: AbortSignal) => Promise<readonly Rejection[]> =
    async () => [];
  connectAnswer: () => Promise<void> = async () => {};
  checkAnswer: () => Promise<void> = async () => {};

  constructor(clock: Clock, name = 'fake') {
    this.#clock = clock;
    this.name = name;
  }
  async connect() {
    this.calls.push(`connect@${this.#clock.now()}`);
    await this.connectAnswer();
  }
  async check() {
    this.calls.push(`check@${this.#clock.now()}`);
    await this.checkAnswer();
  }
  async close() {
    this.calls.push(`close@${this.#clock.now()}`);
  }
  async write(points: readonly number[], signal?: AbortSignal) {
    this.writes.push({ atMs: this.#clock.now(), points });
    this.inFlightMax = Math.max(this.inFlightMax, ++this.#inFlight);
    try {
      const rejections = await this.answer(points, signal!);
      const bad = new Set(rejections.map(({ index }) => index));
      this.stored.push(...points.filter((_, index) => !bad.has(index)));
      return rejections;
    } finally {
      this.#inFlight--;
    }
  }
}

function setUp(policy: Partial<DeliveryPolicy> = {}, random = () => 1 - Number.EPSILON) {
  const clock = new ManualClock();
  const sink = new FakeSink(clock);
  const delivery = deliver(
    sink,
    { batchPointsMax: 10, healthIntervalMs: 0, ...policy },
    { clock, random },
  );
  return { clock, sink, delivery };
}

/** Like the system's: time moves on between two looks, and by them timers fire a millisecond early. */
class RestlessClock implements Clock {
  #now = 0;
  readonly #timers: { atMs: number; run: () => void }[] = [];

  now(): number {
    return this.#now++;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      // The look that the wait was reckoned from, and the early millisecond.
      this.#timers.push({ atMs: this.#now - 2 + ms, run: resolve });
    });
  }

  every(): () => void {
    return () => {};
  }

  /** Until no timer is left. */
  async run(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.#timers.sort((one, other) => one.atMs - other.atMs).shift();
      if (next === undefined) return;
      this.#now = Math.max(this.#now, next.atMs);
      next.run();
    }
  }
}

/** A promise's outcome as it stands, without waiting. */
function watch<T>(promise: Promise<T>) {
  const seen: { value?: T; error?: unknown; settled: boolean } = { settled: false };
  promise.then(
    (value) => Object.assign(seen, { value, settled: true }),
    (error) => Object.assign(seen, { error, settled: true }),
  );
  return seen;
}

/** Lets what is under way settle before time moves on; the clock alone would first jump to its next alarm. */
async function pass(clock: ManualClock, ms: number) {
  await clock.advance(0);
  await clock.advance(ms);
}

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

describe('batches', () => {
  test('a full batch goes at once, the rest when its oldest point is 100 ms old', async () => {
    const { clock, sink, delivery } = setUp();
    const written = watch(delivery.write(range(25)));
    await pass(clock, 99);
    expect(sink.writes.map(({ points }) => points.length)).toEqual([10, 10]);
    expect(written.settled).toBe(false);
    await pass(clock, 1);
    expect(sink.writes.map(({ atMs, points }) => [atMs, points.length])).toEqual([
      [0, 10],
      [0, 10],
      [100, 5],
    ]);
    expect(written.value).toEqual({ rejections: [] });
    expect(sink.stored).toEqual(range(25));
  });

  test('a timer that fires a millisecond early does not leave the last batch lying', async () => {
    const clock = new RestlessClock();
    const sink = new FakeSink(clock);
    const delivery = deliver(
      sink,
      { batchPointsMax: 10, healthIntervalMs: 0 },
      { clock, random: () => 0.5 },
    );
    const written = watch(delivery.write([1, 2, 3]));
    await clock.run();
    expect(sink.stored).toEqual([1, 2, 3]);
    expect(written.settled).toBe(true);
  });

  test('small writes share a batch, and each learns its own rejections by its own index', async () => {
    const { clock, sink, delivery } = setUp();
    sink.answer = async (points) =>
      points.flatMap((point, index) => (point % 3 === 0 ? [{ index, message: 'thrice' }] : []));
    const first = watch(delivery.write([1, 2, 3]));
    await pass(clock, 50);
    const second = watch(delivery.write([6, 7]));
    await pass(clock, 50);
    expect(sink.writes).toEqual([{ atMs: 100, points: [1, 2, 3, 6, 7] }]);
    expect(first.value).toEqual({ rejections: [{ index: 2, message: 'thrice' }] });
    expect(second.value).toEqual({ rejections: [{ index: 0, message: 'thrice' }] });
    expect(delivery.state()).toMatchObject({ written: 3, rejected: 2, heldPoints: 0 });
  });

  test('flush sends what waits without waiting longer', async () => {
    const { clock, sink, delivery } = setUp();
    const written = watch(delivery.write([1]));
    delivery.flush();
    await pass(clock, 0);
    expect(sink.writes).toEqual([{ atMs: 0, points: [1] }]);
    expect(written.settled).toBe(true);
  });

  test('a write of no points is done at once and reaches nobody', async () => {
    const { sink, delivery } = setUp();
    await expect(delivery.write([])).resolves.toEqual({ rejections: [] });
    expect(sink.calls).toEqual([]);
  });
});

describe('writers', () => {
  test('no more batches than allowed are on their way', async () => {
    const { clock, sink, delivery } = setUp({ writersMax: 3 });
    sink.answer = () => clock.sleep(20).then(() => []);
    const written = watch(delivery.write(range(100)));
    await pass(clock, 20 * 5);
    expect(sink.inFlightMax).toBe(3);
    expect(written.settled).toBe(true);
  });

  test('one writer keeps the order of the points, whatever fails in between', async () => {
    const { clock, sink, delivery } = setUp({ writersMax: 1, breakerFailuresMax: 2 });
    let call = 0;
    sink.answer = async () => {
      if (++call % 3) throw call % 2 ? away() : busy();
      return [];
    };
    const written = watch(delivery.write(range(60)));
    await pass(clock, 600_000);
    expect(written.settled).toBe(true);
    expect(sink.stored).toEqual(range(60));
    expect(sink.inFlightMax).toBe(1);
  });

  test('until the sink has been reached only one writer tries', async () => {
    const { clock, sink, delivery } = setUp();
    let open: () => void = () => {};
    sink.connectAnswer = () => new Promise((resolve) => (open = resolve));
    watch(delivery.write(range(40)));
    await pass(clock, 10);
    expect(sink.calls).toEqual(['connect@0']);
    open();
    await pass(clock, 0);
    expect(sink.writes).toHaveLength(4);
    expect(sink.calls).toEqual(['connect@0']);
  });
});

describe('retries', () => {
  test('a batch comes again after 5, 10, 20, … 300 s until it is stored', async () => {
    const { clock, sink, delivery } = setUp();
    sink.answer = async () => {
      if (sink.writes.length <= 8) throw busy();
      return [];
    };
    const written = watch(delivery.write(range(10)));
    await pass(clock, 10_000_000);
    const times = sink.writes.map(({ atMs }) => atMs / 1_000);
    expect(times.slice(1).map((time, at) => time - times[at]!)).toEqual([
      5, 10, 20, 40, 80, 160, 300, 300,
    ]);
    expect(written.settled).toBe(true);
    expect(delivery.state()).toMatchObject({ retries: 8, written: 10, lastError: null });
  });

  test('the wait the server asks for is kept by all writers', async () => {
    const { clock, sink, delivery } = setUp({}, () => 0);
    sink.answer = async () => {
      if (sink.writes.length === 1) throw busy(7_000);
      return [];
    };
    watch(delivery.write(range(10)));
    await pass(clock, 1_000);
    watch(delivery.write(range(10, 10)));
    await pass(clock, 5_999);
    expect(sink.writes).toHaveLength(1);
    expect(delivery.state().nextAttemptAtMs).toBe(7_000);
    await pass(clock, 1);
    expect(sink.stored).toHaveLength(20);
  });

  test('after the attempts allowed the write rejects with the last error and nothing is sent again', async () => {
    const { clock, sink, delivery } = setUp({ attemptsMax: 3 });
    sink.answer = async () => {
      throw busy();
    };
    const written = watch(delivery.write(range(25)));
    await pass(clock, 100_000);
    expect(written.error).toMatchObject({ code: 'SINK_BUSY' });
    expect(delivery.state().heldPoints).toBe(0);
    const sent = sink.writes.length;
    await pass(clock, 1_000_000);
    expect(sink.writes.length).toBe(sent);
  });

  test('a batch that fails alone keeps its backoff while others are stored', async () => {
    const { clock, sink, delivery } = setUp({ writersMax: 2 });
    sink.answer = async (points) => {
      if (points[0] === 0) throw busy();
      return [];
    };
    watch(delivery.write(range(10)));
    for (let at = 1; at <= 8; at++) {
      await pass(clock, 500);
      watch(delivery.write(range(10, at * 10)));
    }
    await pass(clock, 999);
    expect(sink.writes.filter(({ points }) => points[0] === 0)).toHaveLength(1);
    expect(sink.stored).toHaveLength(80);
    await pass(clock, 1);
    expect(sink.writes.filter(({ points }) => points[0] === 0)).toHaveLength(2);
  });

  test('a server that never answers is cut after the timeout and tried again', async () => {
    const { clock, sink, delivery } = setUp({ attemptTimeoutMs: 1_000 });
    let cut: AbortSignal | undefined;
    sink.answer = (_, signal) => {
      if (sink.writes.length > 1) return Promise.resolve([]);
      cut = signal;
      return new Promise(() => {});
    };
    const written = watch(delivery.write(range(10)));
    await pass(clock, 1_000);
    expect(cut?.aborted).toBe(true);
    expect(delivery.state().lastError).toMatchObject({ code: 'SINK_TIMEOUT', atMs: 1_000 });
    await pass(clock, 5_000);
    expect(written.settled).toBe(true);
  });

  test('a sink that was unreachable is connected again before the next write', async () => {
    const { clock, sink, delivery } = setUp();
    sink.answer = async () => {
      if (sink.writes.length === 1) throw away();
      return [];
    };
    watch(delivery.write(range(10)));
    await pass(clock, 5_000);
    expect(sink.calls).toEqual(['connect@0', 'connect@5000']);
    expect(sink.stored).toHaveLength(10);
  });

  test('wrong configuration is retried at the longest interval and shows its cure', async () => {
    const { clock, sink, delivery } = setUp();
    sink.answer = async () => {
      if (sink.writes.length === 1) throw new FatalError('set the token', { code: 'DENIED' });
      return [];
    };
    const written = watch(delivery.write(range(10)));
    await pass(clock, 299_999);
    expect(delivery.state()).toMatchObject({
      breaker: 'open',
      lastError: { code: 'DENIED', message: 'set the token', family: 'fatal' },
      nextAttemptAtMs: 300_000,
    });
    expect(sink.writes).toHaveLength(1);
    await pass(clock, 1);
    expect(written.settled).toBe(true);
  });

  test('anything else a sink throws is called a bug of the sink, and no point is lost', async () => {
    const { clock, sink, delivery } = setUp();
    sink.answer = async () => {
      if (sink.writes.length === 1) throw new TypeError('undefined is not a function');
      return [];
    };
    watch(delivery.write(range(10)));
    await pass(clock, 1);
    expect(delivery.state().lastError).toMatchObject({ code: 'SINK_BUG', family: 'fatal' });
    await pass(clock, 300_000);
    expect(sink.stored).toHaveLength(10);
  });
});

describe('breaker', () => {
  test('during an outage one attempt at a time is made and no new points are taken in', async () => {
    const { clock, sink, delivery } = setUp({ breakerFailuresMax: 1, writersMax: 4 });
    let up = false;
    sink.answer = async () => {
      if (!up) throw away();
      return [];
    };
    const first = watch(delivery.write(range(40)));
    await pass(clock, 1);
    const later = watch(delivery.write(range(40, 40)));
    const ready = watch(delivery.ready());
    await pass(clock, 100_000);
    expect(delivery.state()).toMatchObject({ breaker: 'open', heldPoints: 80, inFlight: 0 });
    expect(new Set(sink.writes.map(({ points }) => points[0]))).toEqual(new Set([0]));
    expect(ready.settled).toBe(false);
    up = true;
    await pass(clock, 300_000);
    expect(delivery.state()).toMatchObject({ breaker: 'closed', heldPoints: 0, written: 80 });
    expect([first, later, ready].map(({ settled }) => settled)).toEqual([true, true, true]);
    expect([...sink.stored].sort((a, b) => a - b)).toEqual(range(80));
  });

  test('an operator can try now instead of waiting for the backoff', async () => {
    const { clock, sink, delivery } = setUp({ breakerFailuresMax: 1 });
    expect(delivery.retryNow()).toBe(false);
    sink.answer = async () => {
      if (sink.writes.length === 1) throw busy(250_000);
      return [];
    };
    const written = watch(delivery.write(range(10)));
    await pass(clock, 10);
    expect(delivery.retryNow()).toBe(true);
    await pass(clock, 0);
    expect(written.settled).toBe(true);
  });
});

describe('health check', () => {
  test('a quiet sink is checked at its interval, and an outage shows before any point needs it', async () => {
    const { clock, sink, delivery } = setUp({ healthIntervalMs: 60_000 });
    let up = true;
    sink.checkAnswer = sink.connectAnswer = async () => {
      if (!up) throw away();
    };
    watch(delivery.write(range(10)));
    await pass(clock, 60_000);
    expect(sink.calls).toEqual(['connect@0', 'check@60000']);
    up = false;
    await pass(clock, 60_000);
    expect(delivery.state()).toMatchObject({
      breaker: 'open',
      lastError: { code: 'SINK_UNREACHABLE' },
      nextAttemptAtMs: 125_000,
    });
    up = true;
    await pass(clock, 5_000);
    expect(delivery.state()).toMatchObject({ breaker: 'closed', lastError: null });
  });

  test('a sink that fails its check once is reconnected without an outage', async () => {
    const { clock, sink, delivery } = setUp({ healthIntervalMs: 60_000 });
    let checks = 0;
    sink.checkAnswer = async () => {
      if (++checks === 1) throw away();
    };
    await pass(clock, 60_000);
    expect(sink.calls).toEqual(['check@60000', 'connect@60000', 'check@60000']);
    expect(delivery.state().breaker).toBe('closed');
  });

  test('0 turns the check off', async () => {
    const { clock, sink } = setUp({ healthIntervalMs: 0 });
    await pass(clock, 1e9);
    expect(sink.calls).toEqual([]);
  });
});

describe('memory', () => {
  test('a caller that waits for ready() holds no more than the limit and one write', async () => {
    const { clock, sink, delivery } = setUp({ heldPointsMax: 30 });
    sink.answer = () => clock.sleep(10).then(() => []);
    let heldMax = 0;
    const source = (async () => {
      for (let at = 0; at < 100; at++) {
        await delivery.ready();
        watch(delivery.write(range(10, at * 10)));
        heldMax = Math.max(heldMax, delivery.state().heldPoints);
      }
    })();
    await pass(clock, 1_000);
    await source;
    expect(heldMax).toBeLessThanOrEqual(40);
    expect(sink.stored).toHaveLength(1_000);
  });

  test('a write given up by its caller is forgotten, and what shares its batch is not', async () => {
    const { clock, sink, delivery } = setUp();
    const give = new AbortController();
    const left = watch(delivery.write([1, 2], give.signal));
    const kept = watch(delivery.write([3]));
    give.abort(new Error('revoked'));
    await pass(clock, 100);
    expect(left.error).toMatchObject({ message: 'revoked' });
    expect(kept.settled).toBe(true);
    expect(sink.stored).toEqual([3]);
  });

  test('a batch of which everything was given up is not tried again', async () => {
    const { clock, sink, delivery } = setUp();
    sink.answer = async () => {
      throw busy();
    };
    const give = new AbortController();
    watch(delivery.write(range(10), give.signal));
    await pass(clock, 1);
    give.abort(new Error('revoked'));
    await pass(clock, 1_000_000);
    expect(sink.writes).toHaveLength(1);
    expect(delivery.state()).toMatchObject({ heldPoints: 0, nextAttemptAtMs: null });
  });
});

describe('stop', () => {
  test('what is held is sent first, then the sink is closed', async () => {
    const { clock, sink, delivery } = setUp();
    sink.answer = () => clock.sleep(50).then(() => []);
    const written = watch(delivery.write(range(5)));
    const stopped = watch(delivery.stop(1_000));
    await pass(clock, 49);
    expect(stopped.settled).toBe(false);
    await pass(clock, 1);
    expect(written.value).toEqual({ rejections: [] });
    expect(stopped.settled).toBe(true);
    expect(sink.calls.at(-1)).toBe('close@50');
    await expect(delivery.write([1])).rejects.toMatchObject({ code: 'DELIVERY_STOPPED' });
    await expect(delivery.ready()).rejects.toMatchObject({ code: 'DELIVERY_STOPPED' });
  });

  test('at the deadline the rest is handed back unstored, and the write under way is cut', async () => {
    const { clock, sink, delivery } = setUp();
    let cut: AbortSignal | undefined;
    sink.answer = (_, signal) => {
      cut = signal;
      return new Promise(() => {});
    };
    const written = watch(delivery.write(range(5)));
    const stopped = watch(delivery.stop(200));
    await pass(clock, 200);
    expect(written.error).toMatchObject({ code: 'DELIVERY_STOPPED', family: 'retriable' });
    expect(cut?.aborted).toBe(true);
    expect(stopped.settled).toBe(true);
    await pass(clock, 1_000_000);
    expect(sink.writes).toHaveLength(1);
  });

  test('it does not wait for an attempt that comes only after the deadline', async () => {
    const { clock, sink, delivery } = setUp({ breakerFailuresMax: 1 });
    sink.answer = async () => {
      throw away();
    };
    const written = watch(delivery.write(range(10)));
    await pass(clock, 1);
    const stopped = watch(delivery.stop(4_000));
    await pass(clock, 0);
    expect(stopped.settled).toBe(true);
    expect(written.error).toMatchObject({ code: 'DELIVERY_STOPPED' });
    expect(sink.calls.at(-1)).toBe('close@1');
  });
});

test('whatever the sink does, a resolved write is stored but for its rejections, and nothing is held', {
  tags: 'heavy',
  timeout: 60_000,
}, async () => {
  const trouble = fc.constantFrom('ok', 'away', 'busy', 'wait', 'denied', 'bug', 'hang', 'slow');
  await fc.assert(
    fc.asyncProperty(
      fc.array(trouble, { minLength: 1, maxLength: 40 }),
      fc.array(fc.record({ count: fc.nat(35), afterMs: fc.nat(3_000) }), { maxLength: 12 }),
      fc.record({
        writersMax: fc.integer({ min: 1, max: 4 }),
        breakerFailuresMax: fc.integer({ min: 1, max: 6 }),
        healthIntervalMs: fc.constantFrom(0, 700, 60_000),
        flushIntervalMs: fc.constantFrom(0, 100),
        attemptTimeoutMs: fc.constant(500),
      }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      async (script, writes, policy, randoms) => {
        const { clock, sink, delivery } = setUp(policy, () => randoms.next().value);
        let step = 0;
        const act = async () => {
          const now = script[step++] ?? 'ok';
          if (now === 'away') throw away();
          if (now === 'busy') throw busy();
          if (now === 'wait') throw busy(9_000);
          if (now === 'denied') throw new FatalError('no', { code: 'DENIED' });
          if (now === 'bug') throw new TypeError('oops');
          if (now === 'hang') await new Promise(() => {});
          if (now === 'slow') await clock.sleep(300);
        };
        sink.connectAnswer = act;
        sink.checkAnswer = act;
        sink.answer = async (points) => {
          await act();
          return points.flatMap((point, index) => (point % 7 ? [] : [{ index, message: 'no' }]));
        };
        let next = 0;
        const seen = [];
        for (const { count, afterMs } of writes) {
          const points = range(count, next);
          next += count;
          seen.push({ points, outcome: watch(delivery.write(points)) });
          await pass(clock, afterMs);
        }
        // At most 40 troubles, each followed by no more than 300 s and one health interval.
        for (let at = 0; at < 50 && delivery.state().heldPoints > 0; at++) {
          await pass(clock, 300_000);
        }
        for (const { points, outcome } of seen) {
          expect(outcome.value).toEqual({
            rejections: points.flatMap((point, index) =>
              point % 7 ? [] : [{ index, message: 'no' }],
            ),
          });
        }
        const wanted = range(next).filter((point) => point % 7);
        expect([...new Set(sink.stored)].sort((a, b) => a - b)).toEqual(wanted);
        expect(delivery.state()).toMatchObject({
          heldPoints: 0,
          inFlight: 0,
          written: wanted.length,
          rejected: next - wanted.length,
        });
        // A batch cut by the timeout may still land besides its retry, as with a real database.
        if (policy.writersMax === 1) expect([...new Set(sink.stored)]).toEqual(wanted);
        await delivery.stop(0);
      },
    ),
    { numRuns: 150 },
  );
});

test('points, rejections, retries and the breaker show in the metrics under the sink', async () => {
  const clock = new ManualClock();
  const sink = new FakeSink(clock, 'metered');
  const delivery = deliver(sink, { batchPointsMax: 4 }, { clock, random: () => 0.5 });
  sink.answer = async () => {
    if (sink.writes.length === 1) throw new FatalError('no', { code: 'DENIED' });
    return [{ index: 0, message: 'old', code: 'OUTSIDE_RETENTION' }];
  };
  watch(delivery.write(range(4)));
  await pass(clock, 1);
  expect(await registry.getSingleMetricAsString('delivery_breaker_state')).toContain(
    'delivery_breaker_state{sink="metered"} 2',
  );
  await pass(clock, 300_000);
  const text = await registry.metrics();
  expect(text).toContain('delivery_points_written_total{sink="metered"} 3');
  expect(text).toContain(
    'delivery_points_rejected_total{sink="metered",code="OUTSIDE_RETENTION"} 1',
  );
  expect(text).toContain('delivery_retries_total{sink="metered",code="DENIED"} 1');
  expect(text).toContain('delivery_breaker_state{sink="metered"} 0');
  expect(text).toContain('delivery_batch_points_sum{sink="metered"} 4');
  expect(text).toContain('delivery_write_seconds_count{sink="metered"} 1');
  expect(text).toContain('delivery_held_points{sink="metered"} 0');
});
