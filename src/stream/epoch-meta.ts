/** Where epochs live, and what one keeps beside state and offsets. */

/** JSON: the epoch's number, the topology's hash, the watermarks. */
export interface EpochMeta {
  readonly epoch: number;
  readonly hash: string;
  /** Per input topic, ms; null = none yet, for JSON has no -Infinity. */
  readonly watermarks: Readonly<Record<string, number | null>>;
}

export function encodeEpochMeta(
  epoch: number,
  hash: string,
  watermarks: Readonly<Record<string, number>>,
): Buffer {
  const finite = Object.entries(watermarks).map(
    ([topic, w]) => [topic, Number.isFinite(w) ? w : null] as const,
  );
  const meta: EpochMeta = { epoch, hash, watermarks: Object.fromEntries(finite) };
  return Buffer.from(JSON.stringify(meta));
}

/** Undefined before the first epoch. */
export const decodeEpochMeta = (bytes: Buffer | undefined): EpochMeta | undefined =>
  bytes === undefined ? undefined : (JSON.parse(bytes.toString()) as EpochMeta);

/** Where a group's tasks keep state. Internal topics begin with `tidemark.`, whatever the group is called (contract). */
export const changelogOf = (group: string): string =>
  `${group.startsWith('tidemark.') ? group : `tidemark.${group}`}.changelog`;
