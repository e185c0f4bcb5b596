/**
 * Every run tries the same cases of each property, so that a run that was right stays right; PROPERTY_SEED gives
 * others, and what those find becomes a case of its own.
 */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.PROPERTY_SEED ?? 20_261_127) });
