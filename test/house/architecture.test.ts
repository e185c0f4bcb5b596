/**
 * Rooms depend one way and each library has one door (ARCHITECTURE.md). The rules are tried on planted
 * faults first: a checker that sees nothing must not pass.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  clockFaults,
  doorFaults,
  doors,
  doorsOf,
  edgesOf,
  importCycles,
  packageOf,
  roomOrderFaults,
} from './rules.ts';
import { filesBelow, importsOf, mask, projectRoot, type SourceFile } from './source.ts';

const description = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
const dependencies = Object.keys(description.dependencies);
const declared = new Set([...dependencies, ...Object.keys(description.devDependencies)]);

/** Where the system's clock or chance may be used outside src/runtime, and why. */
const clockAllowed: Readonly<Record<string, string>> = {
  'src/runtime/': 'here lives the clock',
  'src/broker/embedded/telemetry.ts': 'measures how long a commit took; nothing depends on it',
  'src/broker/kafka/': 'kafkajs takes and makes times of its own',
  'src/cli/': 'a progress bar shows the time of the person who watches it',
};

const product = [...filesBelow('src'), ...filesBelow('topologies')];
const everything = [
  ...product,
  ...filesBelow('test'),
  ...filesBelow('bench'),
  ...filesBelow('docs'),
];

