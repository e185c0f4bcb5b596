/**
 * Reads TypeScript just well enough for the house rules: where its comments and strings are, and what it
 * imports. No compiler, so it stays fast and cannot silently read nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

export const projectRoot: string = join(import.meta.dirname, '../..');

export interface SourceFile {
  /** From the project's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** All files below a folder whose names end in one of the extensions; none when there is no such folder. */
export function filesBelow(
  folder: string,
  extensions: readonly string[] = ['.ts'],
): readonly SourceFile[] {
  let names: string[];
  try {
    names = readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
  return names
    .filter((name) => extensions.some((extension) => name.endsWith(extension)))
    .sort()
    .map((name) => {
      const path = join(projectRoot, folder, name);
      return {
        path: relative(projectRoot, path).split(sep).join('/'),
        text: readFileSync(path, 'utf8'),
      };
    });
}

export interface Masked {
  /** Comments blanked out, everything else where it was. */
  readonly code: string;
  /** The insides of strings and regular expressions blanked out as well; quotes stay. */
  readonly bare: string;
}

/** Characters after which a slash begins a regular expression, as a quotient can't follow. */
const beforeRegex = /(?:[=(,:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of))\s*$/;

export function mask(text: string): Masked {
  // By code units, as offsets count; a spread would split by code points.
  const code = text.split('');
  const bare = text.split('');
  const blank = (target: string[], from: number, to: number) => {
    for (let k = from; k < to; k++) if (target[k] !== '\n') target[k] = ' ';
  };
  /** Depth of braces at which each enclosing template literal goes on. */
  const templates: number[] = [];
  let braces = 0;
  let i = 0;

  const templateFrom = (start: number): number => {
    for (let k = start; k < text.length; k++) {
      if (text[k] === '\\') k++;
      else if (text[k] === '`') {
        blank(bare, start, k);
        return k + 1;
      } else if (text[k] === '$' && text[k + 1] === '{') {
        blank(bare, start, k);
        templates.push(braces++);
        return k + 2;
      }
    }
    return text.length;
  };

  while (i < text.length) {
    const at = text[i];
    const two = text.slice(i, i + 2);
    if (two === '//') {
      const end = text.indexOf('\n', i) < 0 ? text.length : text.indexOf('\n', i);
      blank(code, i, end);
      blank(bare, i, end);
      i = end;
    } else if (two === '/*') {
      const end = text.indexOf('*/', i + 2) < 0 ? text.length : text.indexOf('*/', i + 2) + 2;
      blank(code, i, end);
      blank(bare, i, end);
      i = end;
    } else if (at === "'" || at === '"') {
      let k = i + 1;
      while (k < text.length && text[k] !== at && text[k] !== '\n') k += text[k] === '\\' ? 2 : 1;
      blank(bare, i + 1, k);
      i = k + 1;
    } else if (at === '`') {
      i = templateFrom(i + 1);
    } else if (at === '{') {
      braces++;
      i++;
    } else if (at === '}') {
      braces--;
      i++;
      if (templates.at(-1) === braces) {
        templates.pop();
        i = templateFrom(i);
      }
    } else if (at === '/' && beforeRegex.test(bare.slice(Math.max(0, i - 40), i).join(''))) {
      let inClass = false;
      let k = i + 1;
      for (; k < text.length && text[k] !== '\n' && (inClass || text[k] !== '/'); k++) {
        if (text[k] === '\\') k++;
        else if (text[k] === '[') inClass = true;
        else if (text[k] === ']') inClass = false;
      }
      blank(bare, i + 1, k);
      i = k + 1;
    } else {
      i++;
    }
  }
  return { code: code.join(''), bare: bare.join('') };
}

export interface Import {
  /** As written: `../model/index.ts`, `node:fs`, `kafkajs`. */
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

/** `import … from`, `import '…'`, `export … from`, `import('…')`, `require('…')`, in order. */
export function importsOf(text: string): readonly Import[] {
  const { code, bare } = mask(text);
  const forms = [
    /(?<![.\w$])(?:import|export)\s+(type\b)?[\w\s{},*$]*?\bfrom\s*(?=['"])/g,
    /(?<![.\w$])import\s*(?=['"])/g,
    /(?<![\w$])(?:import|require(?:\.resolve)?)\s*\(\s*(?=['"])/g,
    // createRequire(import.meta.url)('…')
    /createRequire\([^()]*\)\s*\(\s*(?=['"])/g,
  ];
  const found: (Import & { readonly at: number })[] = [];
  for (const form of forms) {
    for (const match of bare.matchAll(form)) {
      const start = match.index + match[0].length;
      const specifier = code.slice(start + 1, code.indexOf(code[start]!, start + 1));
      found.push({ specifier, isTypeOnly: match[1] === 'type', at: match.index });
    }
  }
  return found
    .sort((a, b) => a.at - b.at)
    .map(({ specifier, isTypeOnly }) => ({ specifier, isTypeOnly }));
}
