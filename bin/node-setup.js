/**
 * How Node is set up for the engine; plain CommonJS, as launch.js is. Measured with bench/pipeline.ts:
 * a young generation of 8 MiB (Node's own: 16) stays in the processor's cache, a tenth faster and 100 MiB
 * smaller; the compile cache halves the time until the first record.
 */
const { dirname } = require('node:path');
const { compileCache, tidyCompileCache } = require('./compile-cache.js');

/**
 * Whether these words start a process without role `engine`, which holds little: by the words or the environment, for
 * nobody reads a configuration file yet. One that says it there takes some 10 MiB more (docs/decisions/0056).
 */
function holdsLittle(words) {
  const at = words.findIndex((word) => /^--roles(=|$)/.test(word));
  const said = at < 0 ? process.env.TIDEMARK_ROLES : (words[at].split('=')[1] ?? words[at + 1]);
  return (
    said !== undefined && said !== '' && !said.split(',').some((role) => role.trim() === 'engine')
  );
}

/** Command-line flags of Node; what NODE_OPTIONS says of the young generation stands. */
function nodeFlags() {
  const flags = ['--disable-warning=ExperimentalWarning'];
  if (/semi-space/.test(process.env.NODE_OPTIONS ?? '')) return flags;
  return [...flags, '--max-semi-space-size=8'];
}

/**
 * For glibc's malloc, where bytes outside V8's heap live: what is freed goes back to the system. By itself it raises both
 * bounds by the largest body that it ever freed, and keeps whatever is smaller: 30 MiB and more of a process that took
 * points in (docs/decisions/0054). Other C libraries don't know the names.
 */
const mallocBounds = { MALLOC_MMAP_THRESHOLD_: '1048576', MALLOC_TRIM_THRESHOLD_: '1048576' };

/** Below what V8's compilers and collectors ask for at once (32 KiB), in arenas of each thread that only grow (0056). */
const smallMallocBounds = { ...mallocBounds, MALLOC_MMAP_THRESHOLD_: '32000' };

/** The environment with a compile cache and bounds for malloc; what is set already stands. */
function nodeEnvironment(words = process.argv.slice(2)) {
  const bounds = holdsLittle(words) ? smallMallocBounds : mallocBounds;
  const environment = { ...bounds, ...process.env };
  if (process.env.NODE_COMPILE_CACHE !== undefined) return environment;
  // Node makes it when it is missing, and goes without when it can't.
  const folder = compileCache(dirname(__dirname));
  if (folder === undefined) return environment;
  tidyCompileCache(folder);
  return { ...environment, NODE_COMPILE_CACHE: folder };
}

module.exports = { nodeFlags, nodeEnvironment };
