/**
 * The dashboard in a real Chromium: what it shows is what the API answers, it moves as records come in, and
 * people with a keyboard, a phone or a screen reader get the same.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Distribution, LiveEntry } from '../../src/api/index.ts';
import { createServer } from '../../src/api/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { Secret, systemClock } from '../../src/runtime/index.ts';
import { chromiumPath, launchChromium, openPage, type WatchedPage } from '../support/browser.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { EngineProcess, getJson } from '../support/engine-process.ts';
import { type FakeEngine, fakeEngine } from '../support/fake-engine.ts';
import { shownAnnotations, shownFleet } from '../support/shown-fleet.ts';

const executable = chromiumPath();
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const RUN_AXE =
  'axe.run(document).then(({ violations }) => violations.map(({ id, impact, nodes }) => ({ id, impact, at: nodes.map(({ html, failureSummary }) => html + failureSummary) })))';
/** Class and kind of what has the focus. */
const FOCUS = '[document.activeElement.className, document.activeElement.type].join()';
const VIEWS = ['overview', 'votes', 'fleet', 'alerts', 'topology'] as const;

let browser: Browser;
let opened: WatchedPage[] = [];

beforeAll(async () => {
  if (executable !== undefined) browser = await launchChromium(executable);
});
afterAll(() => browser?.close());
afterEach(async () => {
  const faults = opened.flatMap((each) => each.faults);
  await Promise.all(opened.map(({ page }) => page.context().close()));
  opened = [];
  expect(faults).toEqual([]);
});

async function open(url: string, options?: Parameters<typeof openPage>[1]): Promise<Page> {
  const watched = await openPage(browser, options);
  opened.push(watched);
  await watched.page.goto(url);
  return watched.page;
}

/** An engine of which everything is known, behind the real service. */
async function serveFake(
  more: Partial<FakeEngine> = {},
  tokens: readonly string[] = [],
): Promise<string> {
  const engine = await fakeEngine();
  const parts = { fleet: shownFleet(systemClock.now()), annotations: shownAnnotations(), ...more };
  const server = await createServer(Object.assign(engine, parts), {
    tokens: tokens.map((token) => new Secret(token)),
  });
  onTestFinished(() => server.close());
  return server.listen({ host: '127.0.0.1', port: 0 });
}

/** What is to be seen there, so without what the page holds but does not show. */
// biome-ignore lint/performance/useDomNodeTextContent: that has what is hidden as well
const shown = (place: Locator) => place.innerText();
const textOf = (page: Page, selector: string) => shown(page.locator(selector));

/** The page's policy forbids to evaluate texts in it, so that polling looks at elements. */
const arrived = (page: Page, view: string) =>
  page.locator(`body[data-view="${view}"]`).waitFor({ state: 'attached' });

/** Polls until `check` does not throw any more. */
const eventually = (check: () => Promise<void>) =>
  expect.poll(async () => check().then(() => 'ok', String), { timeout: 60_000 }).toBe('ok');

