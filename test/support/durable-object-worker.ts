/**
 * Runs in workerd: Durable Objects of both kinds that have a store. `GET /<kind>/<object>/<act>?…` asks an object of that kind,
 * `sql`, `keys` or `bucket` (SQLite, with its blobs in a bucket), to do something; acts are below.
 */
import { openStore, type Storage, type Store } from 'tidemark'
import { durableObject, type DurableObjectStorageLike, type KeyValueLike } from 'tidemark/durable-object'
import { r2, type R2BucketLike } from 'tidemark/r2'
import { FEW_LOSSES } from './suite-loss.js'
import { allSuites } from './suites.js'

interface Env {
  readonly SQL: Namespace
  readonly KEYS: Namespace
  readonly BUCKET: R2BucketLike
  /** As in extent.ts; there is no environment here. */
  readonly WHOLE: boolean
}
interface Namespace {
  idFromName(name: string): unknown
  get(id: unknown): { fetch(url: string): Promise<Response> }
}
interface Context {
  readonly id: { toString(): string }
  readonly storage: DurableObjectStorageLike & { deleteAll(): Promise<void> }
  abort(reason: string): void
  blockConcurrencyWhile<T>(act: () => Promise<T>): Promise<T>
}

/** Calls that are made, by their names; `onCall` is told of each before it is made. */
interface Counts {
  [call: string]: number
}

/** Counts every call, of statements as of anything else. */
function counting<T extends object>(target: T, counts: Counts, onCall = (_name: string): void => undefined): T {
  return new Proxy(target, {
    get(from, name) {
      const value = Reflect.get(from, name) as unknown
      if (name === 'sql') return counting(value as object, counts, onCall)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        onCall(String(name))
        counts[String(name)] = (counts[String(name)] ?? 0) + 1
        const inner = args.map((arg) =>
          name === 'transaction' && typeof arg === 'function'
            ? (keys: KeyValueLike) => (arg as (keys: KeyValueLike) => unknown)(counting(keys, counts, onCall))
            : arg,
        )
        return Reflect.apply(value, from, inner) as unknown
      }
    },
  })
}

/** What Cloudflare refuses and workerd takes: larger keys and values, and more of them at once. */
function withinLimits<T extends KeyValueLike>(target: T): T {
  const keys = (all: readonly string[]): void => {
    if (all.length > 128) throw new Error(`${all.length} keys at once`)
    for (const key of all) if (key.length > 2048) throw new Error(`a key of ${key.length} bytes`)
  }
  const sizeOf = (value: unknown): number => {
    if (value instanceof Uint8Array) return value.buffer.byteLength
    const fields = typeof value === 'object' && value !== null ? Object.values(value as object) : []
    return fields.reduce<number>((sum, field) => sum + 64 + sizeOf(field), 0)
  }
  return new Proxy(target, {
    get(from, name) {
      const value = Reflect.get(from, name) as unknown
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (name === 'get' || name === 'delete') keys(args[0] as string[])
        if (name === 'put') {
          const entries = args[0] as Record<string, unknown>
          keys(Object.keys(entries))
          for (const each of Object.values(entries))
            if (sizeOf(each) > 131_000) throw new Error(`a value of ${sizeOf(each)} bytes`)
        }
        if (name === 'transaction') {
          const run = args[0] as (keys: KeyValueLike) => unknown
          return Reflect.apply(value, from, [(inner: KeyValueLike) => run(withinLimits(inner))]) as unknown
        }
        return Reflect.apply(value, from, args) as unknown
      }
    },
  })
}

type Kind = 'sql' | 'keys' | 'bucket'
type Act = (object: TestObject, query: URLSearchParams) => Promise<unknown>

class TestObject {
  readonly ctx: Context
  readonly env: Env
  #store: Promise<Store<string, number>> | undefined

  constructor(ctx: Context, env: Env) {
    this.ctx = ctx
    this.env = env
  }

  async fetch({ url }: { readonly url: string }): Promise<Response> {
    const { pathname, searchParams } = new URL(url)
    const [, kind, , act] = pathname.split('/') as [string, Kind, string, string]
    this.kind = kind
    try {
      return Response.json((await acts[act]!(this, searchParams)) ?? null)
    } catch (error) {
      const { message, stack } = error as Error
      return Response.json({ failed: `${message}\n${stack}`, code: (error as { code?: string }).code }, { status: 500 })
    }
  }
  kind: Kind = 'sql'

