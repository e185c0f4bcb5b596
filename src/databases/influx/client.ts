/**
 * InfluxDB's client, loaded for the first question or reader: most processes have neither. As CommonJS, for when an ES
 * module imports `node:http`, Node reads all its exports, and one of them loads another HTTP client with all it needs.
 */
import { createRequire } from 'node:module';
import type * as Client from '@influxdata/influxdb-client';

const require = createRequire(import.meta.url);
export const influxClient = (): typeof Client => require('@influxdata/influxdb-client');

export const flux: typeof Client.flux = (strings, ...values) =>
  influxClient().flux(strings, ...values);
export const fluxExpression: typeof Client.fluxExpression = (value) =>
  influxClient().fluxExpression(value);
