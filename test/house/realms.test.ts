/** Where the library is not alone: in a realm of its own, as test runners give it, and at the bottom of a small stack. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createContext, runInContext, runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, isTidemarkError, type Codec } from 'tidemark'
import { memory } from 'tidemark/memory'
import { bundled, type Bundled } from '../support/bundled.js'
import { collect } from '../support/storages.js'

let library: Bundled
beforeAll(async () => {
  library = await bundled()
})
afterAll(() => library.remove())

/** Test runners hand these over; all else is of the realm itself. */
const platform = {
  TextEncoder,
  TextDecoder,
  performance,
  crypto,
  atob,
  btoa,
  AbortController,
  AbortSignal,
  DOMException,
  setTimeout,
  clearTimeout,
  setImmediate,
  MessageChannel,
  console,
  process,
  Buffer,
}

const foreign = <T>(code: string): T => runInNewContext(code) as T

describe('a realm of its own beside the platform of another, as jest and jsdom have it', () => {
  test.each(['memory', 'nodeFs'])('stores, folds, reopens and reads everything on %s', async (adapter) => {
    const context = createContext({
      ...platform,
      module: { exports: {} },
      require: createRequire(import.meta.url),
      folder: join(library.folder, 'state'),
      adapter,
    })
    runInContext(`const { exports } = module; ${readFileSync(library.file, 'utf8')}`, context)
    const result = (await runInContext(
      `(async () => {
        const { openStore, memory, nodeFs } = module.exports
        const storage = adapter === 'memory' ? memory() : nodeFs(folder)
        let store = await openStore({ storage, name: 's', partitions: 2, checkpoint: { entries: 2 } })
        const values = { plain: { a: [1, { b: null }] }, bytes: new Uint8Array([1, 2]), map: new Map([[1, new Set([2n])]]), at: new Date(5) }
        for (const [key, value] of Object.entries(values)) {
          store.put(['k', key, new Uint8Array([7]), new Date(1), null], value)
          await store.commit({ offsets: { source: { 0: 1 } }, meta: { by: key } })
        }
        store.put(Buffer.from('key'), Buffer.from('value'))
        await store.commit()
        await store.checkpoint()
        await store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) ?? 0) + 1))
        const snapshot = await store.snapshot()
        const past = await store.at(new Date(Date.now() + 1000))
        await store.close()
        store = await openStore({ storage, name: 's' })
        const seen = []
        for await (const [key, value] of store.entries()) seen.push([key, value])
        const deep = await store.get(['k', 'map', new Uint8Array([7]), new Date(1), null])
        await store.close()
        return {
          count: seen.length,
          map: deep instanceof Map && deep.get(1).has(2n),
          bytes: (await 0, seen.find(([key]) => key[1] === 'bytes')[1]) instanceof Uint8Array,
          keys: seen.every(([key]) => !Array.isArray(key) || (key[2] instanceof Uint8Array && key[3] instanceof Date)),
        }
      })()`,
      context,
    )) as object
    expect({ ...result }).toEqual({ count: 6, map: true, bytes: true, keys: true })
  })
})