describe('the checker', () => {
  const planted = (path: string, text: string): SourceFile[] => [{ path, text }];

  it('sees the imports of this tree', () => {
    expect(product.length).toBeGreaterThan(40);
    expect(edgesOf(product).length).toBeGreaterThan(80);
    expect(edgesOf(product).filter(({ to }) => to === undefined).length).toBeGreaterThan(20);
  });

  it('reads every form of import, and none in comments and strings', () => {
    const text = `
      // import a from 'no-line';
      /** import { b } from 'no-block'; */
      import c from 'default';
      import { d,
        type e } from "named";
      import type { F } from 'type-only';
      import * as g from 'star';
      import 'bare';
      export { h } from 'again';
      export * from 'all';
      const i = await import('dynamic');
      const j = require('required');
      const k = createRequire(import.meta.url)('made');
      const l = "import m from 'no-string'" + \`import n from 'no-template' \${await import('nested')}\`;
      const o = /['"\`]/.test(l) ? 1 / 2 : 3; // import p from 'no-after-regex'
      const q = array.from('no-method'); export const r = 's';
      const t = import.meta.resolve;
      import u from 'last';
    `;
    expect(importsOf(text).map(({ specifier }) => specifier)).toEqual([
      'default',
      'named',
      'type-only',
      'star',
      'bare',
      'again',
      'all',
      'dynamic',
      'required',
      'made',
      'nested',
      'last',
    ]);
    expect(importsOf(text).filter(({ isTypeOnly }) => isTypeOnly)).toHaveLength(1);
  });

  it('keeps every character in its place when it masks', () => {
    const text = `a = 'ü' + \`x\${ { y: "}" } }z\`; // 🙂\nb = /[/"]/u;`;
    const { code, bare } = mask(text);
    expect(code).toBe(`a = 'ü' + \`x\${ { y: "}" } }z\`;      \nb = /[/"]/u;`);
    expect(bare).toBe(`a = ' ' + \` \${ { y: " " } } \`;      \nb = /    /u;`);
  });

  it.each([
    ['src/model/point.ts', `import { x } from '../runtime/index.ts';`, 'runtime comes after model'],
    [
      'src/api/a.ts',
      `import { x } from '../stream/topology.ts';`,
      'its door is src/stream/index.ts',
    ],
    [
      'src/api/a.ts',
      `import { x } from '../broker/kafka/index.ts';`,
      'its door is src/broker/index.ts',
    ],
    [
      'topologies/a.ts',
      `import { x } from '../src/broker/index.ts';`,
      'model, stats and stream only',
    ],
    ['src/api/a.ts', `import { x } from '../../topologies/votes.ts';`, 'only the wiring'],
    ['src/api/a.ts', `import { x } from '../../test/support/require.ts';`, 'without its tests'],
    ['src/utils/a.ts', `import { x } from '../model/index.ts';`, 'utils is no room'],
    ['src/model/a.ts', `export * from '../main.ts';`, 'main comes after model'],
    ['bench/a.ts', `import { x } from '../src/stream/topology.ts';`, 'its door is'],
  ])('finds a fault of room order in %s: %s', (path, text, message) => {
    expect(roomOrderFaults(planted(path, text)).join()).toContain(message);
  });

  it.each([
    ['src/api/a.ts', `import { x } from '../stream/index.ts';`],
    ['src/wiring/a.ts', `import { x } from '../broker/kafka/index.ts';`],
    ['src/wiring/a.ts', `import { x } from '../../topologies/votes.ts';`],
    ['src/main.ts', `import { x } from './wiring/feeds.ts';`],
    ['test/integration/a.test.ts', `import { x } from '../../src/broker/contract.suite.ts';`],
    ['src/stream/operators/a.ts', `import { x } from '../batch.ts';`],
    ['src/stream/a.test.ts', `import { x } from '../../test/support/vote-truth.ts';`],
    ['topologies/a.ts', `import { x } from '../src/stream/index.ts';`],
  ])('lets %s have %s', (path, text) => {
    expect(roomOrderFaults(planted(path, text))).toEqual([]);
  });

  it('finds a library that came in by another door, or by none', () => {
    const faults = (path: string, text: string) => doorFaults(planted(path, text), declared);
    expect(faults('src/stream/a.ts', `import { Kafka } from 'kafkajs';`)).toHaveLength(1);
    expect(faults('src/stream/a.ts', `import cors from '@fastify/cors';`)).toHaveLength(1);
    expect(faults('src/stream/a.ts', `import { map } from 'rxjs/operators';`)).toEqual([]);
    expect(faults('src/stream/a.ts', `import x from 'left-pad';`)).toHaveLength(1);
    expect(faults('src/stream/a.ts', `import fc from 'fast-check';`)).toHaveLength(1);
    expect(faults('src/stream/a.test.ts', `import fc from 'fast-check';`)).toEqual([]);
  });

  it('finds looks at the clock and at chance, but not in comments, strings and tests', () => {
    const faults = (text: string, path = 'src/stream/a.ts') =>
      clockFaults(planted(path, text), clockAllowed).length;
    for (const read of [
      'Date.now()',
      'new Date( )',
      'Math.random()',
      'setTimeout(f, 1)',
      'globalThis.setInterval(f, 1)',
      'performance.now()',
      `import { setTimeout as sleep } from 'node:timers/promises'`,
      'x = `$' + '{Date.now()}`',
    ]) {
      expect(faults(read), read).toBeGreaterThan(0);
    }
    expect(faults(`new Date(5); /* Date.now() */ x = 'Math.random()'; // setTimeout`)).toBe(0);
    expect(faults('Date.now()', 'src/stream/a.test.ts')).toBe(0);
    expect(faults('Date.now()', 'src/runtime/clock.ts')).toBe(0);
  });

  it('finds a ring of imports once, and lets types refer to one another', () => {
    const ring = [
      { path: 'src/a/c.ts', text: `import { a } from './a.ts';` },
      { path: 'src/a/a.ts', text: `import { b } from './b.ts';` },
      { path: 'src/a/b.ts', text: `export * from './c.ts';` },
    ];
    expect(importCycles(ring)).toEqual(['src/a/a.ts → src/a/b.ts → src/a/c.ts → src/a/a.ts']);
    const broken = ring.map((file) => ({
      ...file,
      text: file.text.replace('import {', 'import type {'),
    }));
    expect(importCycles(broken)).toEqual([]);
  });
});

describe('this tree', () => {
  it('imports rooms in their order and through their doors', () => {
    expect(roomOrderFaults(everything)).toEqual([]);
  });

  it('lets every library in by its one door', () => {
    expect(doorFaults(everything, declared)).toEqual([]);
  });

  it('ships no dependency without a door, and no door without a dependency', () => {
    expect(dependencies.filter((name) => doorsOf(name) === undefined)).toEqual([]);
    const unused = Object.keys(doors).filter(
      (key) => !dependencies.some((name) => name.startsWith(key)),
    );
    expect(unused).toEqual([]);
  });

  it('uses every dependency that it ships', () => {
    const used = new Set(
      edgesOf(product).flatMap(({ to, specifier }) =>
        to === undefined ? [packageOf(specifier)] : [],
      ),
    );
    // `node` is run by bin/launch.js, not imported.
    expect(dependencies.filter((name) => name !== 'node' && !used.has(name))).toEqual([]);
  });

  it('looks at the clock in src/runtime only, but for what is listed here with a reason', () => {
    expect(clockFaults(product, clockAllowed)).toEqual([]);
  });

  it('has no ring of imports', () => {
    expect(importCycles(everything)).toEqual([]);
  });
});
