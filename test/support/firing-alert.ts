/** An alert that fires: a host's cpu at 80 %, above 70 %. */
import type { AlertTransition } from '../../src/model/index.ts';

export const firingAlert = (given: Partial<AlertTransition> = {}): AlertTransition => ({
  id: 'a',
  rule: 'cpu',
  severity: 'warning',
  state: 'firing',
  subject: 'web-1',
  labels: { host: 'web-1' },
  summary: 'web-1: cpu.usage is 80 %, above 70 %',
  value: 80,
  threshold: 70,
  startedAt: 1_000,
  firedAt: 1_000,
  resolvedAt: null,
  at: 1_000,
  sequence: 1,
  ...given,
});
