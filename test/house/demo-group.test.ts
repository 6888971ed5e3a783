/** The demo of groups, in a short form: whatever happens to its processes, every value is that of a run by one. */
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { run } from '../support/blocks.js'
import { temporaryFolder } from '../support/storages.js'

const main = fileURLToPath(new URL('../../demo/group/main.mjs', import.meta.url))
const ACTS = [
  'split into 16',
  'a fifth, e, joins',
  'b is killed',
  'c is frozen',
  'c is thawed',
  'd leaves',
  '6',
  'f joins',
]

const left = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('tidemark-group-'))

test('processes that are killed, frozen, join and leave, while shards are split and merged, count each flight once', async () => {
  const before = left()
  const folder = temporaryFolder()
  const { code, output } = await run(process.execPath, [main, '--seconds', '15', '--flights', '10000'], folder)
  expect([output, code]).toEqual([expect.stringMatching(/ run by one process: all [\d,]{5,} values are equal\.\n$/), 0])
  // A row of the table for each act, and a line when it begins.
  for (const act of ACTS) expect(output.split(act).length - 1, act).toBeGreaterThanOrEqual(2)
  expect(output).toMatch(/A member with nothing to do made 1\.\d swaps/)
  // It leaves nothing.
  expect(left().filter((name) => !before.includes(name))).toEqual([])
  expect(readdirSync(folder)).toEqual([])
}, 300_000)

test.each([
  [['--seconds', 'abc'], '--seconds takes a number from 5 to 3600'],
  [['--flights', '0'], '--flights takes a whole number above 0'],
  [['--fast'], "Unknown option '--fast'"],
])('it refuses %j in one sentence', async (args, sentence) => {
  const { code, output } = await run(process.execPath, [main, ...args], temporaryFolder())
  expect({ code, output }).toEqual({ code: 1, output: `demo: ${sentence}.\n` })
})
