/**
 * Runs conformance, cuts, recovery and collection on the S3 storage that the environment names: TIDEMARK_S3_ENDPOINT, _BUCKET,
 * _ACCESS_KEY, _SECRET_KEY and perhaps _REGION. The bucket is made when it is missing. The last line is `N passed, N failed`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tool } from './command.mjs'

const missing = ['ENDPOINT', 'BUCKET', 'ACCESS_KEY', 'SECRET_KEY']
  .map((name) => `TIDEMARK_S3_${name}`)
  .filter((name) => !process.env[name])

let passed = 0
const failures = missing.map((name) => `${name} is not set`)
if (missing.length === 0) await test()
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`)
console.log(`\n${passed} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1

async function test() {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-s3-'))
  const report = join(folder, 'report.json')
  const reporters = ['--reporter', 'default', '--reporter', 'json', '--outputFile.json', report]
  const { ok } = await tool('vitest', ['run', '-c', '.ci/vitest.s3.config.mjs', ...reporters], { show: true })
  for (const { assertionResults } of JSON.parse(readFileSync(report, 'utf8')).testResults) {
    for (const { fullName, status } of assertionResults) {
      // A case that did not run is no case that passed.
      if (status === 'passed') passed++
      else failures.push(fullName)
    }
  }
  if (!ok && failures.length === 0) failures.push('an error outside of the test cases')
  if (passed === 0 && failures.length === 0) failures.push('no test ran')
  rmSync(folder, { recursive: true, force: true })
}
