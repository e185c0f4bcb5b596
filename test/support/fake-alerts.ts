/** One alert that fires and one silence, for tests of the service. */
import type { Alerts, AlertView, SilenceView } from '../../src/api/index.ts';
import { FatalError } from '../../src/model/index.ts';

export const fakeAlert: AlertView = {
  id: 'a1',
  rule: 'cpu',
  severity: 'warning',
  state: 'firing',
  subject: 'web-1',
  labels: { host: 'web-1' },
  summary: 'cpu.usage is 83.1, above 70',
  value: 83.1,
  threshold: 70,
  startedAt: 1_700_000_000_000,
  firedAt: 1_700_000_060_000,
  resolvedAt: null,
  at: 1_700_000_060_000,
  sequence: 2,
  acknowledged: null,
  silencedBy: null,
};

export function fakeAlerts(): Alerts {
  const silences = new Map<string, SilenceView>();
  return {
    list: async () => ({ firing: [fakeAlert], pending: [], history: [fakeAlert] }),
    rules: async () => [],
    acknowledge: async (id, note) => {
      if (id !== fakeAlert.id)
        throw new FatalError(`there is no alert ${id}`, { code: 'UNKNOWN_ALERT' });
      return { ...fakeAlert, acknowledged: { ...note, at: 1_700_000_061_000 } };
    },
    silences: async () => [...silences.values()],
    silence: async (given) => {
      const silence: SilenceView = {
        startsAt: 1_700_000_000_000,
        ...given,
        id: `s${silences.size + 1}`,
        createdAt: 1_700_000_000_000,
        state: 'active',
      };
      silences.set(silence.id, silence);
      return silence;
    },
    endSilence: async (id) => silences.get(id),
  };
}
