/** The one door to cassandra-driver, which is loaded by the first session: an engine without Cassandra goes without. */
import { createRequire } from 'node:module';
import type cassandra from 'cassandra-driver';

const require = createRequire(import.meta.url);

export const driver = (): typeof cassandra => require('cassandra-driver') as typeof cassandra;
