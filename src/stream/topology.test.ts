import { describe, expect, it } from 'vitest';
import { describeJson, describeText } from './describe.ts';
import { drive } from './driver.ts';
import { dedup } from './operators/dedup.ts';
import { mergeParts, partCodec, sendParts } from './operators/parts.ts';
import { filter, map } from './operators/rows.ts';
import { window } from './operators/window.ts';
import { numbers, type Reading, readingCodec, readings } from './testing.ts';
import { topology } from './topology.ts';
import { tumbling } from './windows.ts';

const out = { key: () => null, value: (row: Reading) => `${row.k}${row.n}` };
const ten = tumbling({ sizeMs: 10, graceMs: 0 });

describe('a topology', () => {
  it('tells what it reads, writes and stores into, without being run', () => {
    const drawn = topology('whole', ({ source }) => {
      const rows = source('in', readingCodec, { from: 'latest', rejects: 'skip' });
      rows
        .pipe(
          'some',
          filter(() => true),
        )
        .to('out', out);
      rows.into('store', () => []);
      source('more', readingCodec).to('out', out);
    });
    expect(drawn.sources).toMatchObject([
      {
        topic: 'in',
        stage: 0,
        rejects: 'skip',
        futureToleranceMs: 3_600_000,
        from: 'latest',
        internal: false,
      },
      { topic: 'more', stage: 0, rejects: 'dead-letter', from: 'earliest', internal: false },
    ]);
    expect([drawn.outputs, drawn.sinks, drawn.stages]).toEqual([['out'], ['store'], 1]);
    expect(drawn.graph.edges).toEqual([
      { from: 'in', to: 'some' },
      { from: 'some', to: 'out' },
      { from: 'in', to: 'store' },
      { from: 'more', to: 'out' },
    ]);
    expect(describeText(drawn)).toContain('stage 0  group tidemark.whole');
    expect(describeJson(drawn)).toMatchObject({ name: 'whole', stages: 1 });
  });

  it('has another hash when a step, an option, a topic or an order is another, and else the same', () => {
    const drawn = (step: string, withinMs: number, topic: string) =>
      topology('hashed', ({ source }) => {
        source('in', readingCodec)
          .pipe(step, dedup({ by: ['k'], withinMs }))
          .to(topic, out);
      }).hash;
    const hash = drawn('dedup', 10, 'out');
    expect(drawn('dedup', 10, 'out')).toBe(hash);
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    const others = [drawn('once', 10, 'out'), drawn('dedup', 11, 'out'), drawn('dedup', 10, 'o')];
    expect(new Set([hash, ...others]).size).toBe(4);
  });

  it('runs a step that several follow once a batch, and gives it to all of them', () => {
    let runs = 0;
    const shared = topology('shared', ({ source }) => {
      const counted = source('in', readingCodec).pipe(
        'count',
        map((row) => {
          runs++;
          return row;
        }),
      );
      counted.to('left', out);
      counted
        .pipe(
          'even',
          filter((row) => row.n % 2 === 0),
        )
        .to('right', out);
    });
    const driver = drive(shared).pipe('in', readings('a1@1 a2@2'));
    expect(runs).toBe(2);
    const values = (topic: string) => driver.records(topic).map((r) => r.value);
    expect([values('left'), values('right')]).toEqual([['a1', 'a2'], ['a2']]);
  });

  it('reads two drawings of one source once', () => {
    const twice = topology('twice', ({ source }) => {
      source('in', readingCodec).to('left', out);
      source('in', readingCodec).to('right', out);
    });
    const driver = drive(twice).pipe('in', readings('a1@1'));
    expect([driver.records('left').length, driver.records('right').length]).toEqual([1, 1]);
    expect(twice.graph.nodes.filter((n) => n.label === 'in')).toHaveLength(1);
  });

  it('goes on in a next stage behind an internal topic of one partition', () => {
    const drawn = topology('across', ({ source }) => {
      source('in', readingCodec)
        .pipe('window', window({ by: ['k'], windows: ten, aggregate: numbers }))
        .acrossPartitions('parts', (topic) => sendParts(topic, ten, numbers), partCodec)
        .pipe('merge', mergeParts(ten, numbers))
        .to('out', { key: () => null, value: (w) => JSON.stringify(w.state) });
    });
    expect([drawn.stages, drawn.group(0), drawn.group(1)]).toEqual([
      2,
      'tidemark.across',
      'tidemark.across.stage-1',
    ]);
    expect(drawn.sources[1]).toMatchObject({
      topic: 'tidemark.across.parts',
      stage: 1,
      internal: true,
    });
    expect(describeText(drawn)).toContain('stage 1  group tidemark.across.stage-1');
    const driver = drive(drawn, { partitions: 2 });
    const at = (partition: number, text: string) =>
      readings(text).map((r) => ({ ...r, partition }));
    driver.pipe('in', [...at(0, 'a1@1 a2@20'), ...at(1, 'a3@2 a4@20')]);
    expect(driver.read('out')).toEqual([[1, 3]]);
  });

  it('gives nodes whose names look alike ids of their own', () => {
    const drawn = topology('ids', ({ source }) => {
      source('in', readingCodec)
        .pipe(
          'a b',
          filter(() => true),
        )
        .pipe(
          'a-b',
          filter(() => true),
        )
        .pipe(
          'A.B',
          filter(() => true),
        )
        .to('in.out', out);
    });
    expect(drawn.graph.nodes.map((n) => n.id)).toEqual(['in', 'a_b', 'a_b_2', 'a_b_3', 'in_out']);
  });

  it('takes RxJS’ own operators as steps', () => {
    const drawn = topology('rx', ({ source }) => {
      source('in', readingCodec)
        .pipe('as it is', (rows) => rows)
        .to('out', out);
    });
    expect(drawn.graph.nodes[1]).toMatchObject({ kind: 'rxjs', label: 'as it is' });
    expect(drive(drawn).pipe('in', readings('a1@1')).records('out')).toHaveLength(1);
  });
});

describe('a topology that makes no sense is refused', () => {
  it('when its name does not fit into group and topic names', () => {
    for (const name of ['', 'Votes', '-votes', 'a b', 'a'.repeat(101)])
      expect(() =>
        topology(name, ({ source }) => source('in', readingCodec).to('out', out)),
      ).toThrow(expect.objectContaining({ code: 'TOPOLOGY_NAME_INVALID' }));
  });

  it('when it reads nothing', () => {
    expect(() => topology('empty', () => {})).toThrow(
      expect.objectContaining({ code: 'TOPOLOGY_EMPTY' }),
    );
  });

  it('when two steps have one name, which is their state’s too', () => {
    expect(() =>
      topology('twice', ({ source }) => {
        const rows = source('in', readingCodec);
        rows
          .pipe(
            'same',
            filter(() => true),
          )
          .to('out', out);
        rows
          .pipe(
            'same',
            filter(() => true),
          )
          .to('out', out);
      }),
    ).toThrow(expect.objectContaining({ code: 'STEP_NAME_TWICE' }));
  });
});