describe('what comes from another realm', () => {
  test('is a key, a bound, a date, an offset and a codec’s bytes like any other', async () => {
    const storage = memory()
    const store = await openStore({ storage, name: 's', freeze: true })
    for (const [code, own] of [
      ['new Uint8Array([7])', Uint8Array.of(7)],
      ['new Date(5)', new Date(5)],
      ['["a", new Date(5), new Uint8Array([7]), [null]]', ['a', new Date(5), Uint8Array.of(7), [null]]],
    ] as const) {
      const key: never = foreign(code)
      store.put(key, code)
      await store.commit({ offsets: foreign('({ source: { 0: 5 } })'), meta: foreign('({ a: [1] })') })
      expect(await store.get(own)).toBe(code)
      expect(await collect(store.keys({ gte: key, lte: key }))).toStrictEqual([own])
    }
    const at = await store.at(foreign<Date>(`new Date(${Date.now() + 60_000})`))
    expect(at.version).toBe(store.version)
    // Frozen as deeply as what is of this realm.
    const value = foreign<{ map: Map<string, { a: number }> }>('({ map: new Map([["in", { a: 1 }]]), list: [{}] })')
    store.put('value', value)
    expect([value, value.map.get('in')].every(Object.isFrozen)).toBe(true)
    store.discard()
    const codec: Codec<string> = {
      id: 'foreign',
      encode: (text) => foreign<Uint8Array>(`new Uint8Array([${[...Buffer.from(text)].join()}])`),
      decode: (bytes) => Buffer.from(bytes).toString(),
    }
    const table = store.table<string, string>('coded', { codec })
    table.put('k', 'text')
    await store.commit()
    expect(await table.get('k')).toBe('text')
    await store.close()
  })

  test('is waited for and told apart by what it does: promises and errors too', async () => {
    const schema = foreign<never>(
      `({ '~standard': { version: 1, vendor: 'x', validate: () => Promise.reject(new Error('late')) } })`,
    )
    const store = await openStore({ storage: memory(), name: 's', schema })
    expect(() => store.put('a', 1)).toThrow(/answer at once/)
    await store.close()
    expect(isTidemarkError(foreign(`Object.assign(new Error('x'), { name: 'TidemarkError', code: 'FENCED' })`))).toBe(
      true,
    )
    expect([undefined, null, 5, 'TidemarkError', new Error('x')].some(isTidemarkError)).toBe(false)
  })

  test('may be a Promise of the program’s own: what the platform gives is waited for all the same', async () => {
    const platform = globalThis.Promise
    const store = await openStore({ storage: memory(), name: 's', partitions: 3, cacheBytes: 1 })
    for (let i = 0; i < 20; i++) store.put(i, { i })
    await store.commit()
    await store.checkpoint()
    store.put('last', 1)
    await store.commit()
    // The promises of async functions are no instances of it.
    globalThis.Promise = class extends platform<unknown> {} as never
    try {
      expect((await collect(store.keys())).length).toBe(21)
      expect(await store.getMany([1, 2])).toEqual([{ i: 1 }, { i: 2 }])
      expect(await store.get(7)).toEqual({ i: 7 })
    } finally {
      globalThis.Promise = platform
    }
    await store.close()
  })
})

test('what is acknowledged is read on the smallest stack, and at the bottom of a deep one', () => {
  const program = join(library.folder, 'small.cjs')
  writeFileSync(
    program,
    `const { openStore, nodeFs } = require(${JSON.stringify(library.file)})
    const nest = (depth, wrap) => { let value = 5n; for (let i = 0; i < depth; i++) value = wrap(value); return value }
    const wraps = [[500, (v) => ({ a: v })], [500, (v) => [v]], [250, (v) => new Set([v])], [166, (v) => new Map([[1, v]])]]
    const key = (() => { let key = 1; for (let i = 0; i < 128; i++) key = [key]; return key })()
    ;(async () => {
      const writes = process.argv[2] === 'write'
      const store = await openStore({ storage: nodeFs(process.argv[3]), name: 's', resident: !writes })
      if (writes) {
        for (const [i, [depth, wrap]] of wraps.entries()) store.put(i, nest(depth, wrap))
        store.put(key, 'deep key')
        store.put(new Uint8Array(65_000), 'long key')
        await store.commit({ meta: JSON.parse('['.repeat(500) + ']'.repeat(500)) })
      } else {
        for (const i of wraps.keys()) await store.get(i)
        for await (const [key, value] of store.entries()) void value
        for await (const { meta } of store.versions()) void meta
        // As far down as a call still goes through: it is read, or it is the stack that is too small; never damage.
        let read = 0
        const codes = new Set()
        const down = () => {
          try {
            down()
          } catch {}
          if (read === 200) return
          try {
            for (const i of wraps.keys()) store.getSync(i)
            store.getSync(new Uint8Array(65_000))
            read++
          } catch (error) {
            codes.add(error.code)
          }
        }
        down()
        console.log(read, ...codes)
      }
      await store.close()
    })()`,
  )
  const run = (flag: string, ...args: string[]): string =>
    execFileSync(process.execPath, [flag, program, ...args], { encoding: 'utf8' }).trim()
  const folder = join(library.folder, 'deep')
  run('--stack-size=984', 'write', folder)
  // An error without a code is that of the platform.
  expect(run('--stack-size=110', 'read', folder)).toBe('200 undefined')
})
