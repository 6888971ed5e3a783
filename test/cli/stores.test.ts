/** Several stores in one place: which one a command without --store is about, and taking one away. */
import { Readable } from 'node:stream'
import { openStore, type Clock } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { destroyStore } from 'tidemark/tools'
import { describe, expect, test } from 'vitest'
import { cli, filesOf, parseLines, temporaryFolder, type Ran } from '../support/cli.js'
import { steadyClock } from '../support/example.js'

const HOUR = 3_600_000
/** A clock that stands so many hours later. */
function clockAt(hours: number): Clock {
  const clock = steadyClock()
  return { ...clock, now: () => clock.now() + hours * HOUR }
}

async function make(folder: string, name: string, hours: number): Promise<void> {
  const store = await openStore({ storage: nodeFs(folder), name, clock: clockAt(hours) })
  store.put('k', name)
  await store.commit()
  await store.close()
}

const value = async (folder: string, ...more: string[]): Promise<Ran> => cli(['get', folder, 'k', ...more])

describe('without --store', () => {
  test('a fork changes nothing: commands go on with the store that it was forked from', async () => {
    const folder = temporaryFolder()
    await make(folder, 'orders', 0)
    // It comes before the other in the alphabet, and a clock that was set back makes it the older one.
    await cli(['fork', folder, 'a-fork'], { clock: clockAt(-5) })
    expect(await value(folder)).toEqual({ code: 0, out: '"orders"\n', err: '' })
    expect((await cli(['put', folder, 'k', '5'])).out).toMatch(/^Written as version \d+ of store "orders"\.\n$/)
    expect((await cli(['versions', folder])).code).toBe(0)
    expect((await value(folder, '--store', 'a-fork')).out).toBe('"orders"\n')
    expect((await cli(['verify', folder])).out).toContain('store    orders')
    // A fork of the fork is one, too.
    await cli(['fork', folder, 'aa', '--store', 'a-fork'])
    expect((await value(folder)).out).toBe('5\n')
  })

  test('the oldest store is meant, whatever is made later, and a note says so', async () => {
    const folder = temporaryFolder()
    await make(folder, 'm', 1)
    await make(folder, 'a', 2)
    await make(folder, 'z', 3)
    const { code, out, err } = await value(folder)
    expect([code, out]).toEqual([0, '"m"\n'])
    expect(err).toBe('tidemark: This is about "m", the oldest of 3 stores; --store names another one.\n')
    expect(JSON.parse((await value(folder, '--json')).err)).toEqual({ note: expect.stringContaining('"m"') as string })
  })

  test('a fork is meant only when nothing else is there', async () => {
    const folder = temporaryFolder()
    await make(folder, 'orders', 0)
    await cli(['fork', folder, 'what-if'], { clock: clockAt(1) })
    await make(folder, 'later', 2)
    await destroyStore({ storage: nodeFs(folder), name: 'orders' })
    expect((await value(folder)).out).toBe('"later"\n')
    await destroyStore({ storage: nodeFs(folder), name: 'later' })
    expect((await value(folder)).out).toBe('"orders"\n')
    expect((await cli(['inspect', folder])).out).toMatch(/^store {7}what-if\nfork of {5}orders\n/)
  })

  test('what a fork is goes along when it is copied, archived, restored and folded', async () => {
    const folder = temporaryFolder()
    await make(folder, 'orders', 0)
    await cli(['fork', folder, 'what-if'], { clock: clockAt(-1) })
    const fork = await openStore({ storage: nodeFs(folder), name: 'what-if' })
    for (let i = 0; i < 40; i++) {
      fork.put('k', i)
      await fork.commit()
    }
    await fork.checkpoint()
    await fork.restore(fork.version)
    await fork.close()
    const copy = `${folder}/copy`
    expect((await cli(['push', folder, copy, '--store', 'what-if'])).code).toBe(0)
    const zip = `${folder}/x.zip`
    expect((await cli(['export', copy, zip])).code).toBe(0)
    const last = `${folder}/last`
    expect((await cli(['import', last, zip])).code).toBe(0)
    await make(last, 'orders', 0)
    for (const where of [folder, last]) expect((await value(where)).out).toBe('"orders"\n')
  })

  test('inspect shows the store that is meant, and a list of all', async () => {
    const folder = temporaryFolder()
    await make(folder, 'orders', 0)
    expect((await cli(['inspect', folder])).out).not.toContain('fork of')
    await cli(['fork', folder, 'what-if'])
    const { code, out, err } = await cli(['inspect', folder])
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^store {7}orders\n[^]*\nstore {4}version .* fork of\norders [^]*\nwhat-if .* orders\n$/)
    const [facts] = parseLines((await cli(['inspect', folder, '--json'])).out)
    expect(facts).toMatchObject({
      name: 'orders',
      stores: [
        { name: 'orders', parent: null },
        { name: 'what-if', parent: 'orders' },
      ],
    })
    const [one] = parseLines((await cli(['inspect', folder, '--json', '--store', 'what-if'])).out)
    expect(one).toMatchObject({ name: 'what-if', parent: 'orders' })
    expect(one).not.toHaveProperty('stores')
  })
})

