/** Alerts as the service shows them. */
import { AlertBook, describeRule } from '../alerts/index.ts';
import type { Alerts } from '../api/index.ts';
import type { Broker } from '../broker/index.ts';
import type { AlertRule } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';

export function alertsOf(
  rules: readonly AlertRule[],
  parts: { readonly broker: Broker; readonly clock: Clock },
): Alerts {
  const book = new AlertBook(parts);
  return {
    list: (query) => book.list(query),
    async rules() {
      const firing = await book.firingByRule();
      return rules.map(({ staleMs: _, ...rule }) => ({
        ...rule,
        description: describeRule(rule as AlertRule),
        firing: firing.get(rule.name) ?? 0,
      }));
    },
    acknowledge: (id, note) => book.acknowledge(id, note),
    silences: () => book.silences(),
    silence: (given) => book.silence(given),
    endSilence: (id) => book.endSilence(id),
  };
}
