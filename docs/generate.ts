/**
 * Writes docs/reference from what it describes: the settings' schema, the commands, the OpenAPI document and the
 * errors. `npm run docs`; test/house/docs.test.ts fails when a page is behind.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commandsPage } from './support/commands-page.ts';
import { errorsPage } from './support/errors-page.ts';
import { httpPage } from './support/http-page.ts';
import { settingsPage } from './support/settings-page.ts';

export const referenceFolder: string = join(import.meta.dirname, 'reference');

const index = `# Reference

Written by \`npm run docs\` from the program itself; \`test/house/docs.test.ts\` fails when a page is behind.

- [Commands](commands.md)
- [Settings](settings.md)
- [HTTP](http.md)
- [Errors](errors.md)
`;

/** Every page by file name. */
export async function referencePages(): Promise<ReadonlyMap<string, string>> {
  const pages = [
    ['README.md', index],
    ['commands.md', await commandsPage()],
    ['settings.md', settingsPage()],
    ['http.md', await httpPage()],
    ['errors.md', errorsPage()],
  ] as const;
  return new Map(pages.map(([name, text]) => [name, formatted(name, text)]));
}

/** As `npm run check` wants every document. */
function formatted(name: string, text: string): string {
  const biome = join(import.meta.dirname, '../node_modules/.bin/biome');
  const path = join('docs/reference', name);
  return execFileSync(biome, ['format', `--stdin-file-path=${path}`], {
    cwd: join(import.meta.dirname, '..'),
    input: text,
    encoding: 'utf8',
  });
}

if (import.meta.main) {
  await mkdir(referenceFolder, { recursive: true });
  for (const [name, text] of await referencePages()) {
    await writeFile(join(referenceFolder, name), text);
  }
}
