/**
 * The least value of a function over a box, without derivatives: a coarse grid, then Nelder–Mead from its best
 * points. Deterministic; for few dimensions and cheap functions (the three parameters of Holt–Winters).
 */

/** Nelder–Mead is started from this many of the grid's points. */
const STARTS = 4;
const STEPS_MAX = 400;
/** The simplex has converged when its values lie this close together, relatively. */
const TOLERANCE = 1e-12;

export interface Box {
  /** Coordinates tried in the grid; the first and last are also the bounds. */
  readonly grid: readonly (readonly number[])[];
}

export interface Minimum {
  readonly at: readonly number[];
  readonly value: number;
}

/** `f` may give NaN or Infinity where it has no value. */
export function minimise(f: (at: readonly number[]) => number, { grid }: Box): Minimum {
  const clamp = (at: readonly number[]) =>
    at.map((x, i) => Math.min(Math.max(x, grid[i]!.at(0)!), grid[i]!.at(-1)!));
  const measure = (at: readonly number[]): Minimum => {
    const inside = clamp(at);
    const value = f(inside);
    return { at: inside, value: Number.isNaN(value) ? Number.POSITIVE_INFINITY : value };
  };
  const tried = gridPoints(grid).map(measure).sort(byValue);
  return tried
    .slice(0, STARTS)
    .map((start) => nelderMead(start, measure))
    .sort(byValue)[0]!;
}

const byValue = (a: Minimum, b: Minimum): number => (a.value < b.value ? -1 : +(a.value > b.value));

function gridPoints(grid: Box['grid']): number[][] {
  let points: number[][] = [[]];
  for (const coordinates of grid) {
    points = points.flatMap((point) => coordinates.map((x) => [...point, x]));
  }
  return points;
}

/** Nelder & Mead 1965, with every vertex clamped into the box. */
function nelderMead(start: Minimum, measure: (at: readonly number[]) => Minimum): Minimum {
  const size = start.at.length;
  if (size === 0) return start;
  const simplex = [start];
  for (let i = 0; i < size; i++) {
    const away = start.at[i]! < 0.5 ? 0.1 : -0.1;
    simplex.push(measure(start.at.map((x, j) => (i === j ? x + away : x))));
  }
  const towards = (from: readonly number[], to: readonly number[], share: number) =>
    measure(from.map((x, i) => x + share * (to[i]! - x)));

  for (let step = 0; step < STEPS_MAX; step++) {
    simplex.sort(byValue);
    const [best, worst] = [simplex[0]!, simplex[size]!];
    if (!(worst.value - best.value > TOLERANCE * Math.abs(best.value))) break;
    const centre = start.at.map(
      (_, i) => simplex.slice(0, size).reduce((sum, { at }) => sum + at[i]!, 0) / size,
    );
    const reflected = towards(worst.at, centre, 2);
    if (reflected.value < best.value) {
      const expanded = towards(worst.at, centre, 3);
      simplex[size] = expanded.value < reflected.value ? expanded : reflected;
    } else if (reflected.value < simplex[size - 1]!.value) {
      simplex[size] = reflected;
    } else {
      const contracted = towards(worst.at, centre, reflected.value < worst.value ? 1.5 : 0.5);
      if (contracted.value < Math.min(worst.value, reflected.value)) {
        simplex[size] = contracted;
      } else {
        for (let i = 1; i <= size; i++) simplex[i] = towards(simplex[i]!.at, best.at, 0.5);
      }
    }
  }
  return simplex.sort(byValue)[0]!;
}
