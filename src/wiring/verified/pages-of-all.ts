/** Pages of many readings, so many readings at once: one after another would wait for each answer in turn. */

/** Holds one page of each reading under way. Ends all of them when its reader stops. */
export async function* pagesOfAll<T>(
  readings: Iterable<() => AsyncIterable<T>>,
  atOnce: number,
): AsyncGenerator<T> {
  const waiting = readings[Symbol.iterator]();
  const open = new Map<AsyncIterator<T>, Promise<Answer<T>>>();
  const ask = (iterator: AsyncIterator<T>) => {
    const asked = iterator.next().then((result): Answer<T> => ({ iterator, result }));
    // Told to whoever reads; until then nobody listens.
    asked.catch(() => {});
    // To the end of the line: of several that have answered the one that waits longest is heard.
    open.delete(iterator);
    open.set(iterator, asked);
  };
  const begin = () => {
    const next = waiting.next();
    if (!next.done) ask(next.value()[Symbol.asyncIterator]());
  };
  for (let i = 0; i < atOnce; i++) begin();
  try {
    while (open.size > 0) {
      const { iterator, result } = await Promise.race(open.values());
      if (result.done) {
        open.delete(iterator);
        begin();
        continue;
      }
      ask(iterator);
      yield result.value;
    }
  } finally {
    await Promise.allSettled([...open.keys()].map((iterator) => iterator.return?.()));
  }
}

interface Answer<T> {
  readonly iterator: AsyncIterator<T>;
  readonly result: IteratorResult<T>;
}
