/** The commands that move versions: push, pull, export and import. */
import { existsSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { Store } from 'tidemark'
import { expect, test } from 'vitest'
import { cli, parseLines, storeWith, temporaryFolder } from './support/cli.js'

const threeVersions = (): Promise<string> =>
  storeWith(async (store: Store) => {
    for (let i = 1; i <= 3; i++) {
      store.put('n', i)
      await store.commit()
    }
    await store.tag('three')
  })

const valueIn = async (folder: string, ...more: string[]): Promise<string> =>
  (await cli(['get', folder, 'n', '--json', ...more])).out.trim()

test('push copies to a folder that is made, says what moved, and again moves nothing', async () => {
  const folder = await threeVersions()
  const to = join(temporaryFolder(), 'deep', 'backup')
  const first = await cli(['push', folder, to, '--tag', 'daily'])
  expect(first).toMatchObject({ code: 0, err: '' })
  expect(first.out).toMatch(/^Version 4 is version 1 in .*backup: /)
  expect(await valueIn(to)).toBe('3')
  expect((await cli(['push', folder, to])).out).toMatch(/has version 4 already/)
  expect(parseLines((await cli(['inspect', to, '--json'])).out)[0]).toMatchObject({ tags: [{ name: 'daily' }] })
  // An older version of the same history becomes the newest one there.
  expect((await cli(['push', folder, to, '--at', '2', '--json'])).code).toBe(0)
  expect(await valueIn(to)).toBe('1')
})

test('pull brings it back, an older one by its tag; what has gone its own way needs --force', async () => {
  const folder = await threeVersions()
  const to = join(temporaryFolder(), 'backup')
  await cli(['push', folder, to, '--at', '3', '--tag', 'two'])
  await cli(['push', folder, to])
  const fresh = join(temporaryFolder(), 'fresh')
  expect(await cli(['pull', fresh, to, '--at', 'two', '--json'])).toMatchObject({ code: 0 })
  expect(await valueIn(fresh)).toBe('2')
  await cli(['restore', fresh, '1'])
  const refused = await cli(['pull', fresh, to])
  expect([refused.code, refused.err]).toEqual([1, expect.stringMatching(/CONFLICT/) as string])
  expect((await cli(['pull', fresh, to, '--force'])).code).toBe(0)
  expect(await valueIn(fresh)).toBe('3')
})

test('export and import move a version as a zip; a cut archive is refused and leaves nothing', async () => {
  const folder = await threeVersions()
  const files = temporaryFolder()
  const zip = join(files, 'store.zip')
  expect((await cli(['export', folder, zip, '--at', '3'])).out).toMatch(/store\.zip holds store "\w+", [\d.]+ /)
  expect(readFileSync(zip).subarray(0, 2).toString()).toBe('PK')
  expect((await cli(['export', folder, zip])).err).toMatch(/INVALID_ARGUMENT.*exists already/s)
  expect((await cli(['export', folder, zip, '--at', '3', '--force'])).code).toBe(0)
  expect(existsSync(`${zip}.partial`)).toBe(false)
  const fresh = join(files, 'fresh')
  expect((await cli(['import', fresh, zip])).err).toMatch(/--store/)
  expect((await cli(['import', fresh, zip, '--store', 'orders', '--json'])).code).toBe(0)
  expect(await valueIn(fresh)).toBe('2')
  expect((await cli(['import', fresh, zip])).err).toMatch(/CONFLICT/)
  truncateSync(zip, 100)
  const cut = await cli(['import', join(files, 'other'), zip, '--store', 'orders'])
  expect(cut.err).toMatch(/CORRUPT/)
  expect((await cli(['get', join(files, 'other'), 'n'])).code).toBe(1)
  expect((await cli(['import', fresh, join(files, 'none.zip'), '--force'])).err).toMatch(/NOT_FOUND/)
})
