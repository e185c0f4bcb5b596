/**
 * As much of Helm as deploy/helm needs: Go's template language without pipelines into fields, and a dozen functions.
 * Stricter than Helm: printing what is not there is a fault, and so is an unknown function.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';

type Value = unknown;
type Values = { readonly [key: string]: Value };

type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly source: string }
  | { readonly kind: 'if' | 'with' | 'range'; readonly arms: readonly Arm[] };
/** The last one's condition is empty when it is an `else`. */
interface Arm {
  readonly condition: string;
  readonly body: readonly Node[];
}

class Scope {
  readonly #names = new Map<string, Value>();
  readonly #outer: Scope | undefined;
  constructor(outer?: Scope) {
    this.#outer = outer;
  }
  declare(name: string, value: Value): void {
    this.#names.set(name, value);
  }
  assign(name: string, value: Value): void {
    if (this.#names.has(name)) this.#names.set(name, value);
    else if (this.#outer === undefined) throw new Error(`${name} is not declared`);
    else this.#outer.assign(name, value);
  }
  get(name: string): Value {
    if (this.#names.has(name)) return this.#names.get(name);
    if (this.#outer === undefined) throw new Error(`${name} is not declared`);
    return this.#outer.get(name);
  }
}

/** The objects of every template, for these values over the chart's own; `null` takes a key out. */
export function renderChart(folder: string, given: Values = {}): readonly Values[] {
  const chart = parse(readFileSync(join(folder, 'Chart.yaml'), 'utf8'));
  const values = merge(parse(readFileSync(join(folder, 'values.yaml'), 'utf8')), given);
  const root = {
    Values: values,
    Chart: { AppVersion: chart.appVersion },
    Release: { Name: 'tidemark', Service: 'Helm' },
  };
  const names = readdirSync(join(folder, 'templates')).sort();
  const templates = new Templates();
  const bodies = names.map((name) =>
    templates.read(readFileSync(join(folder, 'templates', name), 'utf8')),
  );
  return bodies
    .map((body) => templates.run(body, root))
    .flatMap((text) => text.split(/^---$/m))
    .map((text) => parse(text) as Values | null)
    .filter((object) => object !== null);
}

function merge(base: Value, over: Value): Value {
  if (!isMap(base) || !isMap(over)) return over;
  const merged: Record<string, Value> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}

const isMap = (value: Value): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return isMap(value) ? Object.keys(value).length > 0 : Boolean(value);
}

class Templates {
  readonly #defined = new Map<string, readonly Node[]>();

  /** Takes definitions out and gives the rest. */
  read(text: string): readonly Node[] {
    const pieces = text.split(/(\{\{-?\s*[\s\S]*?\s*-?\}\})/);
    for (const [i, piece] of pieces.entries()) {
      if (i % 2 === 0) continue;
      if (piece.startsWith('{{-')) pieces[i - 1] = (pieces[i - 1] as string).trimEnd();
      if (piece.endsWith('-}}')) pieces[i + 1] = (pieces[i + 1] as string).trimStart();
    }
    let at = 0;
    const block = (): { body: readonly Node[]; end: string } => {
      const body: Node[] = [];
      for (; at < pieces.length; at++) {
        const piece = pieces[at] as string;
        if (at % 2 === 0) {
          body.push({ kind: 'text', text: piece });
          continue;
        }
        const source = piece.replace(/^\{\{-?\s*|\s*-?\}\}$/g, '');
        const [, word, rest = ''] = /^(\w*)\s*([\s\S]*)$/.exec(source) ?? [];
        if (source.startsWith('/*')) continue;
        if (word === 'end' || word === 'else') return { body, end: source };
        if (word === 'define') {
          at++;
          this.#defined.set(rest.replaceAll('"', ''), block().body);
        } else if (word === 'if' || word === 'with' || word === 'range') {
          const arms: Arm[] = [];
          for (let condition = rest; ; ) {
            at++;
            const { body, end } = block();
            arms.push({ condition, body });
            if (end === 'end') break;
            condition = end.replace(/^else\s*(?:if\s+)?/, '');
          }
          body.push({ kind: word, arms });
        } else {
          body.push({ kind: 'print', source });
        }
      }
      return { body, end: '' };
    };
    return block().body;
  }

  run(body: readonly Node[], root: Value): string {
    const scope = new Scope();
    scope.declare('$', root);
    return this.#print(body, root, scope);
  }

  #print(body: readonly Node[], dot: Value, scope: Scope): string {
    return body.map((node) => this.#printNode(node, dot, scope)).join('');
  }

  #printNode(node: Node, dot: Value, scope: Scope): string {
    if (node.kind === 'text') return node.text;
    if (node.kind === 'print') {
      const [, name, sign, source] = /^(\$\w+)\s*(:?=)\s*([\s\S]+)$/.exec(node.source) ?? [];
      if (name === undefined || source === undefined) {
        const value = this.#evaluate(node.source, dot, scope);
        if (value === undefined || value === null) throw new Error(`${node.source}: no value`);
        return String(value);
      }
      const value = this.#evaluate(source, dot, scope);
      if (sign === ':=') scope.declare(name, value);
      else scope.assign(name, value);
      return '';
    }
    for (const { condition, body } of node.arms) {
      const inner = new Scope(scope);
      if (condition === '') return this.#print(body, dot, inner);
      const [, names, source = condition] = /^(\$[^:]+):=\s*([\s\S]+)$/.exec(condition) ?? [];
      const value = this.#evaluate(source, dot, scope);
      if (!isTrue(value)) continue;
      if (node.kind === 'if') return this.#print(body, dot, inner);
      if (node.kind === 'with') return this.#print(body, value, inner);
      const [key, each] = names?.split(',').map((name) => name.trim()) ?? [];
      return Object.entries(value as Values)
        .sort(([a], [b]) => (Array.isArray(value) ? 0 : a < b ? -1 : 1))
        .map(([k, item]) => {
          const turn = new Scope(scope);
          if (key !== undefined) turn.declare(key, k);
          if (each !== undefined) turn.declare(each, item);
          return this.#print(body, item, turn);
        })
        .join('');
    }
    return '';
  }

  /** A pipeline: what is left of a bar becomes the last argument of what is right of it. */
  #evaluate(source: string, dot: Value, scope: Scope): Value {
    const tokens = source.match(/"(?:[^"\\]|\\.)*"|[()|]|[^\s()|"]+/g) ?? [];
    let at = 0;
    const pipeline = (): Value => {
      let value = command([]);
      while (tokens[at] === '|') {
        at++;
        value = command([value]);
      }
      return value;
    };
    const operand = (token: string): Value => {
      if (token === '(') {
        const value = pipeline();
        at++;
        return value;
      }
      if (token.startsWith('"') || /^\d+$/.test(token)) return JSON.parse(token);
      const [head = '', ...path] = token.split('.');
      const start = head === '' ? dot : scope.get(head);
      return path
        .filter((key) => key !== '')
        .reduce((value: Value, key) => (value as Values | undefined)?.[key], start);
    };
    const command = (piped: readonly Value[]): Value => {
      const first = tokens[at++] as string;
      const name = /^[a-zA-Z]+$/.test(first) ? first : undefined;
      const found = name === undefined ? [operand(first)] : [];
      while (at < tokens.length && tokens[at] !== '|' && tokens[at] !== ')') {
        found.push(operand(tokens[at++] as string));
      }
      if (name === undefined) return found[0];
      return this.#call(name, [...found, ...piped]);
    };
    return pipeline();
  }

  #call(name: string, given: readonly Value[]): Value {
    const [a, b] = given;
    switch (name) {
      case 'and':
        return given.find((each) => !isTrue(each)) ?? given.at(-1);
      case 'or':
        return given.find(isTrue) ?? given.at(-1);
      case 'not':
        return !isTrue(a);
      case 'has':
        return (b as readonly Value[]).includes(a);
      case 'default':
        return isTrue(b) ? b : a;
      case 'required':
        if (!isTrue(b)) throw new Error(String(a));
        return b;
      case 'fail':
        throw new Error(String(a));
      case 'quote':
        return JSON.stringify(String(a));
      case 'join':
        return (b as readonly string[]).join(a as string);
      case 'printf':
        return given.slice(1).reduce<string>((text, each) => text.replace('%s', `${each}`), `${a}`);
      case 'nindent':
        return `\n${b}`.replaceAll('\n', `\n${' '.repeat(Number(a))}`);
      case 'dict':
        return Object.fromEntries(
          given.flatMap((key, i) => (i % 2 === 0 ? [[key, given[i + 1]]] : [])),
        );
      case 'toYaml':
        return stringify(a, { lineWidth: 0 }).trimEnd();
      case 'fromYaml':
        return parse(a as string);
      case 'include': {
        const body = this.#defined.get(a as string);
        if (body === undefined) throw new Error(`template ${a} is not defined`);
        return this.run(body, b);
      }
      default:
        throw new Error(`no function ${name} here`);
    }
  }
}
