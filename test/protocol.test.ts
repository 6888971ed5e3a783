/** Each rule of docs/protocol.md has a mutation that leaves it out, and a test that catches that. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const { mutations } = (await import('./mutations.mjs' as string)) as {
  mutations: Record<string, { rule: string; edits: readonly { file: string; find: string }[] }>
}

const root = join(import.meta.dirname, '..')
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
    .map((section) => [/^R\d+(?=: )/.exec(section)?.[0], section]),
)

/** A rule in the title of a test, and behind it the mutation which that test has to catch. */
const CATCHES = /['"`](R\d+)\b[^'"`\n]*['"`],\s*'(\w+)'/g
const caught = files('test', '.test.ts')
  .map(read)
  .filter((text) => text.includes("from './support/mutated.js'"))
  .flatMap((text) => [...text.matchAll(CATCHES)].map(([, rule, mutation]) => `${rule} ${mutation}`))

/** Rules without a mutation yet. The list may only get shorter. */
const NOT_YET = [
  'R10: A manifest names only blobs that its store holds',
  'R16: A repetition is built anew',
  'R34: A condemned blob is not named',
  'R37: A pin that is over goes before its objects',
  'R39: A missing object is looked up again before it counts as damage',
  'R40: Reads hold their state',
  'R54: Room is made through another descriptor',
]

test('the rules are numbered in their order, and each says what goes wrong without it', () => {
  expect([...rules.keys()]).toEqual([...rules.keys()].map((_, i) => `R${i + 1}`))
  const silent = [...rules].filter(([, section]) => !section.includes('\nWithout it: '))
  expect(silent.map(([rule]) => rule)).toEqual([])
})

test('each rule has a mutation, but for those of a list', () => {
  const named = new Set(Object.values(mutations).map(({ rule }) => rule))
  const without = [...rules].filter(([rule]) => !named.has(rule!))
  expect(without.map(([, section]) => section.split('\n')[0])).toEqual(NOT_YET)
  expect([...named].filter((rule) => !rules.has(rule))).toEqual([])
})

test.each(Object.entries(mutations))('%s is caught by a test with its rule in the title', (name, { rule }) => {
  expect(caught).toContain(`${rule} ${name}`)
})

test.each(Object.entries(mutations))('%s finds each of its texts once', (_, { edits }) => {
  const found = edits.map(({ file, find }) => [file, find, read(file).split(find).length - 1])
  expect(found).toEqual(edits.map(({ file, find }) => [file, find, 1]))
})

test('the code cites rules that there are', () => {
  const cited = [...files('src', '.ts'), ...files('adapters', '.ts')].flatMap((file) =>
    [...read(file).matchAll(/\((R\d+(?:, R\d+)*)\)/g)].flatMap(([, list]) => list!.split(', ')),
  )
  expect(cited.length).toBeGreaterThan(10)
  expect(cited.filter((rule) => !rules.has(rule))).toEqual([])
})
