/**
 * Whether the real servers a test needs are there. Absent servers skip a test with one line; under
 * REQUIRE_SERVERS=1 they fail it, so that continuous integration can't pass by skipping.
 */

/** Names already reported by this process, so that one file says it once. */
const reported = new Set<string>();

/**
 * True when every environment variable named is set and not empty. False prints one line to stderr; with
 * REQUIRE_SERVERS=1 it throws instead. Meant for `describe.skipIf(!needs(['KAFKA_BROKERS']))(…)`.
 */
export function needs(
  names: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  const missing = names.filter((name) => !environment[name]);
  if (missing.length === 0) return true;
  const cure = 'npm run servers up && eval "$(npm run -s servers env)"';
  const message = `${missing.join(', ')} not set: start servers with ${cure}`;
  if (environment.REQUIRE_SERVERS === '1') throw new Error(`REQUIRE_SERVERS=1, but ${message}`);
  if (!reported.has(message)) {
    reported.add(message);
    process.stderr.write(`skipped: ${message}\n`);
  }
  return false;
}
