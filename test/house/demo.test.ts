import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { cli } from '../support/cli.js'

const main = fileURLToPath(new URL('../../demo/main.mjs', import.meta.url))
const FEWER = ['--flights', '6000', '--kills', '3', '--every', '200']

let folder: string
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'tidemark-demo-test-'))))
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Runs the demo; `watch` sees all of its output so far each time that there is more. */
function demo(
  args: string[],
  watch: (output: string, interrupt: () => void) => void = () => {},
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (chunk: Buffer): void => {
      output += chunk.toString()
      watch(output, () => child.kill('SIGINT'))
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}

const numbersIn = (line: string): number[] => (line.match(/[\d,]+/g) ?? []).map((n) => Number(n.replaceAll(',', '')))

describe('the demo', () => {
  test('survives being killed, with every value as in a run that was not, and then says that it is done', async () => {
    const { code, output } = await demo(FEWER)
    expect(output).toContain('Compared with a count that was never killed: all')
    expect(code).toBe(0)
    const restarts = [...output.matchAll(/killed in flight .*/g)].map(([line]) => numbersIn(line))
    expect(restarts.length).toBeGreaterThanOrEqual(2)
    let versionBefore = 0
    for (const [begun, from, version, again] of restarts as [number, number, number, number][]) {
      expect(from % 200).toBe(0)
      expect(again).toBe(Math.max(0, begun - from))
      expect(version).toBeGreaterThan(versionBefore)
      versionBefore = version
    }

    const second = await demo(FEWER)
    expect(second).toMatchObject({ code: 0, output: expect.stringContaining('12,000 flights are counted already') })
    expect(second.output).toContain('npm run demo -- --again')
    // The command lines that both end with can be run on the stores that are there.
    for (const ended of [output, second.output]) {
      const lines = ended.slice(ended.indexOf('What to try next:')).trimEnd().split('\n').slice(1)
      expect(lines).toHaveLength(5)
      for (const line of lines.filter((text) => text.includes('npx tidemark'))) {
        const args = /npx tidemark (.*?)(?: {2}|$)/.exec(line)![1]!.split(' ')
        const { code, out, err } = await cli(args, { cwd: folder })
        expect([line, code, err]).toEqual([line, 0, ''])
        expect(out.split('\n').length).toBeGreaterThan(3)
      }
    }
    const again = await demo([...FEWER, '--again', '--kills', '0'])
    expect(again).toMatchObject({ code: 0, output: expect.stringContaining('all') })
    expect(again.output).not.toContain('killed in flight')
  })

  test('that was interrupted goes on from its last commit', async () => {
    let waiting = true
    const first = await demo([...FEWER, '--kills', '0'], (output, interrupt) => {
      if (!waiting || !output.includes('20 %')) return
      waiting = false
      interrupt()
    })
    expect(first).toMatchObject({ code: 130, output: expect.stringContaining('goes on') })
    const second = await demo([...FEWER, '--kills', '0'])
    expect(second).toMatchObject({ code: 0, output: expect.stringContaining('flights were counted before') })
  })

  test('fails when a value is not as it should be', async () => {
    const storage = nodeFs(join(folder, '.tidemark'))
    const store = await openStore({ storage, name: 'flights', partitions: 4, job: 'flights-demo' })
    // Claims flights to be counted that are not.
    await store.commit({ offsets: { 'flights-20k': { 0: 100 } } })
    await store.close()
    const { code, output } = await demo([...FEWER, '--kills', '0'])
    expect(output).toContain('DIFFERENT')
    expect(code).toBe(1)
  })

  test.each([
    [['--flights', 'abc'], '--flights takes a whole number from 1 to 1,000,000, not "abc"'],
    [['--flights', '0'], '--flights takes a whole number from 1 to 1,000,000, not "0"'],
    [['--flights=-5'], '--flights takes a whole number from 1 to 1,000,000, not "-5"'],
    [['--flights', '-5'], "Option '--flights' argument is ambiguous"],
    [['--flights', '1.5'], '--flights takes a whole number from 1 to 1,000,000, not "1.5"'],
    [['--flights', '1e3'], '--flights takes a whole number from 1 to 1,000,000, not "1e3"'],
    [['--flights='], '--flights takes a whole number from 1 to 1,000,000, not ""'],
    [['--flights'], "Option '--flights <value>' argument missing"],
    [['--kills=-1'], '--kills takes a whole number from 0 to 1,000,000, not "-1"'],
    [['--every', '0'], '--every takes a whole number from 1 to 1,000,000, not "0"'],
    [['--every', '1000001'], '--every takes a whole number from 1 to 1,000,000, not "1000001"'],
    [
      ['--kills', '99999999999999999999'],
      '--kills takes a whole number from 0 to 1,000,000, not "99999999999999999999"',
    ],
    [['--again', '--fast'], "Unknown option '--fast'"],
    [['--again=yes'], "Option '--again' does not take an argument"],
    [['again'], "Unexpected argument 'again'"],
  ])('refuses %j in one sentence, and touches nothing', async (args, sentence) => {
    await mkdir(join(folder, '.tidemark'))
    expect(await demo([...args])).toEqual({ code: 1, output: `demo: ${sentence}.\n` })
    expect(await readdir(folder)).toEqual(['.tidemark'])
  })
})
