/** The words of a clone's commands before they do what they are for. */
import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { temporaryFolder } from '../support/storages.js'

const ci = join(import.meta.dirname, '../../.ci')

const A = '"node_modules/a": { "version": "1.0.0" }'

/** A clone with an npm that warns a lot, and ends with `status`. */
function clone(status: number): string {
  const folder = temporaryFolder()
  for (const name of ['.ci', 'bin']) mkdirSync(join(folder, name))
  for (const name of ['setup.mjs', 'entries.mjs']) copyFileSync(join(ci, name), join(folder, '.ci', name))
  writeFileSync(join(folder, 'package.json'), '{ "name": "x", "exports": {}, "bin": { "x": "dist/cli.js" } }')
  writeFileSync(join(folder, 'package-lock.json'), `{ "packages": { "": {}, ${A} } }`)
  const npm = join(folder, 'bin/npm')
  const lines = [
    '#!/bin/sh',
    'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "npm warn EBADENGINE $i" >&2; done',
    'echo added 374 packages',
    `[ ${status} = 0 ] || exit ${status}`,
    `mkdir node_modules && echo '{ "packages": { ${A} } }' > node_modules/.package-lock.json`,
  ]
  writeFileSync(npm, `${lines.join('\n')}\n`)
  chmodSync(npm, 0o755)
  return folder
}

function setUp(folder: string): Promise<[code: unknown, out: string, err: string]> {
  const env = { ...process.env, PATH: `${join(folder, 'bin')}:${process.env.PATH}` }
  return new Promise((resolve) => {
    execFile(process.execPath, [join(folder, '.ci/setup.mjs')], { env, cwd: folder }, (error, out, err) =>
      resolve([error?.code ?? 0, out, err]),
    )
  })
}

describe('installing', () => {
  test('says one line, prints nothing, and is done once', async () => {
    const folder = clone(0)
    expect(await setUp(folder)).toEqual([
      0,
      '',
      'Installing the packages of package-lock.json, which takes about a minute …\n',
    ])
    expect(await setUp(folder)).toEqual([0, '', ''])
  })

  test('that fails shows all that npm said, and ends as npm did', async () => {
    const [code, out, err] = await setUp(clone(7))
    expect([code, out]).toEqual([7, ''])
    expect(err).toMatch(/npm warn EBADENGINE 1\n/)
    expect(err).toContain('npm warn EBADENGINE 12\n')
    expect(err).toContain('added 374 packages\n')
  })
})

describe('npm test', () => {
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  test('says at once, and again every ten seconds, how far it is', async () => {
    vi.useFakeTimers()
    const { default: Progress } = (await import(join(ci, 'progress.mjs'))) as {
      default: new () => Record<
        'onTestRunStart' | 'onTestCaseResult' | 'onTestModuleEnd' | 'onTestRunEnd',
        (of?: unknown) => void
      >
    }
    const said: string[] = []
    vi.spyOn(console, 'log').mockImplementation((text: string) => void said.push(text.replace(/\d+ s:/, 's:').trim()))
    const progress = new Progress()
    progress.onTestRunStart([1, 2, 3])
    expect(said).toEqual(['s: 0 tests, 0 of 3 files'])
    progress.onTestCaseResult({ result: () => ({ state: 'passed' }) })
    progress.onTestCaseResult({ result: () => ({ state: 'failed' }) })
    progress.onTestModuleEnd()
    vi.advanceTimersByTime(10_000)
    expect(said.slice(1)).toEqual(['s: 2 tests, 1 of 3 files, 1 failed'])
    vi.advanceTimersByTime(20_000)
    progress.onTestRunEnd()
    vi.advanceTimersByTime(60_000)
    expect(said).toHaveLength(4)
  })
})
