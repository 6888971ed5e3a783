/**
 * Runs the conformance suite and the life of a store on the built package in Deno and Bun, by the versions that
 * .ci/runtimes/package.json pins and this installs: memory() and nodeFs(). The last line is `N passed, N failed`.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './command.mjs'
import { manifest, root } from './entries.mjs'

const home = join(root, '.ci/runtimes')
const { dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))

/** Each by the program in the package of its platform: what the packages themselves would link is made by their scripts. */
const runtimes = [
  {
    name: 'deno',
    scope: '@deno',
    program: 'deno',
    args: ['run', '--allow-all', '--no-lock', '--node-modules-dir=manual'],
  },
  { name: 'bun', scope: '@oven', program: 'bin/bun', args: ['run'] },
]

let passed = 0
const failures = []
if (!isInstalled())
  spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: home, stdio: 'inherit' })
const project = mkdtempSync(join(tmpdir(), 'tidemark-runtimes-'))
try {
  // A stranger's project: the package is found by its name, through its exports.
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(root, join(project, 'node_modules', manifest.name), 'junction')
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  writeFileSync(join(project, 'main.mjs'), readFileSync(join(home, 'main.mjs')))
  for (const runtime of runtimes) await test(runtime)
} finally {
  rmSync(project, { recursive: true, force: true })
}
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`)
console.log(`\n${passed} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1

function isInstalled() {
  return Object.entries(dependencies).every(([name, version]) => {
    const file = join(home, 'node_modules', name, 'package.json')
    return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === version
  })
}

/** npm installs the packages of this platform only. */
function programOf(scope, program) {
  const folder = join(home, 'node_modules', scope)
  if (!existsSync(folder)) return undefined
  const files = readdirSync(folder).flatMap((name) => [program, `${program}.exe`].map((end) => join(folder, name, end)))
  return files.find((file) => existsSync(file))
}

async function test({ name, scope, program, args }) {
  const file = programOf(scope, program)
  if (file === undefined) {
    failures.push(`${name}: its package has no program for this platform, or could not be installed`)
    return
  }
  const { ok, output } = await run(file, [...args, join(project, 'main.mjs')])
  const lines = output.split('\n').filter((line) => line.startsWith('{'))
  const cases = lines.map((line) => JSON.parse(line))
  const done = cases.find(({ done }) => done)
  for (const { test, error } of cases) {
    if (test === undefined) continue
    if (error === undefined) passed++
    else failures.push(`${name}: ${test}: ${error}`)
  }
  if (ok && done !== undefined && done.tests > 50) console.log(`${name} ${done.version}: ${done.tests} tests`)
  else failures.push(`${name} did not come to its end:\n${output}`)
}
