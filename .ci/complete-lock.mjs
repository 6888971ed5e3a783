/**
 * Adds to package-lock.json the packages for other platforms that npm left out because the registry in use lacks them:
 * `npm ci` refuses a lock without them, on every platform. Run it after an `npm install` that changed the lock; for one in
 * another folder than the root, name that.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './entries.mjs'

const file = join(root, process.argv[2] ?? '', 'package-lock.json')
const lock = JSON.parse(readFileSync(file, 'utf8'))
const added = []

for (const [path, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  const siblings = Object.keys(optionalDependencies).map((name) => find(path, name))
  const sibling = siblings.find((found) => found?.os)
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (find(path, name) || !sibling) continue
    const { license, engines } = sibling
    const { os, cpu, libc } = platform(name)
    lock.packages[`node_modules/${name}`] = { version, cpu, dev, libc, license, optional: true, os, engines }
    added.push(name)
  }
}

if (added.length > 0) {
  const byPath = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'))
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(byPath) }, null, 2)}\n`)
}
console.log(added.length > 0 ? `Added ${added.join(', ')}.` : 'The lock is complete.')

function find(path, name) {
  return lock.packages[`${path}/node_modules/${name}`] ?? lock.packages[`node_modules/${name}`]
}

/** From a name such as `@scope/binding-linux-arm64-musl`. */
function platform(name) {
  const words = name.split('/').at(-1).split('-')
  const os = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'].find((word) => words.includes(word))
  const cpu = ['x64', 'arm64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x'].find((word) => words.includes(word))
  if (!os || !cpu) throw new Error(`${name} does not name its platform.`)
  const libc = { musl: 'musl', musleabihf: 'musl', gnu: 'glibc', glibc: 'glibc', gnueabihf: 'glibc' }[words.at(-1)]
  return { os: [os], cpu: [cpu], libc: libc && [libc] }
}
