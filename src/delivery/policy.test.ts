import { expect, test } from 'vitest';
import { defaultDeliveryPolicy, deliveryPolicy, deliveryPolicySchema } from './policy.ts';

test('without changes the policy is 5,000 points or 100 ms, 5 s doubling to 300 s, a check every 4 h', () => {
  expect(deliveryPolicy()).toMatchObject({
    batchPointsMax: 5_000,
    flushIntervalMs: 100,
    backoffBaseMs: 5_000,
    backoffCapMs: 300_000,
    attemptsMax: 0,
    healthIntervalMs: 4 * 3_600_000,
  });
});

test.each([
  [{ writersMax: 0 }, 'writersMax'],
  [{ batchPointsMax: 1.5 }, 'batchPointsMax'],
  [{ backoff: 'linear' as never }, 'backoff'],
  [{ backoffBaseMs: 10, backoffCapMs: 5 }, 'backoffCapMs'],
  [{ batchSize: 1 } as never, 'batchSize'],
])('a wrong option is refused by its name: %j', (changes, option) => {
  expect(() => deliveryPolicy(changes)).toThrow(
    expect.objectContaining({ code: 'POLICY_INVALID', context: { option } }),
  );
});

test('every option is described in the schema with its default', () => {
  const { properties } = deliveryPolicySchema;
  expect(Object.keys(properties).sort()).toEqual(Object.keys(defaultDeliveryPolicy).sort());
  for (const [name, option] of Object.entries(properties)) {
    const { description, default: value } = option as { description?: string; default?: unknown };
    expect(description, name).toMatch(/\.$/);
    expect(value, name).toBe(defaultDeliveryPolicy[name as keyof typeof defaultDeliveryPolicy]);
  }
});
