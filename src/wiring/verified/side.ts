/** What each kind of store brings to `verify`, and how its points read in reports. */
import type { VerifiedFeed, VerifiedSink } from '../../jobs/index.ts';
import type { FieldValue } from '../../model/index.ts';

// biome-ignore lint/suspicious/noExplicitAny: each store knows its own points.
export interface Side<P = any> extends Pick<VerifiedSink<P>, 'points' | 'stored' | 'retention'> {
  /** What its feeds have beside a topology and a group. */
  readonly ofFeed?: Pick<VerifiedFeed, 'anyTime' | 'unpack'>;
  /** Where repairs go. Default: the feed's own port. */
  readonly port?: VerifiedSink<P>['port'];
}

export const quote = (text: string): string =>
  /[,= "\n]/.test(text) ? JSON.stringify(text) : text;
export const tagsText = (tags: Readonly<Record<string, string>>, named = (name: string) => name) =>
  Object.keys(tags)
    .map((key) => `,${quote(named(key))}=${quote(named(tags[key] as string))}`)
    .sort()
    .join('');

export function valueText(value: FieldValue): string {
  if (typeof value === 'bigint') return `${value}i`;
  if (typeof value === 'string') return JSON.stringify(value);
  return Object.is(value, -0) ? '-0' : `${value}`;
}
