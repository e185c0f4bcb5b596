/** Every setting: name in the file, environment variable, default, limits, and what it does. */
import { type Setting, settingsOf, settingsSchema } from '../../src/runtime/index.ts';
import { code, table } from './markdown.ts';

export function settingsPage(): string {
  const settings = settingsOf(settingsSchema);
  const rows = settings.map((setting) => [
    code(setting.path),
    code(setting.environment ?? ''),
    defaultOf(setting),
    limitsOf(setting),
    setting.description,
  ]);
  return `# Settings

A setting comes from, the later the stronger: its default, the configuration file (\`tidemark.config.json\`, or
\`--config FILE\`), the environment, a flag. In the file, dots are nesting: \`{"epochs": {"intervalMs": 500}}\`. A secret
can also be read from the file that the variable with \`_FILE\` behind its name points to. Unknown names are refused,
with the nearest known one. \`tidemark config print\` shows every value and its origin, secrets hidden;
\`tidemark config check\` says whether they are right.

${table(['setting', 'environment', 'default', 'takes', 'what it does'], rows)}
`;
}

function defaultOf({ default: value, secret }: Setting): string {
  if (secret || value === undefined) return 'none';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : code(value.join(','));
  return code(String(value));
}

function limitsOf({ type, words, minimum, maximum, unit, secret }: Setting): string {
  if (words !== undefined) return words.map(code).join(', ');
  if (secret) return type === 'array' ? 'secrets, comma separated' : 'a secret';
  if (type === 'integer') {
    const range = maximum === undefined ? `from ${minimum ?? 0}` : `${minimum ?? 0} to ${maximum}`;
    return unit === undefined ? range : `${range} ${unit}`;
  }
  if (type === 'boolean') return '`true`, `false`';
  return type === 'array' ? 'texts, comma separated' : 'text';
}
