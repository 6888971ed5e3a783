/**
 * Finds the browsers that tests run in, and installs one that is missing: Debian's package as root on Debian, elsewhere the
 * one that Playwright downloads. TIDEMARK_CHROMIUM and TIDEMARK_FIREFOX name others. As a program it prints the path of
 * Chromium and its flags, for tests.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, firefox } from 'playwright-core'
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

const browsers = {
  chromium: { debian: 'chromium', programs: ['chromium', 'chromium-browser'], playwright: chromium },
  firefox: { debian: 'firefox-esr', programs: ['firefox-esr', 'firefox'], playwright: firefox },
}

export const findChromium = () => find('chromium')

/** How Playwright launches it: Debian's is driven by another protocol than Playwright's own. */
export function firefoxLaunch() {
  const executablePath = find('firefox')
  if (executablePath === firefox.executablePath()) return { executablePath }
  tolerateMissingCommands()
  return { executablePath, channel: 'moz-firefox' }
}

/**
 * Debian's Firefox 140 lacks commands that Playwright 1.64 sends to set up each page: for bodies of replies, downloads and the
 * size of the screen. The tests use none of these. So a command that Firefox does not know counts as done.
 */
function tolerateMissingCommands() {
  const { _connection } = /** @type {any} */ (firefox)
  const server = _connection.toImpl(firefox)._bidiFirefox
  const { connectToTransport } = server
  server.connectToTransport = function (transport, ...rest) {
    let handler = transport.onmessage
    const tolerant = (message) => {
      const lacks = message.type === 'error' && message.error === 'unknown command'
      handler(lacks ? { type: 'success', id: message.id, result: {} } : message)
    }
    Object.defineProperty(transport, 'onmessage', {
      configurable: true,
      get: () => handler && tolerant,
      set(next) {
        handler = next
      },
    })
    return connectToTransport.call(this, transport, ...rest)
  }
}

function find(name) {
  const found = installed(name)
  if (found) return found
  const debian = existsSync('/etc/debian_version') && process.getuid?.() === 0
  if (debian) run('apt-get', ['install', '-y', '--no-install-recommends', browsers[name].debian])
  else run(process.execPath, [join(root, 'node_modules/playwright-core/cli.js'), 'install', name])
  const fresh = installed(name)
  if (fresh) return fresh
  throw new Error(
    `There is no ${name} and none could be installed, so its tests cannot run. Install one (on Debian: apt-get install ` +
      `${browsers[name].debian}), or name it in ${variable(name)}.`,
  )
}

const variable = (name) => `TIDEMARK_${name.toUpperCase()}`

function installed(name) {
  const named = process.env[variable(name)]
  if (named) return named
  const { programs, playwright } = browsers[name]
  const folders = (process.env.PATH ?? '').split(delimiter)
  const onPath = folders.flatMap((folder) => programs.map((program) => join(folder, program)))
  return [...onPath, playwright.executablePath()].find((path) => path && existsSync(path))
}

/** Its output goes to standard error: standard output is for the answer. */
function run(command, args) {
  spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(JSON.stringify({ executable: findChromium(), flags: chromiumFlags }))
