/** What comes of sources in their order, with the first page of several asked for at once: waiting for each costs
 * a round trip. A source is taken when it is begun. */
export async function* readAhead<T>(
  sources: Iterable<AsyncIterable<T>>,
  atOnce: number,
): AsyncGenerator<T> {
  const begun: { readonly pages: AsyncIterator<T>; readonly first: Promise<IteratorResult<T>> }[] =
    [];
  const left = sources[Symbol.iterator]();
  const begin = () => {
    while (begun.length < atOnce) {
      const source = left.next();
      if (source.done === true) return;
      const pages = source.value[Symbol.asyncIterator]();
      const first = pages.next();
      // Whoever fails is heard in its turn.
      first.catch(() => {});
      begun.push({ pages, first });
    }
  };
  try {
    for (begin(); begun.length > 0; begin()) {
      const { pages, first } = begun[0] as (typeof begun)[number];
      for (let step = await first; step.done !== true; step = await pages.next()) yield step.value;
      begun.shift();
    }
  } finally {
    await Promise.all(begun.map(({ pages }) => pages.return?.()));
  }
}
