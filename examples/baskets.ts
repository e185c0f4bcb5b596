/**
 * What a customer did in one visit, which ends after half an hour of silence. Prices are whole cents; an item of a
 * currency that is not traded in is set aside, and the visit goes on.
 */
import {
  closed,
  combine,
  count,
  filter,
  integer,
  minutes,
  PoisonError,
  recordCodec,
  session,
  sum,
  text,
  topology,
} from 'tidemark';

const itemCodec = recordCodec({
  name: 'item',
  timestamp: 'at',
  fields: {
    customer: text({ maxBytes: 40 }),
    currency: text({ maxBytes: 3 }),
    cents: integer({ min: 0 }),
    at: integer({ min: 0 }),
  },
});

export const baskets = topology('baskets', ({ source }) => {
  source('items', itemCodec, { key: 'customer' })
    .pipe(
      'traded',
      filter(({ currency }) => {
        if (currency === 'EUR') return true;
        throw new PoisonError(`currency: we trade in EUR, got ${currency}`, {
          code: 'CURRENCY_UNKNOWN',
        });
      }),
    )
    .pipe(
      'visits',
      session({
        by: ['customer'],
        gapMs: minutes(30),
        graceMs: minutes(1),
        late: 'items.late',
        aggregate: combine({ items: count(), total: sum('cents') }),
      }),
    )
    .pipe(
      'baskets',
      closed(({ key: [customer = ''], start, state: { items, total } }) => ({
        customer,
        start,
        items: items.count,
        cents: total.sum,
      })),
    )
    .to('baskets', { key: (row) => row.customer, value: (row) => JSON.stringify(row) });
});
