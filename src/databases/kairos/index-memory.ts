/** What is known of one index row, until it is too old or all of it is forgotten. */
export class IndexMemory {
  /** Infinity = for ever. */
  untilMs = 0;
  checkedAtMs = 0;
  /** Of the memory that this belongs to; another one's says nothing. */
  era: object | undefined = undefined;
}

/** A row of time of a metric: an entry of `row_key_time_index`. */
export interface IndexedTime {
  readonly metric: string;
  readonly rowTimeMs: number;
  readonly memory: IndexMemory;
}