  /** A storage on this object, through `storage` where calls are counted. */
  storage(prefix?: string, storage: DurableObjectStorageLike = this.ctx.storage, bucket = this.env.BUCKET): Storage {
    const id = this.ctx.id.toString()
    return durableObject(this.kind === 'keys' ? withinLimits(storage) : storage, {
      prefix,
      ...(this.kind === 'bucket' && { blobs: r2(bucket, { prefix: prefix === undefined ? id : `${id}/${prefix}` }) }),
    })
  }

  /** The one store of an object. */
  store(): Promise<Store<string, number>> {
    return (this.#store ??= openStore<string, number>({ storage: this.storage(), name: 'one' }))
  }

  async close(): Promise<void> {
    const store = this.#store
    this.#store = undefined
    await (await store)?.close()
  }
}

const fresh = (object: TestObject): Storage => object.storage(`run-${crypto.randomUUID()}`)

/** The suites, in the order of `GET …/tests`. */
function testsOf(object: TestObject) {
  const tests: { suite: string; name: string; run: () => Promise<void> }[] = []
  allSuites({
    test: (suite, name, run) => tests.push({ suite, name, run }),
    make: () => fresh(object),
    share: object.env.WHOLE ? { writes: 5, reads: 60 } : { writes: 20, reads: 240 },
    loss: FEW_LOSSES,
  })
  return tests
}

const acts: Readonly<Record<string, Act>> = {
  tests: async (object) => testsOf(object).map(({ suite, name }) => [suite, name]),
  test: async (object, query) => testsOf(object)[Number(query.get('index'))]!.run(),

  /** Adds one to a counter, by the store of this instance. The object is aborted at the call of that number, if that is given. */
  async add(object, query) {
    const at = query.get('abort')
    if (at === null) return (await object.store()).update('n', (n = 0) => n + 1)
    // This store is not the one of the instance, which would go on with what it has read.
    await object.close()
    let calls = Number(at)
    const mortal = counting(object.ctx.storage, {}, () => {
      if (--calls === 0) object.ctx.abort('aborted by the test')
    })
    const store = await openStore<string, number>({ storage: object.storage(undefined, mortal), name: 'one' })
    const n = await store.update('n', (before = 0) => before + 1)
    await store.close()
    return n
  },
  async read(object) {
    const store = await object.store()
    return { n: (await store.get('n')) ?? 0, keys: (await store.toArray({ prefix: 'key-' })).map(([key]) => key) }
  },
  async set(object, query) {
    await (await object.store()).set(query.get('key')!, 1)
  },

  /** The calls that some commits of a store make, and those to the bucket. */
  async count(object, query) {
    const [counts, asked]: [Counts, Counts] = [{}, {}]
    const bucket = counting(object.env.BUCKET, asked)
    const storage = object.storage('count', counting(object.ctx.storage, counts), bucket)
    const store = await openStore<string, number>({ storage, name: 'one' })
    for (const of of [counts, asked]) for (const call of Object.keys(of)) delete of[call]
    for (let i = 0; i < Number(query.get('commits')); i++) await store.set(`key-${i % 10}`, i)
    const told = { object: { ...counts }, bucket: { ...asked } }
    await store.close()
    return told
  },

  /** A store that is opened and written while no event comes in, and written by others at once afterwards. */
  async gated(object) {
    const storage = object.storage('gated')
    const store = await object.ctx.blockConcurrencyWhile(async () => {
      const opened = await openStore<string, number>({ storage, name: 'one' })
      await opened.set('n', 1)
      return opened
    })
    await Promise.all(Array.from({ length: 9 }, () => store.update('n', (n = 0) => n + 1)))
    const n = await store.get('n')
    await store.close()
    return n
  },

  /** Two handles in one object, each on a storage of its own, that add to one counter at once. */
  async together(object, query) {
    const stores = await Promise.all(
      [1, 2].map(() => openStore<string, number>({ storage: object.storage('together'), name: 'one', mode: 'shared' })),
    )
    const each = Number(query.get('each'))
    await Promise.all(
      stores.flatMap((store) => Array.from({ length: each }, () => store.update('n', (n = 0) => n + 1))),
    )
    await Promise.all(stores.map((store) => store.refresh()))
    const counts = await Promise.all(stores.map((store) => store.get('n')))
    for (const store of stores) await store.close()
    return counts
  },

  /** A large blob, and ranges of it; the tables and keys of others stay. */
  async large(object) {
    const storage = fresh(object)
    const bytes = new Uint8Array(9 << 20)
    for (let i = 0; i < bytes.length; i += 7) bytes[i] = i >>> 8
    await storage.blobs.put('large/0/id/seg/1', bytes)
    const same = (part: Uint8Array | undefined, from: number, to: number): boolean =>
      part?.length === to - from && part.every((byte, i) => byte === bytes[from + i])
    const ranges = [
      [0, 1],
      [65_535, 65_537],
      [65_536, 131_072],
      [5_000_000, 5_300_000],
      [bytes.length - 1, bytes.length],
    ] as const
    const read = await Promise.all(
      ranges.map(async ([from, to]) => {
        const range = { offset: from, length: to - from }
        const now = storage.blobs.getNow?.('large/0/id/seg/1', range)
        return (
          same((await storage.blobs.get('large/0/id/seg/1', { range })).bytes, from, to) &&
          (now === undefined || same(now, from, to))
        )
      }),
    )
    const whole = same((await storage.blobs.get('large/0/id/seg/1')).bytes, 0, bytes.length)
    await storage.blobs.put('large/0/id/seg/1', bytes.subarray(0, 100_000))
    const again = same((await storage.blobs.get('large/0/id/seg/1')).bytes, 0, 100_000)
    await storage.blobs.delete(['large/0/id/seg/1'])
    const gone = (await storage.blobs.get('large/0/id/seg/1')).bytes === undefined
    return { read, whole, again, gone, isRead: storage.blobs.getNow !== undefined, left: await leftIn(object) }
  },

  /** No space: what SQLite says then is said by a statement that writes. */
  async full(object) {
    let isFull = false
    const storage = object.storage(
      'full',
      counting(object.ctx.storage, {}, (name) => {
        if (isFull && name === 'exec') throw new Error('database or disk is full: SQLITE_FULL')
      }),
    )
    const store = await openStore<string, number>({ storage, name: 'one' })
    await store.set('a', 1)
    isFull = true
    store.put('b', 2)
    const code = await store.commit().then(
      () => 'none',
      (error: { code: string }) => error.code,
    )
    isFull = false
    await store.commit()
    const kept = await store.toArray()
    await store.close()
    return { code, kept }
  },

  /** All is deleted beneath a handle. */
  async emptied(object) {
    const store = await openStore<string, number>({ storage: object.storage(), name: 'emptied' })
    await store.set('a', 1)
    await object.ctx.storage.deleteAll()
    const code = await store.set('b', 2).then(
      () => 'none',
      (error: { code: string }) => error.code,
    )
    await store.close().catch(() => undefined)
    const again = await openStore<string, number>({ storage: object.storage(), name: 'emptied' })
    await again.set('c', 3)
    const kept = await again.toArray()
    await again.close()
    return { code, kept }
  },
}

/** How many rows or keys are in the object, parts too; blobs of the third kind are elsewhere. */
async function leftIn({ ctx, kind }: TestObject): Promise<number> {
  if (kind === 'bucket') return 0
  if (kind === 'keys') return (await ctx.storage.list({ start: '', end: '\x7f', limit: 10_000 })).size
  const count = (table: string) =>
    Number(ctx.storage.sql!.exec(`SELECT count(*) AS n FROM ${table}`).toArray()[0]!['n'])
  return count('tidemark_objects') + count('tidemark_parts')
}

export class SqlObject extends TestObject {}
export class KeysObject extends TestObject {}

export default {
  async fetch({ url }: { readonly url: string }, env: Env): Promise<Response> {
    const [, kind, name] = new URL(url).pathname.split('/') as [string, Kind, string]
    const namespace = kind === 'keys' ? env.KEYS : env.SQL
    try {
      return await namespace.get(namespace.idFromName(`${kind} ${name}`)).fetch(url)
    } catch (error) {
      return Response.json({ failed: (error as Error).message }, { status: 503 })
    }
  },
}
