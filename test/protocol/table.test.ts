/** Each rule of docs/protocol.md has a test that fails when the rule is left out of the sources, and code that cites it. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listRules } from '../support/mutated.js'

const root = join(import.meta.dirname, '../..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const files = (folder: string, end: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).flatMap((name) =>
    name.endsWith(end) ? [`${folder}/${name}`] : [],
  )

/** The sections of the page, by the number of their rule. */
const rules = new Map(
  read('docs/protocol.md')
    .split(/^### /m)
    .slice(1)
    .map((section) => [/^[RSGA]\d+(?=: )/.exec(section)?.[0], section]),
)
/** Rules of one log (R), of succession (S), of groups (G) and of assignment (A) are numbered each by themselves. */
const lettered = (letter: string): string[] => [...rules.keys()].flatMap((rule) => (rule?.[0] === letter ? rule : []))

const tested = await listRules(async () => {
  const others = files('test/protocol', '.test.ts').filter((file) => !file.endsWith('/table.test.ts'))
  // Under other names than those by which the runner knows them.
  for (const file of others) await import(/* @vite-ignore */ `../../${file}?list`)
})

test('the rules are numbered in their order, and each says what goes wrong without it', () => {
  expect([...rules.keys()].filter((rule) => rule === undefined)).toEqual([])
  expect(lettered('R')).toEqual(lettered('R').map((_, i) => `R${i + 1}`))
  const numbers = ['S', 'G', 'A'].map((letter) => lettered(letter).map((rule) => Number(rule.slice(1))))
  expect(numbers).toEqual(numbers.map((list) => [...new Set(list)].toSorted((a, b) => a - b)))
  const silent = [...rules].filter(([, section]) => !section.includes('\nWithout it: '))
  expect(silent.map(([rule]) => rule)).toEqual([])
})

test('each rule has a test that catches a mutation, and each such test is of a rule', () => {
  expect(new Set<unknown>(tested.map(({ number }) => number))).toEqual(new Set(rules.keys()))
  expect(tested.filter(({ edits }) => edits.length === 0)).toEqual([])
})

test.each(tested)('the edits that leave $number out find each of their texts once: $title', ({ edits }) => {
  const found = edits.map(({ file, find }) => [file, find, read(file).split(find).length - 1])
  expect(found).toEqual(edits.map(({ file, find }) => [file, find, 1]))
})

test('the code cites each rule, and only rules that there are', () => {
  const cited = [...files('src', '.ts'), ...files('adapters', '.ts')].flatMap((file) =>
    [...read(file).matchAll(/\(([RSGA]\d+(?:, [RSGA]\d+)*)\)/g)].flatMap(([, list]) => list!.split(', ')),
  )
  expect([...rules.keys()].filter((rule) => !cited.includes(rule!))).toEqual([])
  expect(cited.filter((rule) => !rules.has(rule))).toEqual([])
})
