/** Checks everything that needs no test to run: types, lint, format, imports, dead code, the package and its size. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, tool } from './command.mjs'
import { manifest } from './entries.mjs'

const PARALLEL = 2

const folder = mkdtempSync(join(tmpdir(), `${manifest.name}-check-`))
const tarball = join(folder, `${manifest.name}-${manifest.version}.tgz`)

/** The checks, in the order in which they start: the slow ones first. */
const checks = {
  package: async () => {
    const packed = await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder])
    if (!packed.ok) return packed
    const metadata = await tool('publint', [tarball, '--strict'])
    if (!metadata.ok) return metadata
    return tool('attw', [tarball, '--profile', 'esm-only', '--format', 'ascii'])
  },
  types: () => tool('tsc', ['-p', '.']),
  'types of scripts': () => tool('tsc', ['-p', '.ci/tsconfig.scripts.json']),
  lint: () => tool('oxlint', ['.', '.ci']),
  'architecture and protocol': () =>
    tool('vitest', ['run', 'test/house/architecture.test.ts', 'test/protocol/table.test.ts']),
  'unused code': () => tool('knip', ['-c', '.ci/knip.json', '--no-config-hints']),
  format: () => run(process.execPath, ['.ci/format.mjs', '--check']),
  size: () => run(process.execPath, ['.ci/size.mjs']),
}

const waiting = Object.entries(checks)
const failed = []
try {
  await Promise.all(Array.from({ length: PARALLEL }, work))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const total = Object.keys(checks).length
console.log(
  failed.length === 0
    ? `All ${total} checks passed.`
    : `${failed.length} of ${total} checks failed: ${failed.join(', ')}.`,
)
process.exitCode = failed.length === 0 ? 0 : 1

async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const [name, check] = next
    const started = performance.now()
    console.log(`       ${name} …`)
    const { ok, output } = await check()
    console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
    if (!ok) failed.push(name)
    if (!ok || name === 'size') console.log(output.trimEnd())
  }
}
