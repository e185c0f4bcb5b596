/** Records per second, told from positions that only grow: the mean over about the last two seconds. */
const OVER_MS = 2_000;

/** Where each partition stands. */
type Places = readonly (readonly [partition: string, offset: number])[];

interface Reading {
  readonly atMs: number;
  readonly total: number;
}

export class RateMeter {
  readonly #before = new Map<string, ReadonlyMap<string, number>>();
  readonly #readings = new Map<string, Reading[]>();

  /**
   * Takes a reading of `name` and tells its rate. A partition that came or went, or began anew, counts nothing
   * for the step in which it did.
   */
  rate(name: string, nowMs: number, places: Places): number {
    const before = this.#before.get(name);
    const readings = this.#readings.get(name) ?? [];
    let grown = 0;
    for (const [partition, offset] of places) {
      const was = before?.get(partition);
      if (was !== undefined && offset > was) grown += offset - was;
    }
    this.#before.set(name, new Map(places));
    readings.push({ atMs: nowMs, total: (readings.at(-1)?.total ?? 0) + grown });
    while (readings.length > 2 && nowMs - (readings[1] as Reading).atMs >= OVER_MS)
      readings.shift();
    this.#readings.set(name, readings);
    const first = readings[0] as Reading;
    const last = readings.at(-1) as Reading;
    const spanMs = last.atMs - first.atMs;
    return spanMs <= 0 ? 0 : ((last.total - first.total) * 1_000) / spanMs;
  }
}
