/** Time travel on a running engine: what the live endpoints say of a past moment is what they said then. */
import { expect, onTestFinished, test, vi } from 'vitest';
import type { EngineView } from '../../src/api/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { startEngine } from '../../src/main.ts';
import { loadSettings, systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';

const votes = [
  ...simulateVotes({
    seed: 4,
    startMs: 1_757_500_000_000,
    validators: 25,
    ratePerSecond: 5,
    count: 9_000,
    duplicateShare: 0.02,
    lateShare: 0.002,
  }),
];

async function runningEngine() {
  const { settings } = loadSettings({
    environment: {
      LOG_LEVEL: 'silent',
      TIDEMARK_PARTITIONS: '3',
      TIDEMARK_EPOCH_INTERVAL_MS: '50',
      TIDEMARK_TELNET_PORT: '0',
    },
    flags: { data: await temporaryDirectory(), port: '0' },
  });
  const engine = await startEngine(settings, { roles: ['engine'], topologies: ['vote-latency'] });
  onTestFinished(() => engine.stop());
  return engine;
}

const saying = (live: Pick<EngineView['live'], 'validators' | 'network'>) => ({
  validators: live.validators({ sort: 'id', limit: 100 }),
  open: live.network('testnet')?.open,
  lastSlot: live.network('testnet')?.lastSlot,
});

test('of a past moment the live endpoints say what they said then', async () => {
  const { broker, view } = await runningEngine();
  const processed = async (count: number) =>
    vi.waitFor(
      () => {
        const at = view.live.network('testnet')?.asOf.offset;
        expect(at).toBe(count);
      },
      { timeout: 60_000, interval: 50 },
    );
  const moments: { atMs: number; said: ReturnType<typeof saying> }[] = [];
  for (let part = 0; part < 3; part++) {
    await broker.append('votes', votes.slice(part * 3_000, (part + 1) * 3_000));
    await processed((part + 1) * 3_000);
    // The network's answer serves for a tenth of a second.
    await systemClock.sleep(150);
    moments.push({ atMs: systemClock.now(), said: saying(view.live) });
    await systemClock.sleep(10);
  }
  expect(moments[0]?.said.validators.length).toBe(25);
  expect(moments[0]?.said).not.toEqual(moments[1]?.said);
  for (const { atMs, said } of moments.toReversed()) {
    expect(saying(await view.liveAt(atMs))).toEqual(said);
  }
});

test('a moment in the future is refused', async () => {
  const { view } = await runningEngine();
  await expect(view.liveAt(systemClock.now() + 60_000)).rejects.toMatchObject({
    code: 'RANGE_INVALID',
  });
});
