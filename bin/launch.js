/**
 * Starts the command line on Node 24 or later, whatever Node runs this file; it is plain CommonJS for that
 * reason. In a checkout the sources run as they are; installed, the compiled ones.
 *
 * Where Node can, the process is replaced (`process.execve`, Node 22.15+); else a child runs, gets the
 * signals, and ends when this process is gone (`watch-parent.mjs`).
 */
const { spawn, spawnSync } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const { constants } = require('node:os');
const { delimiter, dirname, join, sep } = require('node:path');
const { nodeEnvironment, nodeFlags } = require('./node-setup.js');

const oldestMajor = 24;
const packageRoot = dirname(__dirname);
const isWindows = process.platform === 'win32';
const majorOf = (version) => Number.parseInt(version.replace(/^v/, ''), 10);

function main() {
  const source = join(packageRoot, 'src', 'cli', 'main.ts');
  const compiled = join(packageRoot, 'dist', 'src', 'cli', 'main.js');
  // Node refuses to strip types below node_modules, so an installed package always runs compiled.
  const isInstalled = packageRoot.split(sep).includes('node_modules');
  const runsSource = !isInstalled && existsSync(source);
  if (!runsSource && !existsSync(compiled)) {
    return fail(`${compiled} is missing: run npm run build, or install the package again`);
  }

  const isNewEnough = majorOf(process.version) >= oldestMajor;
  const isReplaceable = typeof process.execve === 'function' && !isWindows;
  if (isNewEnough && !runsSource && !isReplaceable) return runHere(compiled);

  const node = isNewEnough ? process.execPath : findNode();
  if (node === undefined) {
    return fail(
      `Node ${oldestMajor} or later is needed and this is ${process.version}; neither the package ` +
        `"node" beside tidemark nor the PATH has one. Install it from https://nodejs.org or with ` +
        `npm install node@${oldestMajor}`,
    );
  }
  // Who starts this very Node with flags (--inspect, for one) means the program.
  const flags = [...(isNewEnough ? process.execArgv : []), ...nodeFlags()];
  if (runsSource) flags.push('--conditions=tidemark-source');
  const program = [runsSource ? source : compiled, ...process.argv.slice(2)];
  if (isReplaceable) process.execve(node, [node, ...flags, ...program], nodeEnvironment());
  runChild(node, [...flags, '--import', watchParent(), ...program]);
}

const watchParent = () =>
  require('node:url').pathToFileURL(join(__dirname, 'watch-parent.mjs')).href;

/** In this very process, set up as it is: nothing to start, nothing to forward. */
function runHere(program) {
  const emitWarning = process.emitWarning;
  process.emitWarning = (warning, type, ...rest) => {
    const kind = typeof type === 'object' ? type?.type : type;
    if (kind !== 'ExperimentalWarning') emitWarning.call(process, warning, type, ...rest);
  };
  process.argv[1] = program;
  import(require('node:url').pathToFileURL(program).href).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}

/** Path of a Node that is new enough: the `node` package beside or above this one, then the PATH. */
function findNode() {
  const name = isWindows ? 'node.exe' : 'node';
  try {
    const description = require.resolve('node/package.json', { paths: [packageRoot] });
    const binary = join(dirname(description), 'bin', name);
    const { version } = JSON.parse(readFileSync(description, 'utf8'));
    if (majorOf(version) >= oldestMajor && existsSync(binary)) return binary;
  } catch {
    // Not installed (an optional step of the installation was left out): the PATH may have one.
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const binary = join(folder, name);
    if (folder === '' || !existsSync(binary)) continue;
    const said = spawnSync(binary, ['--version'], { encoding: 'utf8' });
    if (said.status === 0 && majorOf(said.stdout.trim()) >= oldestMajor) return binary;
  }
  return undefined;
}

function runChild(node, parameters) {
  // The channel carries nothing: its closing tells the child that this process is gone.
  const child = spawn(node, parameters, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: nodeEnvironment(),
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) {
    process.on(signal, () => {
      // A terminal's Ctrl-C has gone to the whole foreground group, the child included.
      if (signal === 'SIGINT' && process.stdin.isTTY) return;
      child.kill(signal);
    });
  }
  child.on('error', (error) => fail(`${node} does not start: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exitCode = code;
      return;
    }
    process.removeAllListeners(signal);
    process.exitCode = 128 + (constants.signals[signal] ?? 0);
    process.kill(process.pid, signal);
  });
}

function fail(message) {
  process.stderr.write(`tidemark: ${message}\n`);
  process.exitCode = 1;
}

main();
