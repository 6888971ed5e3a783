/**
 * Runs the checks and all tests, or the tests of the files named as arguments, or with `--deep` the long simulations.
 * A case that did not run counts as failed. The last line is `N passed, N failed`; the checks count as one.
 *
 * TIDEMARK_DEEP_MS bounds a deep run as a whole; each of its cases finds its own share in the same variable.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { run, tool } from './command.mjs'
import { manifest, root } from './entries.mjs'

const deep = process.argv.includes('--deep')
const only = process.argv.slice(2).filter((argument) => argument !== '--deep')
const config = ['-c', '.ci/vitest.config.mjs', '--mode', deep ? 'deep' : 'test']
const folder = mkdtempSync(join(tmpdir(), `${manifest.name}-test-`))

let passed = 0
const failures = []
try {
  if (!deep && only.length === 0) await check()
  if (deep && testFiles().length === 0) console.log('There are no deep tests yet.')
  else await test()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`)
console.log(`\n${passed} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1

async function check() {
  const { ok } = await run(process.execPath, ['.ci/check.mjs'], { show: true })
  if (ok) passed++
  else failures.push('the checks')
}

async function test() {
  const report = join(folder, 'report.json')
  const reporters = ['--reporter', 'default', '--reporter', 'json', '--outputFile.json', report]
  const env = deep ? await shareOfTime() : {}
  const { ok } = await tool('vitest', ['run', ...config, ...reporters, ...only], { show: true, env })
  const before = failures.length
  count(JSON.parse(readFileSync(report, 'utf8')).testResults)
  if (!ok && failures.length === before) failures.push('an error outside of the test cases')
}

function count(results) {
  const ran = new Set()
  for (const { name, assertionResults, status } of results) {
    const file = relative(root, name)
    ran.add(file)
    for (const { fullName, status } of assertionResults) {
      if (status === 'passed') passed++
      else failures.push(`${file}: ${fullName}${status === 'failed' ? '' : ` (${status}: it has to run)`}`)
    }
    const silent = !assertionResults.some((result) => result.status === 'failed')
    if (assertionResults.length === 0 || (status === 'failed' && silent)) failures.push(`${file}: the file as a whole`)
  }
  const wanted = testFiles().filter((file) => only.length === 0 || only.some((filter) => file.includes(filter)))
  for (const file of wanted) if (!ran.has(file)) failures.push(`${file}: was not run`)
}

function testFiles() {
  const ending = deep ? '.deep.ts' : '.test.ts'
  const files = readdirSync(join(root, 'test'), { recursive: true }).map((name) => join('test', name))
  return files.filter((file) => file.endsWith(ending) && (!deep || file.startsWith(join('test', 'deep'))))
}

/** An equal share for each case, as if they ran one after another; a tenth is left for starting and for checking. */
async function shareOfTime() {
  const total = Number(process.env.TIDEMARK_DEEP_MS)
  if (!total) return {}
  const list = join(folder, 'list.json')
  await tool('vitest', ['list', ...config, `--json=${list}`, ...only])
  const cases = JSON.parse(readFileSync(list, 'utf8')).length
  return { TIDEMARK_DEEP_MS: String(Math.floor((total * 0.9) / cases)) }
}
