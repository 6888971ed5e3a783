import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, filesOf, storeWith } from '../support/cli.js'

const folder = (): Promise<string> =>
  storeWith(async (store) => {
    store.put('a', 1)
    await store.commit()
    await store.checkpoint()
  })

test('verify says that a sound store is sound, writes nothing, and draws no bar into a pipe', async () => {
  const where = await folder()
  const before = filesOf(where)
  const { code, out, err } = await cli(['verify', where])
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(
    /^store {4}orders\nversion {2}2, the newest entry is 3\nkept {5}from version 2 on\ntags {5}none\nforks {4}none\nread {5}3 entries and 1 segments, .*\norphans {2}none\ndamage {3}none\n$/,
  )
  expect(filesOf(where)).toEqual(before)
})

test('verify lists what is damaged and ends with CORRUPT and 1, for people and for programs', async () => {
  const where = await folder()
  const name = readdirSync(where, { recursive: true, encoding: 'utf8' }).find((path) =>
    /seg\/[0-9a-f]{32}$/.test(path),
  )!
  const bytes = readFileSync(join(where, name))
  bytes[20]! ^= 1
  writeFileSync(join(where, name), bytes)
  const people = await cli(['verify', where])
  expect([people.code, people.err]).toEqual([
    1,
    'tidemark: CORRUPT: Store "orders" has a damaged object; restore what is listed from a backup.\n',
  ])
  expect(people.out).toContain(name)
  const programs = await cli(['verify', where, '--json'])
  expect(programs.code).toBe(1)
  expect(JSON.parse(programs.out)).toMatchObject({ ok: false, damages: [{ object: name, code: 'CORRUPT' }] })
  expect(JSON.parse(programs.err)).toMatchObject({ error: { code: 'CORRUPT' } })
})
