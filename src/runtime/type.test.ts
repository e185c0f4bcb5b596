/** Our schemas and TypeBox's. */
import { Type as TypeBox } from 'typebox';
import { expect, test } from 'vitest';
import { complaintBy, Type } from './type.ts';

const drawn = (T: typeof Type) =>
  T.Object(
    {
      name: T.String({ minLength: 1, description: 'of it' }),
      kind: T.Union([T.Literal('a'), T.Literal(2), T.Literal(true)], { default: 'a' }),
      size: T.Optional(T.Integer({ minimum: 1 })),
      labels: T.Optional(T.Record(T.String(), T.String(), { description: 'any' })),
      rows: T.Array(T.Object({ ok: T.Boolean(), rest: T.Unknown() }), { maxItems: 3 }),
      none: T.Object({ at: T.Optional(T.Number()) }, { additionalProperties: false }),
      time: T.Unsafe<number | string>({ type: ['number', 'string'] }),
    },
    { additionalProperties: false },
  );

test('schemas are TypeBox’s own to the order of their keys, and what checks them finds the same', () => {
  const [ours, theirs] = [drawn(Type), drawn(TypeBox)];
  expect(JSON.stringify(ours)).toBe(JSON.stringify(theirs));
  const right = { name: 'x', kind: 2, rows: [{ ok: true, rest: null }], none: {}, time: '1' };
  const rights: readonly unknown[] = [right, { ...right, size: undefined }];
  const wrongs = [
    { ...right, size: 0 },
    { ...right, kind: 'b' },
    { ...right, labels: { a: 1 } },
    { ...right, rows: [{ ok: true }] },
    { ...right, other: 1 },
    {},
    null,
  ];
  for (const value of [...rights, ...wrongs]) {
    const complaint = complaintBy(ours, value);
    expect(complaint).toEqual(complaintBy(theirs, value));
    expect(complaint === undefined).toBe(rights.includes(value));
  }
});
