/**
 * How patient and how eager the delivery to one sink is. The schema is the manual: every option has its
 * unit, default and a sentence; values are checked once, here.
 */
import { FatalError, hours, minutes, seconds } from '../model/index.ts';
import { complaintBy, Type } from '../runtime/index.ts';

/** Batching, backoff, breaker, timeout and health check of one sink [V4] [T1] [T3]. */
export interface DeliveryPolicy {
  readonly batchPointsMax: number;
  readonly flushIntervalMs: number;
  readonly gatherFromPoints: number;
  readonly gatherMs: number;
  readonly writersMax: number;
  readonly heldPointsMax: number;
  readonly attemptTimeoutMs: number;
  readonly backoff: 'exponential' | 'none';
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  readonly attemptsMax: number;
  readonly breakerFailuresMax: number;
  readonly healthIntervalMs: number;
}

export const defaultDeliveryPolicy: DeliveryPolicy = {
  batchPointsMax: 5_000,
  flushIntervalMs: 100,
  gatherFromPoints: 0,
  gatherMs: 1_000,
  writersMax: 4,
  heldPointsMax: 100_000,
  attemptTimeoutMs: seconds(30),
  backoff: 'exponential',
  backoffBaseMs: seconds(5),
  backoffCapMs: minutes(5),
  attemptsMax: 0,
  breakerFailuresMax: 5,
  healthIntervalMs: hours(4),
};

/** The longest wait a timer of Node can hold, ms (2^31 - 1); longer ones would fire at once. */
export const TIMER_MS_MAX = 2_147_483_647;

const whole = (name: keyof DeliveryPolicy, minimum: number, maximum: number, description: string) =>
  Type.Integer({ minimum, maximum, default: defaultDeliveryPolicy[name] as number, description });

export const deliveryPolicySchema = Type.Object(
  {
    batchPointsMax: whole('batchPointsMax', 1, 100_000_000, 'Points in one write, at most.'),
    flushIntervalMs: whole(
      'flushIntervalMs',
      0,
      TIMER_MS_MAX,
      'A batch that is not full is sent once its oldest point has waited this long. 0 sends at once.',
    ),
    gatherFromPoints: whole(
      'gatherFromPoints',
      0,
      100_000_000,
      'When so many points wait as a write ends, there is a backlog, and the next batch may wait for more: see gatherMs. 0 = never.',
    ),
    gatherMs: whole(
      'gatherMs',
      0,
      TIMER_MS_MAX,
      'With a backlog, a batch that is not full is sent once its oldest point has waited this long.',
    ),
    writersMax: whole(
      'writersMax',
      1,
      1_000,
      'Batches on their way or waiting for a retry, at most. 1 keeps the order of the points, but that a database may still carry out a write after its timeout.',
    ),
    heldPointsMax: whole(
      'heldPointsMax',
      1,
      100_000_000,
      'While more points than this are held, ready() makes the caller wait.',
    ),
    attemptTimeoutMs: whole(
      'attemptTimeoutMs',
      1,
      TIMER_MS_MAX,
      'One attempt (connect, write or check) is cut after this long; its outcome is then unknown and it is retried.',
    ),
    backoff: Type.Union([Type.Literal('exponential'), Type.Literal('none')], {
      default: 'exponential',
      description:
        'exponential: a random wait between 0 and base × 2^(attempt − 1), capped. none: always the base.',
    }),
    backoffBaseMs: whole('backoffBaseMs', 0, TIMER_MS_MAX, 'The first wait after a failure.'),
    backoffCapMs: whole('backoffCapMs', 0, TIMER_MS_MAX, 'The longest wait between two attempts.'),
    attemptsMax: whole(
      'attemptsMax',
      0,
      1_000_000_000,
      'Attempts per batch before its write() rejects. 0 = never give up.',
    ),
    breakerFailuresMax: whole(
      'breakerFailuresMax',
      1,
      1_000_000,
      'Failures in a row after which one attempt at a time probes the sink.',
    ),
    healthIntervalMs: whole(
      'healthIntervalMs',
      0,
      TIMER_MS_MAX,
      'How often the sink is checked, and reconnected if need be, also in quiet periods. 0 = never.',
    ),
  },
  { additionalProperties: false },
);

interface OptionSchema {
  readonly minimum: number;
  readonly maximum: number;
  readonly anyOf?: readonly { readonly const: string }[];
}

/** Each start asks, and is nearly always right: what words a complaint is loaded only for one. */
function isRight(name: string, value: unknown): boolean {
  const schemas = deliveryPolicySchema.properties as object as Record<string, OptionSchema>;
  const schema = schemas[name];
  if (schema === undefined) return false;
  const { minimum, maximum, anyOf } = schema;
  if (anyOf !== undefined) return anyOf.some((word) => word.const === value);
  return Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum;
}

/**
 * The defaults with `changes` laid over them.
 * @throws FatalError POLICY_INVALID naming the option, for an unknown name or a value out of its range.
 */
export function deliveryPolicy(changes: Partial<DeliveryPolicy> = {}): DeliveryPolicy {
  const policy = { ...defaultDeliveryPolicy, ...changes };
  const unknown = Object.keys(policy).find((name) => !(name in defaultDeliveryPolicy));
  const isAllRight = Object.entries(policy).every(([name, value]) => isRight(name, value));
  const wrong = isAllRight ? undefined : complaintBy(deliveryPolicySchema, policy);
  const option = unknown ?? wrong?.instancePath.slice(1);
  if (option !== undefined) {
    const why = unknown
      ? `is no option; there are ${Object.keys(defaultDeliveryPolicy).join(', ')}`
      : wrong?.message;
    throw new FatalError(`delivery policy: ${option} ${why}`, {
      code: 'POLICY_INVALID',
      context: { option },
    });
  }
  if (policy.backoffCapMs < policy.backoffBaseMs) {
    throw new FatalError(
      `delivery policy: backoffCapMs (${policy.backoffCapMs}) must be at least backoffBaseMs (${policy.backoffBaseMs})`,
      { code: 'POLICY_INVALID', context: { option: 'backoffCapMs' } },
    );
  }
  return policy;
}
