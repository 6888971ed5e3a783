/** docs/options.md is what the sources say, and they say of each option all that its reader needs. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from '../support/blocks.js'

interface Option {
  readonly name: string
  readonly type: string
  readonly isNumber: boolean
  readonly isRequired: boolean
  readonly docs: Readonly<Record<string, string | undefined>>
  readonly file: string
  readonly line: number
}

const { page, sections } = (await import(join(root, '.ci/options.mjs'))) as {
  page: () => string
  sections: () => { readonly calls: readonly string[]; readonly title?: string; readonly options: readonly Option[] }[]
}
const all = sections()
const options = all.flatMap((section) => section.options)
const lacking = (isFine: (option: Option) => boolean): string[] =>
  options.filter((option) => !isFine(option)).map(({ name, file, line }) => `${file}:${line}: ${name}`)

test('docs/options.md is up to date (npm run docs:options)', () => {
  expect(readFileSync(join(root, 'docs/options.md'), 'utf8')).toBe(page())
})

test('the functions and methods that take options are found', () => {
  const calls = all.flatMap((section) => section.calls)
  const some = [
    'openStore()',
    '.table()',
    '.commit()',
    '.toArray()',
    '.restore()',
    's3()',
    'indexedDb()',
    'consume()',
    'push()',
  ]
  expect(some.filter((call) => !calls.includes(call))).toEqual([])
  const names = new Set(all.find(({ title }) => title === 'OpenOptions')!.options.map(({ name }) => name))
  expect(['storage', 'codec', 'retain.versions'].filter((name) => !names.has(name))).toEqual([])
})

describe('each option', () => {
  test('says what it does', () => {
    expect(lacking(({ docs }) => (docs.text ?? '') !== '')).toEqual([])
  })

  test('has a default, or has to be given', () => {
    expect(lacking(({ docs, isRequired }) => isRequired !== ((docs.default ?? '') !== ''))).toEqual([])
  })

  test('that is a number has a unit', () => {
    expect(options.filter(({ isNumber }) => isNumber).length).toBeGreaterThan(30)
    expect(lacking(({ docs, isNumber }) => !isNumber || (docs.unit ?? '') !== '')).toEqual([])
  })

  test('says when to change it', () => {
    expect(lacking(({ docs }) => /^[A-Z].*\.$/.test(docs.when ?? ''))).toEqual([])
  })
})