describe.skipIf(executable === undefined)('the dashboard', () => {
  describe('of an engine that runs', () => {
    let engine: EngineProcess;
    let url: string;
    let data: string | undefined;
    let published = 0;
    // All within one window, which stands open: then counts are what was published.
    const windowMs = 300_000;
    const votes = [
      ...simulateVotes({
        seed: 7,
        network: 'mainnet',
        validators: 30,
        startMs: Math.floor(systemClock.now() / windowMs) * windowMs,
        ratePerSecond: 30,
        count: 4_000,
        duplicateShare: 0,
        outOfOrderShare: 0,
        lateShare: 0,
      }),
    ];

    const publish = async (count: number) => {
      const lines = votes.slice(published, published + count).map(({ value }) => `${value}\n`);
      published += count;
      const response = await fetch(`${url}/v1/topics/votes/records`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: lines.join(''),
      });
      expect(response.status).toBe(200);
    };

    beforeAll(async () => {
      const environment = { TIDEMARK_EPOCH_INTERVAL_MS: '200' };
      data = await mkdtemp(join(tmpdir(), 'tidemark-dashboard-'));
      engine = new EngineProcess({ data, environment });
      url = await engine.url();
      await publish(2_000);
    });
    afterAll(async () => {
      await engine?.kill();
      if (data !== undefined) await rm(data, { recursive: true, force: true });
    });

    const network = () => getJson<LiveEntry>(`${url}/v1/live/networks/mainnet`);

    test('Overview shows each topology, topic and sink with the figures of the API', async () => {
      const page = await open(`${url}/#/overview`);
      const { topologies } = await getJson<{ topologies: { name: string }[] }>(
        `${url}/v1/topologies`,
      );
      const { sinks } = await getJson<{ sinks: { sink: string }[] }>(`${url}/v1/backlog`);
      expect(topologies.length).toBeGreaterThan(2);
      await eventually(async () => {
        for (const { name } of topologies)
          expect(await textOf(page, `[data-topology="${name}"]`)).toContain('running');
        for (const { sink } of sinks)
          expect(await textOf(page, `[data-sink="${sink}"]`)).toContain('well');
        const row = await textOf(page, '[data-topic="votes"]');
        expect(row.split('\t').at(-1)).toBe(published.toLocaleString('en-US'));
      });
    });

    test('Votes shows the network as the live API has it, and moves when votes come in', async () => {
      const page = await open(`${url}/#/votes?network=mainnet`);
      const shown = async () => {
        const { open: window } = await network();
        expect(window?.count).toBe(published);
        const votesShown = await textOf(page, '[data-tile="votes"] .tile-number');
        expect(votesShown).toBe(window!.count.toLocaleString('en-US'));
        for (const p of ['p50', 'p95', 'p99'] as const)
          expect(Number(await textOf(page, `[data-tile="${p}"] .tile-number`))).toBeCloseTo(
            window![p],
            1,
          );
      };
      await eventually(shown);
      await publish(500);
      await eventually(shown);
    });

    test('the distribution’s bars are the API’s bins', async () => {
      const page = await open(`${url}/#/votes?network=mainnet`);
      await eventually(async () => {
        const { count, bins } = await getJson<Distribution>(
          `${url}/v1/distribution?group=network:mainnet&live=true`,
        );
        expect(count).toBe(published);
        expect(bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(count);
        const first = bins.find((bin) => bin.count > 0)!;
        const bar = page.locator(`.bars li[title="${first.from} slots: ${first.count}"]`);
        expect(await bar.count()).toBe(1);
      });
    });

    test('a validator of the list opens by its link, with its own figures, and the address can be shared', async () => {
      const page = await open(`${url}/#/votes?network=mainnet`);
      await page.locator('[data-validator] a').first().click();
      await page.locator('#validator').waitFor();
      const id = new URLSearchParams(page.url().split('?')[1]).get('validator')!;
      const other = await open(page.url());
      await eventually(async () => {
        const { open: window } = await getJson<LiveEntry>(`${url}/v1/live/validators/${id}`);
        expect(await textOf(other, '#validator .facts')).toContain(String(window?.count));
        expect(await textOf(other, '#validator p.mono')).toContain(id);
      });
    });

    test('Topology draws the topics and topologies, and a topology’s steps', async () => {
      const page = await open(`${url}/#/topology`);
      await eventually(async () => {
        expect(await page.locator('[data-node="votes"]').textContent()).toContain(`kept`);
        expect(await page.locator('.graph .node').count()).toBeGreaterThan(6);
      });
      await page.locator('.graph a', { hasText: 'vote-latency' }).click();
      await page.locator('[data-node="dedup"]').waitFor();
      const { graph } = await getJson<{ graph: { nodes: unknown[]; edges: unknown[] } }>(
        `${url}/v1/topologies/vote-latency`,
      );
      expect(await page.locator('.graph .node').count()).toBe(graph.nodes.length);
      expect(await page.locator('.graph .edge').count()).toBe(graph.edges.length);
    });

    test('an alert that fires is acknowledged and silenced from its page, and the engine keeps it', async () => {
      const now = systemClock.now();
      const place = { host: 'hot-1', region: 'eu', environment: 'test', metricType: 'cpu' };
      const readings = Array.from({ length: 120 }, (_, i) => ({
        ...place,
        timestamp: now - (120 - i) * 10_000,
        fields: { usage_percent: 97 },
      }));
      const response = await fetch(`${url}/v1/topics/system.metrics/records`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: readings.map((reading) => `${JSON.stringify(reading)}\n`).join(''),
      });
      expect(response.status).toBe(200);
      const page = await open(`${url}/#/alerts`);
      const item = page.locator('.alert', { hasText: 'cpu: hot-1' });
      await item.getByRole('button', { name: /Acknowledge/ }).click();
      await page.locator('dialog input').first().fill('ada');
      await page.getByRole('button', { name: 'Acknowledge', exact: true }).last().click();
      await item.getByText('Acknowledged by ada').waitFor();
      await item.getByRole('button', { name: /Silence/ }).click();
      await page.getByRole('button', { name: 'Silence', exact: true }).last().click();
      await item.getByText('Silenced').waitFor();
      const { firing } = await getJson<{
        firing: {
          subject: string;
          acknowledged: { by: string } | null;
          silencedBy: string | null;
        }[];
      }>(`${url}/v1/alerts`);
      const { silences } = await getJson<{ silences: { id: string; matchers: object }[] }>(
        `${url}/v1/alerts/silences`,
      );
      expect(silences.map(({ matchers }) => matchers)).toEqual([{ rule: 'cpu', subject: 'hot-1' }]);
      const mine = firing.filter(({ subject }) => subject === 'hot-1');
      expect(mine).toMatchObject([{ acknowledged: { by: 'ada' } }]);
      await page.locator('[data-silence]').getByRole('button', { name: 'End' }).click();
      await page.getByText('None in force.').waitFor();
    });

    test('a feed that is cut says so, and comes back by itself', async () => {
      const data = await temporaryDirectory();
      const first = EngineProcess.forThisTest({ data });
      const at = await first.url();
      const watched = await openPage(browser);
      await watched.page.goto(`${at}/`);
      await eventually(async () => expect(await textOf(watched.page, '#pulse')).toBe('live'));
      await first.kill();
      await eventually(async () =>
        expect(await textOf(watched.page, '#pulse')).toBe('reconnecting'),
      );
      expect(await textOf(watched.page, '.notice')).toContain('does not answer');
      await watched.page.context().close();
    });
  });

  test('Fleet shows hosts, their readings, the forecast and what is unusual', async () => {
    const page = await open(`${await serveFake()}/#/fleet`);
    await eventually(async () => {
      expect(await textOf(page, '[data-host="beta"]')).toMatch(/beta\s*up[\s\S]*93 %/);
      expect(await textOf(page, '[data-host="gamma"]')).toContain('down');
      expect(await page.locator('.hosts .host').first().getAttribute('data-host')).toBe('gamma');
      expect(await shown(page.locator('#host, .panels').last())).toContain('0.91');
    });
    await page.locator('[data-host="alpha"]').click();
    await eventually(async () => {
      expect(await textOf(page, '#forecast')).toContain('6 May 2031');
      expect(await textOf(page, '#host')).toContain('12.5 %');
    });
  });

  test('Alerts shows what fires; it is acknowledged and silenced from there', async () => {
    const url = await serveFake();
    const page = await open(`${url}/#/alerts`);
    const { firing } = await getJson<{ firing: { id: string; summary: string }[] }>(
      `${url}/v1/alerts`,
    );
    expect(firing.length).toBeGreaterThan(0);
    const item = `[data-alert="${firing[0]!.id}"]`;
    await eventually(async () => expect(await textOf(page, item)).toContain(firing[0]!.summary));
    await page
      .locator(item)
      .getByRole('button', { name: /Acknowledge/ })
      .click();
    await page.locator('dialog input').first().fill('ada');
    await page.getByRole('button', { name: 'Acknowledge', exact: true }).last().click();
    await page.getByRole('button', { name: 'New silence' }).click();
    await page.locator('dialog input').first().fill('cpu');
    await page.getByRole('button', { name: 'Silence', exact: true }).last().click();
    await eventually(async () => {
      const { silences } = await getJson<{ silences: { matchers: object }[] }>(
        `${url}/v1/alerts/silences`,
      );
      expect(silences.map(({ matchers }) => matchers)).toEqual([{ rule: 'cpu' }]);
      expect(await textOf(page, '[data-silence]')).toContain('rule cpu');
    });
  });

  test('an annotation is added by key, listed, and deleted', async () => {
    const url = await serveFake();
    const page = await open(`${url}/`);
    await eventually(async () => expect(await textOf(page, '#pulse')).toBe('live'));
    const kept = async () =>
      (await getJson<{ annotations: { text: string }[] }>(`${url}/v1/annotations`)).annotations;
    await page.keyboard.press('a');
    await page.locator('dialog input').first().fill('deployed 1.2');
    await page.keyboard.press('Enter');
    await eventually(async () => expect((await kept())[0]?.text).toBe('deployed 1.2'));
    await page.getByRole('button', { name: 'Notes' }).click();
    await page.getByRole('button', { name: 'Delete “deployed 1.2”' }).click();
    await eventually(async () => expect(await kept()).toEqual([]));
  });

  test('where tokens are asked for, the page asks once, keeps it in the tab and out of addresses', async () => {
    const url = await serveFake({}, ['open-sesame']);
    const page = await open(`${url}/`);
    await page.locator('dialog input').first().fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('That token is not known here').waitFor();
    await page.locator('dialog input').first().fill('open-sesame');
    await page.keyboard.press('Enter');
    await eventually(async () => expect(await textOf(page, '#pulse')).toBe('live'));
    expect(page.url()).not.toContain('sesame');
    expect(await page.evaluate('sessionStorage.getItem("tidemark.token")')).toBe('open-sesame');
    await page.reload();
    await eventually(async () => expect(await textOf(page, '#pulse')).toBe('live'));
    // The refused requests themselves are the browser's to report.
    const refused = opened[0]!.faults.splice(0);
    expect(refused.every((fault) => /401/.test(fault))).toBe(true);
  });

  test('an engine without votes says what to do', async () => {
    const none = () => undefined;
    const live = { validators: () => [], validator: none, network: none, stored: none };
    const page = await open(`${await serveFake({ live })}/#/votes`);
    await page.getByText('No votes yet').waitFor();
    expect(await textOf(page, '.empty')).toContain('tidemark simulate votes');
  });

  test('every view has no serious fault that axe finds, light and dark', async () => {
    const url = await serveFake();
    const faultsIn = async (colorScheme: 'light' | 'dark') => {
      const page = await open(url, { colorScheme });
      // The page's policy lets no script in; the protocol does.
      const session = await page.context().newCDPSession(page);
      await session.send('Runtime.evaluate', { expression: await readFile(axe, 'utf8') });
      for (const view of VIEWS) {
        await page.evaluate(`location.hash = '#/${view}'`);
        await arrived(page, view);
        await page.waitForTimeout(1_200);
        const violations = (await page.evaluate(RUN_AXE)) as { id: string; impact: string }[];
        const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
        expect(serious, `${view}, ${colorScheme}`).toEqual([]);
      }
    };
    await Promise.all([faultsIn('light'), faultsIn('dark')]);
  });

  test('keys lead through the views, the help, the theme and a chart', async () => {
    const page = await open(await serveFake());
    await eventually(async () => expect(await textOf(page, '#pulse')).toBe('live'));
    for (const [i, view] of VIEWS.entries()) {
      await page.keyboard.press(String(i + 1));
      await arrived(page, view);
    }
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('t');
    expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('light');
    await page.keyboard.press('2');
    await arrived(page, 'votes');
    await page.keyboard.press('r');
    await page.waitForURL(/range=1h/);
    const reached: string[] = [];
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      reached.push((await page.evaluate(FOCUS)) as string);
    }
    expect(reached.some((name) => name.startsWith('chart'))).toBe(true);
    expect(reached.some((name) => name.includes('search'))).toBe(true);
  });

  test('a phone of 360 pixels shows every view without scrolling sideways', async () => {
    const url = await serveFake();
    const page = await open(url, { width: 360, height: 740 });
    for (const view of VIEWS) {
      await page.evaluate(`location.hash = '#/${view}'`);
      await arrived(page, view);
      await page.waitForTimeout(1_000);
      expect(await page.evaluate('document.documentElement.scrollWidth'), view).toBe(360);
    }
  });
});
