/**
 * Finds the Chromium that the browser tests run in, and installs one where there is none: Debian's package as root on
 * Debian, elsewhere the one that Playwright downloads. TIDEMARK_CHROMIUM names another. As a program it prints
 * the path and the flags, for tests.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { root } from './entries.mjs'

/** A container's root needs no sandbox; nothing but the tests' own pages is to be reached. */
export const chromiumFlags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export function findChromium() {
  const found = installed()
  if (found) return found
  const debian = existsSync('/etc/debian_version') && process.getuid?.() === 0
  if (debian) run('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'])
  else run(process.execPath, [join(root, 'node_modules/playwright-core/cli.js'), 'install', 'chromium'])
  const fresh = installed()
  if (fresh) return fresh
  throw new Error(
    'There is no Chromium and none could be installed, so the browser tests cannot run. ' +
      'Install one (on Debian: apt-get install chromium), or name it in TIDEMARK_CHROMIUM.',
  )
}

function installed() {
  const named = process.env.TIDEMARK_CHROMIUM
  if (named) return named
  const folders = (process.env.PATH ?? '').split(delimiter)
  const onPath = folders.flatMap((folder) => [join(folder, 'chromium'), join(folder, 'chromium-browser')])
  return [...onPath, chromium.executablePath()].find((path) => path && existsSync(path))
}

/** Its output goes to standard error: standard output is for the answer. */
function run(command, args) {
  spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(JSON.stringify({ executable: findChromium(), flags: chromiumFlags }))
