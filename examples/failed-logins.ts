/** An alarm when an account has three failed logins within a minute, and not again while they go on. */
import { closed, count, filter, jsonCodec, minutes, seconds, sliding, topology } from 'tidemark';

interface Login {
  readonly account: string;
  readonly isRight: boolean;
  readonly at: number;
}

const TOO_MANY = 3;

export const failedLogins = topology('failed-logins', ({ source }) => {
  source('logins', jsonCodec<Login>({ timestamp: 'at' }), { key: 'account' })
    .pipe(
      'failed',
      filter(({ isRight }) => !isRight),
    )
    .pipe(
      'last minute',
      sliding({
        by: ['account'],
        sizeMs: minutes(1),
        graceMs: seconds(5),
        late: 'logins.late',
        aggregate: count(),
      }),
    )
    .pipe(
      'counts',
      closed(({ key: [account = ''], end, state }) => ({ account, at: end, failed: state.count })),
    )
    .pipe(
      'too many',
      filter(({ failed }) => failed === TOO_MANY),
    )
    .to('logins.alarms', { key: (row) => row.account, value: (row) => JSON.stringify(row) });
});
