/**
 * Runs the checks and all tests, or the tests of the files named as arguments; with `--deep` the long simulations, with
 * `--adapters` the tests of the adapters for browsers, S3 and R2, and once more the tests of stores in Chromium. A case that
 * did not run counts as failed, and so does an adapter without a test. The last line is `N passed, N failed`; the checks
 * count as one.
 *
 * TIDEMARK_DEEP_MS bounds a deep run as a whole; each of its cases finds its own share in the same variable.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { run, tool } from './command.mjs'
import { manifest, root } from './entries.mjs'
import { countByAdapter, isBrowserTest, sharedTests } from './test-files.mjs'

const deep = process.argv.includes('--deep')
const adapters = process.argv.includes('--adapters')
const only = process.argv.slice(2).filter((argument) => argument !== '--deep' && argument !== '--adapters')
const mode = deep ? 'deep' : adapters ? 'adapters' : 'test'
const onNode = ['-c', '.ci/vitest.config.mjs', '--mode', mode]
const inBrowser = ['-c', '.ci/vitest.browser.config.mjs']
const folder = mkdtempSync(join(tmpdir(), `${manifest.name}-test-`))

let passed = 0
const cases = []
const failures = []
try {
  if (mode === 'test' && only.length === 0) await check()
  await test(onNode, wanted(testFiles().filter((file) => !isBrowserTest(file))), deep ? await shareOfTime() : {})
  if (adapters) await test(inBrowser, wanted([...testFiles().filter(isBrowserTest), ...sharedTests]))
  if (adapters) printAdapters()
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

async function test(config, files, env = {}) {
  if (files.length === 0) return
  const report = join(folder, 'report.json')
  rmSync(report, { force: true })
  const reporters = ['--reporter', 'default', '--reporter', 'json', '--outputFile.json', report]
  const { ok } = await tool('vitest', ['run', ...config, ...reporters, ...only], { show: true, env })
  const before = failures.length
  // Without a report vitest could not start, for want of a browser for instance.
  count(existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).testResults : [], files)
  if (!ok && failures.length === before) failures.push('an error outside of the test cases')
}

function count(results, files) {
  const ran = new Set()
  for (const { name, assertionResults, status } of results) {
    const file = relative(root, name)
    ran.add(file)
    for (const { fullName, status } of assertionResults) {
      if (status === 'passed') {
        passed++
        cases.push({ file, name: fullName })
      } else failures.push(`${file}: ${fullName}${status === 'failed' ? '' : ` (${status}: it has to run)`}`)
    }
    const silent = !assertionResults.some((result) => result.status === 'failed')
    if (assertionResults.length === 0 || (status === 'failed' && silent)) failures.push(`${file}: the file as a whole`)
  }
  for (const file of files) if (!ran.has(file)) failures.push(`${file}: was not run`)
}

function printAdapters() {
  const counts = countByAdapter(cases)
  const shown = counts.filter(({ count }) => count > 0 || only.length === 0)
  console.log(`\nPassed by adapter: ${shown.map(({ adapter, count }) => `${adapter} ${count}`).join(', ')}`)
  if (only.length > 0) return
  for (const { adapter, count } of counts) if (count === 0) failures.push(`no test of the adapter ${adapter} passed`)
}

/** Those of the files that the arguments name; all without arguments. */
function wanted(files) {
  return files.filter((file) => only.length === 0 || only.some((filter) => file.includes(filter)))
}

function testFiles() {
  const ending = deep ? '.deep.ts' : '.test.ts'
  const files = readdirSync(join(root, 'test'), { recursive: true }).map((name) => join('test', name))
  const folders = { test: ['test'], adapters: ['test/adapters', 'test/browser'], deep: ['test/deep'] }[mode]
  return files.filter((file) => file.endsWith(ending) && folders.includes(dirname(file)))
}

/** An equal share for each case, as if they ran one after another; a tenth is left for starting and for checking. */
async function shareOfTime() {
  const total = Number(process.env.TIDEMARK_DEEP_MS)
  if (!total) return {}
  const list = join(folder, 'list.json')
  await tool('vitest', ['list', ...onNode, `--json=${list}`, ...only])
  const cases = JSON.parse(readFileSync(list, 'utf8')).length
  return { TIDEMARK_DEEP_MS: String(Math.floor((total * 0.9) / cases)) }
}
