/**
 * Where V8's compiled code is kept, and how old code goes: plain CommonJS, as launch.js is. Each place where Tidemark is
 * installed has a set of its own, whose time is that of its last start; one that nobody used for a month is thrown away,
 * some files at each start, so that no command waits for it. Several processes may do it at once: at worst one of them
 * leaves the rest to the next start, and a set that is taken from a program in use is compiled again.
 */
const fs = require('node:fs');
const { homedir } = require('node:os');
const { dirname, join } = require('node:path');

const DAY_MS = 86_400_000;
const UNUSED_MS = 30 * DAY_MS;
/** Some milliseconds' worth. */
const FILES_AT_ONCE = 200;
const NAME_CHARS_MAX = 120;
/** Its time is when nothing was left to throw away. */
const TIDIED = '.tidied';
const ASIDE = '.aside-';

/** The set of an installation, in a folder that only this user writes; undefined where there is no such folder. */
function compileCache(packageRoot) {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  try {
    const caches =
      process.platform === 'win32' ? LOCALAPPDATA : XDG_CACHE_HOME || join(homedir(), '.cache');
    if (caches === undefined) return undefined;
    // Two that share a name share a set, which does no harm.
    const name = packageRoot.replace(/[^\w.-]+/g, '_').slice(-NAME_CHARS_MAX);
    return join(caches, 'tidemark', 'compiled', name);
  } catch {
    // No home folder.
    return undefined;
  }
}

/** Notes that a set is in use and, once a day, looks for those that are not. Never throws. */
function tidyCompileCache(own) {
  const nowMs = Date.now();
  const sets = dirname(own);
  try {
    fs.utimesSync(own, nowMs / 1_000, nowMs / 1_000);
  } catch {
    // Not there yet: Node makes it.
  }
  try {
    const tidied = join(sets, TIDIED);
    if (nowMs - timeOf(tidied) < DAY_MS) return;
    for (const name of fs.readdirSync(sets)) {
      const isUnused = nowMs - timeOf(join(sets, name)) > UNUSED_MS;
      // Removing files would make it look as if it were in use.
      if (isUnused && !name.startsWith('.')) {
        fs.renameSync(join(sets, name), join(sets, `${ASIDE}${process.pid}-${nowMs}-${name}`));
      }
    }
    let left = FILES_AT_ONCE;
    for (const name of fs.readdirSync(sets)) {
      if (name.startsWith(ASIDE) && left > 0) left = remove(join(sets, name), left);
    }
    if (left > 0) fs.writeFileSync(tidied, '');
  } catch {
    // Not there, not ours, or another process is at it: the next start looks again.
  }
}

/** Of its last change; 0 when it is not there. */
const timeOf = (path) => fs.statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Removes so many files at most; gives how many more it might have: 0 when it is not through. */
function remove(path, most) {
  let left = most;
  const folder = fs.opendirSync(path);
  try {
    for (let entry = folder.readSync(); entry !== null && left > 0; entry = folder.readSync()) {
      const each = join(path, entry.name);
      if (entry.isDirectory()) left = remove(each, left);
      else {
        fs.rmSync(each, { force: true });
        left--;
      }
    }
  } finally {
    folder.closeSync();
  }
  if (left > 0) fs.rmdirSync(path);
  return left;
}

module.exports = { compileCache, tidyCompileCache };
