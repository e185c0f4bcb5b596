/** Debian's Chromium through playwright-core, with pages that keep what went wrong in them. */
import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Where a Chromium is: CHROMIUM, or where Debian installs it. undefined, with one line to stderr, when there is
 * none; under REQUIRE_SERVERS=1 it throws instead.
 */
export function chromiumPath(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  const path = environment.CHROMIUM ?? '/usr/bin/chromium';
  if (existsSync(path)) return path;
  const message = `no Chromium at ${path}: apt-get install chromium, or name one in CHROMIUM`;
  if (environment.REQUIRE_SERVERS === '1') throw new Error(`REQUIRE_SERVERS=1, but ${message}`);
  process.stderr.write(`skipped: ${message}\n`);
  return undefined;
}

export const launchChromium = (executablePath: string): Promise<Browser> =>
  chromium.launch({ executablePath, args: FLAGS });

export interface WatchedPage {
  readonly page: Page;
  /** Errors and warnings of the console, uncaught exceptions, requests that left the server. */
  readonly faults: string[];
}

/** A page of its own, nothing shared with others. */
export async function openPage(
  browser: Browser,
  options: { width?: number; height?: number; colorScheme?: 'light' | 'dark' } = {},
): Promise<WatchedPage> {
  const { width = 1_280, height = 900, colorScheme = 'light' } = options;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.stack ?? error.message));
  page.on('request', (request) => {
    const { hostname } = new URL(request.url());
    if (hostname !== '127.0.0.1') faults.push(`asked ${request.url()}`);
  });
  return { page, faults };
}