test('stores lists them, the one that is meant first, and changes nothing', async () => {
  const folder = temporaryFolder()
  expect((await cli(['stores', folder])).out).toMatch(/^There is no store in /)
  await make(folder, 'orders', 0)
  await make(folder, 'a', 1)
  await cli(['fork', folder, 'what-if', '--store', 'orders'])
  const before = filesOf(folder)
  const { code, out } = await cli(['stores', folder])
  expect(code).toBe(0)
  expect(out.split('\n').map((line) => line.split(/ +/)[0])).toEqual(['store', 'orders', 'a', 'what-if', ''])
  const lines = parseLines((await cli(['stores', folder, '--json'])).out)
  expect(lines).toMatchObject([
    { name: 'orders', version: 2, parent: null, mode: 'exclusive' },
    { name: 'a', version: 2, parent: null },
    { name: 'what-if', version: 1, parent: 'orders' },
  ])
  expect(filesOf(folder)).toEqual(before)
})

describe('destroy', () => {
  const typing = (text: string): Readable & { isTTY: boolean } => Object.assign(Readable.from([text]), { isTTY: true })

  test('asks for --yes where nobody can be asked, and for --store when there are several', async () => {
    const folder = temporaryFolder()
    await make(folder, 'orders', 0)
    const before = filesOf(folder)
    const { code, err } = await cli(['destroy', folder])
    expect([code, err]).toEqual([1, expect.stringMatching(/^tidemark: INVALID_ARGUMENT: .*"orders".*--yes/) as string])
    await make(folder, 'other', 1)
    expect((await cli(['destroy', folder, '--yes'])).err).toMatch(/There are 2 stores .*--store/)
    expect(filesOf(folder)).toMatchObject(before)
    expect((await cli(['destroy', folder, '--yes', '--store', 'none'])).err).toMatch(/NOT_FOUND/)
    expect(await cli(['destroy', folder, '--yes', '--store', 'other'])).toEqual({
      code: 0,
      out: 'Store "other" is gone.\n',
      err: '',
    })
    expect((await value(folder)).out).toBe('"orders"\n')
  })

  test.each([
    ['orders\n', 0],
    ['yes\n', 1],
    ['', 1],
  ])('at a terminal is done only when the name is typed: %j', async (typed, exit) => {
    const folder = temporaryFolder()
    await make(folder, 'orders', 0)
    let said = ''
    const { PassThrough } = await import('node:stream')
    const stderr = Object.assign(new PassThrough(), { isTTY: true })
    stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const { code } = await cli(['destroy', folder], { stdin: typing(typed), stderr })
    expect(said).toContain('This removes store "orders"')
    expect(code).toBe(exit)
    expect((await value(folder)).code).toBe(exit === 0 ? 1 : 0)
  })

  test('names the forks that have to go first', async () => {
    const folder = temporaryFolder()
    const store = await openStore({ storage: nodeFs(folder), name: 'orders' })
    store.put('k', 1)
    await store.commit()
    await store.checkpoint()
    await store.commit()
    await store.fork('what-if')
    await store.close()
    expect((await cli(['destroy', folder, '--yes', '--store', 'orders'])).err).toMatch(/CONFLICT: .*"what-if"/)
    expect((await cli(['destroy', folder, '--yes', '--store', 'what-if'])).code).toBe(0)
    expect((await cli(['destroy', folder, '--yes'])).code).toBe(0)
    expect((await cli(['stores', folder])).out).toMatch(/no store/)
  })
})
