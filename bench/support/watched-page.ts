/**
 * A page of the dashboard that tells when it shows something: the time of the frame after the text was there, on the
 * wall's clock. Told by what changes in the page, so that waiting costs nothing.
 */
import type { Browser, Page } from 'playwright-core';

/** A selector, and what the text of the first that fits must be like. */
export type Shown = readonly [selector: string, pattern: string];

interface Report {
  /** Wall's clock, ms. */
  readonly atMs: number;
  /** Since the navigation began, ms. */
  readonly sinceNavigationMs: number;
}

/** Runs in the page, before anything of it. */
const WATCH = `(() => {
  let wanted = [], token = -1, told = -1, lastKeyMs = 0;
  addEventListener('keydown', (event) => { lastKeyMs = performance.timeOrigin + event.timeStamp; }, true);
  const isShown = ([selector, pattern]) => {
    const element = document.querySelector(selector);
    return element !== null && new RegExp(pattern).test(element.textContent);
  };
  const look = () => {
    if (told === token || !wanted.every(isShown)) return;
    told = token;
    const mine = token;
    requestAnimationFrame(() => tellShown(mine, {
      atMs: performance.timeOrigin + performance.now(), sinceNavigationMs: performance.now(), lastKeyMs,
    }));
  };
  globalThis.watchFor = (next, shown) => { token = next; wanted = shown; look(); };
  const first = FIRST;
  if (first !== null) watchFor(0, first);
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
})()`;

const GIVE_UP_MS = 20_000;

export class WatchedDashboard {
  readonly page: Page;
  readonly #waiting = new Map<number, (report: Report & { lastKeyMs: number }) => void>();
  #token = 0;

  private constructor(page: Page) {
    this.page = page;
  }

  /**
   * A page as somebody has it who was never here: nothing cached. Resolves once it shows all of `shown`, with the
   * time since the navigation began.
   */
  static async open(
    browser: Browser,
    url: string,
    shown: readonly Shown[],
  ): Promise<{ dashboard: WatchedDashboard; report: Report }> {
    const context = await browser.newContext({ viewport: { width: 1_280, height: 900 } });
    const page = await context.newPage();
    const dashboard = new WatchedDashboard(page);
    await page.exposeFunction(
      'tellShown',
      (token: number, report: Report & { lastKeyMs: number }) =>
        dashboard.#waiting.get(token)?.(report),
    );
    await page.addInitScript({ content: WATCH.replace('FIRST', JSON.stringify(shown)) });
    const first = dashboard.#told(0, shown);
    await page.goto(url, { waitUntil: 'commit' });
    return { dashboard, report: await first };
  }

  /** When all of it is shown; at once, if it is already. */
  async shows(shown: readonly Shown[]): Promise<Report> {
    const token = ++this.#token;
    const told = this.#told(token, shown);
    await this.page.evaluate(`watchFor(${token}, ${JSON.stringify(shown)})`);
    return told;
  }

  /** ms from the key's event until all of it is shown. */
  async answersKey(key: string, shown: readonly Shown[]): Promise<number> {
    const told = this.shows(shown) as Promise<Report & { lastKeyMs: number }>;
    await this.page.keyboard.press(key);
    const { atMs, lastKeyMs } = await told;
    return atMs - lastKeyMs;
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }

  #told(token: number, shown: readonly Shown[]): Promise<Report & { lastKeyMs: number }> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not shown within ${GIVE_UP_MS} ms: ${JSON.stringify(shown)}`)),
        GIVE_UP_MS,
      );
      this.#waiting.set(token, (report) => {
        clearTimeout(timer);
        this.#waiting.delete(token);
        resolve(report);
      });
    });
  }
}
