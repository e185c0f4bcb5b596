/** Random numbers that are the same for the same seed, on every machine: for simulators and nothing else. */

/**
 * Whole numbers, uniform in [0, 2^32): sfc32 (Chris Doty-Humphrey, PractRand), seeded with the low 32 bits
 * of `seed` and mixed by twelve rounds, as its author does.
 */
export function seededRandom(seed: number): () => number {
  let a = 0;
  let b = seed | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

/** A share of all (0 to 1) as the bound below which a number of `seededRandom` falls that often. */
export const boundOf = (share: number): number => Math.round(share * 2 ** 32);
