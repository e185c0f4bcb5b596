/** The standard normal distribution: tail, logarithm of the tail and quantile, good to about 1e-14. */

const SQRT_TWO_PI = Math.sqrt(2 * Math.PI);
/** Below it the series converges quickly, above it the continued fraction does. */
const SERIES_MAX = 3;
const FRACTION_TERMS = 60;

/** P(Z > z), relative precision kept far into the tail. */
export function normalTail(z: number): number {
  return z < 0 ? 1 - normalTail(-z) : Math.exp(logNormalTail(z));
}

/** ln P(Z > z); finite for every finite z up to 1e150, so that scores stay ordered where the tail underflows. */
export function logNormalTail(z: number): number {
  if (z < -SERIES_MAX) return Math.log1p(-Math.exp(logNormalTail(-z)));
  if (z < SERIES_MAX) return Math.log(0.5 - density(z) * series(z));
  // Laplace: 1 / (z + 1 / (z + 2 / (z + 3 / …))).
  let fraction = z;
  for (let k = FRACTION_TERMS; k > 0; k--) fraction = z + k / fraction;
  return -0.5 * z * z - Math.log(SQRT_TWO_PI * fraction);
}

/** The z with P(Z ≤ z) = `p`, for `p` in (0, 1). Newton's steps on the tail. */
export function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p === 0.5) return 0;
  const logP = Math.log(p);
  // Starts on the far side, where the logarithm of the tail is concave and Newton cannot overshoot.
  let z = Math.sqrt(-2 * logP);
  for (let i = 0; i < 50; i++) {
    const logTail = logNormalTail(z);
    const step = (logTail - logP) / Math.exp(Math.log(density(z)) - logTail);
    z += step;
    if (Math.abs(step) < 1e-15 * (1 + z)) break;
  }
  return -z;
}

const density = (z: number): number => Math.exp(-0.5 * z * z) / SQRT_TWO_PI;

/** z + z³/3 + z⁵/15 + …: P(0 < Z < z) over the density (Marsaglia 2004). */
function series(z: number): number {
  let term = z;
  let sum = z;
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
    term *= (z * z) / k;
    sum += term;
  }
  return sum;
}
