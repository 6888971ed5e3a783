/**
 * Runs the checks and all tests, or the tests of the files that arguments name. A case that did not run counts as failed, and
 * so does an adapter that lacks a suite. The last line is `N passed, N failed`; the checks count as one.
 *
 * The demo's page has tests of its own, by @playwright/test (test/page). Their cases count like all others.
 *
 * - `--adapters` runs only the tests that run on each adapter or in Chromium.
 * - `--browsers` runs the tests of the browser in Firefox. Those that need Chromium are skipped and listed.
 * - `--deep` runs as a whole the tests that are otherwise cut short, and the long simulations. TIDEMARK_DEEP_MS bounds these
 *   together, and each of their cases finds its own share in the same variable.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { run, tool } from './command.mjs'
import { manifest, root } from './entries.mjs'
import { findPostgres } from './postgres.mjs'
import { countByAdapter, isBrowserTest, partialTests, sharedTests } from './test-files.mjs'

const deep = process.argv.includes('--deep')
const adapters = process.argv.includes('--adapters')
const browsers = process.argv.includes('--browsers')
const only = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const mode = deep ? 'deep' : adapters ? 'adapters' : browsers ? 'browsers' : 'test'
const onNode = ['--mode', mode]
const inBrowser = ['-c', '.ci/vitest.browser.config.mjs', '--mode', browsers ? 'firefox' : 'chromium']
const folder = mkdtempSync(join(tmpdir(), `${manifest.name}-test-`))

let passed = 0
let reports = 0
/** The meta of each test that passed. */
const metas = []
const failures = []
/** Tests that are skipped in other browsers than Chromium, and why. */
const elsewhere = []
try {
  if (mode === 'test' && only.length === 0) await check()
  if (deep) await test(['--mode', 'whole'], partialTests, { env: { TIDEMARK_WHOLE: '1' } })
  // The browser waits a lot: both are done sooner side by side.
  const browser = deep ? undefined : testBrowser()
  const nodeFiles = testFiles().filter((file) => !isBrowserTest(file))
  // Once, before several tests at once need it.
  if (nodeFiles.some((file) => isWanted(file) && file.includes('postgres'))) findPostgres()
  if (!browsers) await test(onNode, nodeFiles, { env: deep ? await shareOfTime() : {} })
  await browser
  if (elsewhere.length > 0)
    console.log(`\nNot run in Firefox: ${elsewhere.length}\n${elsewhere.map((name) => `  ${name}`).join('\n')}`)
  if (!deep && !browsers) printAdapters()
  if (passed === 0 && failures.length === 0) failures.push('no test ran')
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

/** Runs the tests of a configuration. With `later` its output comes when it is over. */
async function test(config, all, { env = {}, later = false }) {
  const files = all.filter(isWanted)
  if (files.length === 0) return
  const report = join(folder, `report-${reports++}.json`)
  const reporters = ['--reporter', 'default', '--reporter', 'json', '--outputFile.json', report]
  if (!later) reporters.push('--reporter', '.ci/progress.mjs')
  const { ok, output } = await tool('vitest', ['run', ...config, ...reporters, ...only], { show: !later, env })
  if (later) process.stdout.write(output)
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
    for (const { fullName, status, meta } of assertionResults) {
      if (status === 'passed') {
        passed++
        metas.push(meta)
      } else if (browsers && meta.onlyInChromium) elsewhere.push(`${fullName} (${meta.onlyInChromium})`)
      else failures.push(`${file}: ${fullName}${status === 'failed' ? '' : ` (${status}: it has to run)`}`)
    }
    const silent = !assertionResults.some((result) => result.status === 'failed')
    if (assertionResults.length === 0 || (status === 'failed' && silent)) failures.push(`${file}: the file as a whole`)
  }
  for (const file of files) if (!ran.has(file)) failures.push(`${file}: was not run`)
}

async function testBrowser() {
  await test(inBrowser, [...testFiles().filter(isBrowserTest), ...sharedTests], { later: true })
  if (mode === 'test' || browsers) await testPage()
}

/** Runs the tests of the demo's page. Its output comes when it is over. */
async function testPage() {
  const files = readdirSync(join(root, 'test/page')).filter((name) => name.endsWith('.spec.ts'))
  const wanted = files.map((name) => join('test/page', name)).filter((file) => isWanted(file))
  if (wanted.length === 0) return
  const report = join(folder, 'page.json')
  const env = { PLAYWRIGHT_JSON_OUTPUT_FILE: report, ...(browsers && { TIDEMARK_PAGE_BROWSER: 'firefox' }) }
  const args = ['test', '-c', '.ci/playwright.config.mjs', '--reporter=line,json', ...wanted]
  const { ok, output } = await tool('playwright', args, { env })
  process.stdout.write(output)
  const before = failures.length
  const suites = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).suites : []
  for (const file of wanted) {
    const specs = suites.filter((suite) => join('test/page', suite.file) === file).flatMap(specsOf)
    if (specs.length === 0) failures.push(`${file}: was not run`)
    for (const { title, tests } of specs) {
      const [{ status }] = tests
      if (status === 'expected') passed++
      else failures.push(`${file}: ${title} (${status})`)
    }
  }
  if (!ok && failures.length === before) failures.push('an error outside of the test cases of the page')
}

function specsOf({ specs, suites = [] }) {
  return [...specs, ...suites.flatMap(specsOf)]
}

function isWanted(file) {
  return only.length === 0 || only.some((filter) => file.includes(filter))
}

function printAdapters() {
  const rows = countByAdapter(metas)
  const shown = rows.filter(({ counts }) => only.length === 0 || counts.all > 0)
  if (shown.length === 0) return
  const line = (first, cells) => first.padEnd(12) + cells.map((cell) => String(cell).padStart(12)).join('')
  console.log(`\nPassed:\n${line('', Object.keys(rows[0].counts))}`)
  for (const { adapter, counts } of shown) console.log(line(adapter, Object.values(counts)))
  if (only.length > 0) return
  for (const { adapter, counts } of rows) {
    for (const [suite, count] of Object.entries(counts))
      if (count === 0) failures.push(`no test of ${adapter} passed in the suite ${suite}`)
  }
}

function testFiles() {
  const folders = { test: [''], adapters: ['adapters/', 'browser/'], deep: ['deep/'], browsers: ['browser/'] }[mode]
  const files = readdirSync(join(root, 'test'), { recursive: true })
    .filter((name) => name.endsWith(deep ? '.deep.ts' : '.test.ts'))
    .filter((name) => folders.some((folder) => name.startsWith(folder)))
  return files.map((name) => join('test', name))
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
