/**
 * Makes a checkout ready: installs what package-lock.json lists when node_modules differs from it and, with `--build`,
 * builds dist when it is missing or older than its sources. Uses nothing but Node, as it runs before anything is installed.
 *
 * Whoever runs a command wants to see what that does: all that is said here is one line, for what takes long. What npm and the
 * build have to say is shown when they fail.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { commandEntry, libraryEntries, root } from './entries.mjs'

if (!isInstalled()) {
  say('Installing the packages of package-lock.json, which takes about a minute …')
  run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], process.platform === 'win32')
}
if (process.argv.includes('--build') && !isBuilt()) {
  say('Building dist …')
  run(process.execPath, [join(root, '.ci/build.mjs')])
}

/** Compares package by package: npm's own record in node_modules has the same shape, without other platforms' packages. */
function isInstalled() {
  const installed = readPackages('node_modules/.package-lock.json')
  if (!installed) return false
  const { '': _root, ...wanted } = readPackages('package-lock.json')
  for (const [path, { version, integrity, optional }] of Object.entries(wanted)) {
    const found = installed[path]
    if (found ? found.version !== version || found.integrity !== integrity : !optional) return false
  }
  return Object.keys(installed).every((path) => path in wanted)
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** The build dates its entries with its own start, so that a source saved during a build is newer than they are. */
function isBuilt() {
  const outputs = [...libraryEntries.flatMap(({ output, types }) => [output, types]), commandEntry.output]
  const built = Math.min(...outputs.map((file) => modified(join(root, file), 0)))
  const inputs = ['src', 'adapters', 'integrations', 'package.json', 'package-lock.json', 'tsconfig.json', '.ci']
  return built > 0 && Math.max(...inputs.map((path) => newest(join(root, path)))) < built
}

/** The latest change at or below `path`. Folders count, as they change when a file in them is removed. */
function newest(path) {
  if (!statSync(path).isDirectory()) return modified(path)
  return Math.max(modified(path), ...readdirSync(path).map((name) => newest(join(path, name))))
}

function modified(path, whenMissing) {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat ? stat.mtimeMs : whenMissing
}

/** On stderr: what a command prints is its own. */
function say(text) {
  process.stderr.write(`${text}\n`)
}

function run(command, args, shell = false) {
  const { status, error, output } = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 30, shell })
  if (error) throw error
  if (status === 0) return
  for (const text of output) if (text) process.stderr.write(text)
  process.exit(status ?? 1)
}
