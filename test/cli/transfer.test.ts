/** The commands that move versions: push, pull, export and import. */
import { existsSync, readdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import type { Store } from 'tidemark'
import { expect, test } from 'vitest'
import { schemeOf } from '../../src/cli/where.js'
import { cli, parseLines, storeWith, temporaryFolder } from '../support/cli.js'

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
  expect((await cli(['import', fresh, zip])).out).toMatch(
    /^Version 3 of the archive is version 1 of store "orders" in /,
  )
  expect(await valueIn(fresh)).toBe('2')
  expect((await cli(['import', fresh, zip])).err).toMatch(/CONFLICT/)
  truncateSync(zip, 100)
  const cut = await cli(['import', join(files, 'other'), zip, '--store', 'orders'])
  expect(cut.err).toMatch(/CORRUPT/)
  expect((await cli(['get', join(files, 'other'), 'n'])).code).toBe(1)
  expect((await cli(['import', fresh, join(files, 'none.zip'), '--force'])).err).toMatch(/NOT_FOUND/)
})

/** The archive that export writes to stdout. */
async function archiveOf(folder: string, ...more: string[]): Promise<{ bytes: Buffer; code: number; err: string }> {
  const stdout = new PassThrough()
  const chunks: Buffer[] = []
  stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  const { code, err } = await cli(['export', folder, '-', ...more], { stdout })
  return { bytes: Buffer.concat(chunks), code, err }
}

test('export writes to stdout and import reads from stdin when the file is -', async () => {
  const folder = await threeVersions()
  const { bytes, code, err } = await archiveOf(folder, '--at', '3')
  expect([code, err]).toEqual([0, ''])
  // The archive, and not a word besides.
  const zip = join(temporaryFolder(), 'x.zip')
  await cli(['export', folder, zip, '--at', '3'])
  expect(bytes.equals(readFileSync(zip))).toBe(true)
  expect((await archiveOf(folder, '--at', '3', '--json')).bytes.equals(bytes)).toBe(true)
  const fresh = join(temporaryFolder(), 'fresh')
  const pieces = Array.from({ length: Math.ceil(bytes.length / 100) }, (_, i) => bytes.subarray(i * 100, i * 100 + 100))
  const imported = await cli(['import', fresh, '-'], { stdin: Readable.from(pieces) })
  expect(imported).toMatchObject({ code: 0, err: '' })
  expect(imported.out).toContain('of store "orders" in')
  expect(await valueIn(fresh)).toBe('2')
  const cut = await cli(['import', join(fresh, 'no'), '-'], { stdin: Readable.from([bytes.subarray(0, 90)]) })
  expect([cut.code, cut.err]).toEqual([1, expect.stringMatching(/CORRUPT: The archive is cut off/) as string])
  expect(existsSync(join(process.cwd(), '-'))).toBe(false)
})

test('a terminal is no place for an archive, and none comes from there', async () => {
  const folder = await threeVersions()
  const stdout = Object.assign(new PassThrough(), { isTTY: true })
  expect((await cli(['export', folder, '-'], { stdout })).err).toMatch(
    /INVALID_ARGUMENT: An archive is not for a terminal/,
  )
  expect(stdout.read()).toBeNull()
  const stdin = Object.assign(Readable.from([]), { isTTY: true })
  const { err } = await cli(['import', join(folder, 'x'), '-'], { stdin })
  expect(err).toMatch(/INVALID_ARGUMENT: No archive comes from a terminal/)
})

test('an archive goes to the store of the name that it has, beside others, unless --store says another', async () => {
  const folder = await threeVersions()
  const zip = join(temporaryFolder(), 'x.zip')
  await cli(['export', folder, zip])
  const other = await storeWith(
    async (store) => {
      store.put('n', 'other')
      await store.commit()
    },
    { name: 'other' },
  )
  expect((await cli(['import', other, zip])).code).toBe(0)
  expect(await valueIn(other, '--store', 'orders')).toBe('3')
  expect(await valueIn(other, '--store', 'other')).toBe('"other"')
  expect(JSON.parse((await cli(['import', other, zip, '--store', 'third', '--json'])).out)).toMatchObject({
    name: 'third',
  })
  expect(await valueIn(other, '--store', 'third')).toBe('3')
})

test('backups lists what push has tagged, and what was tagged by hand', async () => {
  const folder = await threeVersions()
  const to = join(temporaryFolder(), 'backup')
  await cli(['push', folder, to, '--at', '2', '--tag', 'monday'])
  await cli(['push', folder, to, '--tag', 'tuesday'])
  const { code, out } = await cli(['backups', to])
  expect(code).toBe(0)
  expect(out.split('\n').map((line) => line.split(/ +/)[0])).toEqual(['backup', 'monday', 'tuesday', ''])
  expect(parseLines((await cli(['backups', to, '--json'])).out)).toMatchObject([
    { name: 'monday' },
    { name: 'tuesday' },
  ])
  expect((await cli(['backups', folder, '--json'])).out).toContain('"three"')
  await cli(['untag', folder, 'three'])
  expect((await cli(['backups', folder])).out).toBe('Store "orders" has no tagged version.\n')
})

test.each(['s3:/bucket/x', 's3:bucket', 'S3:x', 'file:///tmp/x', 'http:x', 'gs://bucket/x', 'c:\\state', 'c:x'])(
  'what looks like an address is never taken for a folder or a file: %s',
  async (address) => {
    const folder = await threeVersions()
    const cwd = temporaryFolder()
    for (const args of [
      ['push', folder, address],
      ['pull', address, folder],
      ['pull', folder, address],
      ['import', address, join(folder, 'x.zip')],
      ['import', join(cwd, 'new'), address],
      ['export', folder, address],
      ['inspect', address],
      ['put', address, 'k', '1'],
      ['destroy', address, '--yes'],
    ]) {
      const { code, err } = await cli(args, { cwd })
      expect([args, code, err]).toEqual([
        args,
        1,
        expect.stringMatching(/^tidemark: INVALID_ARGUMENT: .*s3:|address/) as string,
      ])
    }
    expect(readdirSync(cwd)).toEqual([])
  },
)

test('a letter before a colon is a drive on Windows, and a folder with a colon can be named', async () => {
  expect(
    ['C:\\state', 'd:x', 's3:x', './a:b', '/a:b', 'state', '12:30'].map((text) => schemeOf(text, 'win32')),
  ).toEqual([undefined, undefined, 's3', undefined, undefined, undefined, undefined])
  expect(schemeOf('C:\\state', 'linux')).toBe('c')
  const folder = await threeVersions()
  const cwd = temporaryFolder()
  expect((await cli(['push', folder, './a:b'], { cwd })).code).toBe(0)
  expect((await cli(['get', './a:b', 'n'], { cwd })).out).toBe('3\n')
})
