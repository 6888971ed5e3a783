/** First programs that need no page of React, as their authors would write them after reading README.md: their files, by path. */

const tsconfig = (options: object): string =>
  JSON.stringify({
    compilerOptions: {
      target: 'ES2022',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      ...options,
    },
    include: ['*.ts'],
  })

/** A stream job on a server: as a program, and in a thread of one. */
export const job: Readonly<Record<string, string>> = {
  'job/tsconfig.json': tsconfig({ module: 'nodenext', lib: ['ES2022'], types: ['node'], outDir: 'out' }),
  'job/worker.ts': `import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { consume } from 'tidemark/stream'
import { ndjsonFile } from 'tidemark/stream/node'

interface Click {
  user: string
  ms: number
}
interface Total {
  clicks: number
  ms: number
}

const say = (text: string): void => (isMainThread ? console.log(text) : parentPort!.postMessage(text))
const folder: string = isMainThread ? process.argv[2]! : workerData

await using store = await openStore<string, Total>({ storage: nodeFs(folder), name: 'totals', partitions: 4 })
const clicks = ndjsonFile('./job/clicks.ndjson', { key: (click: Click) => click.user })
const { events } = await consume(
  store,
  clicks,
  async ({ key, value }, state) => {
    const before = (await state.get(key)) ?? { clicks: 0, ms: 0 }
    state.put(key, { clicks: before.clicks + 1, ms: before.ms + value.ms })
  },
  { everyEvents: 500, onProgress: ({ commits }) => say(\`committed \${commits}\`) },
)
let sum = 0
for await (const total of store.values()) sum += total.clicks
say(\`\${events} now, \${sum} in all\`)
`,
  'job/threads.ts': `import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const start = (): Worker => new Worker(new URL('./worker.js', import.meta.url), { workerData: './job/by-threads' })
const first = start()
first.on('message', (text: string) => {
  if (text === 'committed 3') void first.terminate()
})
await once(first, 'exit')
const second = start()
second.on('message', (text: string) => {
  if (!text.startsWith('committed')) console.log(text)
})
await once(second, 'exit')
`,
}

/** A link shortener in a Cloudflare worker. */
export const edge: Readonly<Record<string, string>> = {
  'edge/tsconfig.json': tsconfig({
    module: 'ESNext',
    moduleResolution: 'bundler',
    lib: ['ES2022', 'ESNext.Disposable', 'WebWorker'],
    types: [],
    noEmit: true,
  }),
  'edge/worker.ts': `import { openStore } from 'tidemark'
import { r2, type R2BucketLike } from 'tidemark/r2'

interface Link {
  url: string
  hits: number
}

export default {
  async fetch(request: Request, env: { BUCKET: R2BucketLike }): Promise<Response> {
    await using store = await openStore<string, Link>({ storage: r2(env.BUCKET), name: 'links' })
    const name = new URL(request.url).pathname.slice(1)
    if (request.method === 'PUT') {
      await store.set(name, { url: await request.text(), hits: 0 })
      return new Response(null, { status: 201 })
    }
    if (name === '') return Response.json(await store.toArray())
    const link = await store.update(name, (before) => before && { ...before, hits: before.hits + 1 })
    return link ? Response.redirect(link.url) : new Response('no such link', { status: 404 })
  },
}
`,
}

/** A unit test of code that takes its storage as an argument. */
export const cart: Readonly<Record<string, string>> = {
  'cart/tsconfig.json': tsconfig({
    module: 'ESNext',
    moduleResolution: 'bundler',
    lib: ['ES2022'],
    types: [],
    noEmit: true,
    skipLibCheck: true,
  }),
  'cart/vitest.config.ts': `export default { test: { root: 'cart' } }
`,
  'cart/cart.ts': `import { openStore, type Storage, type Store } from 'tidemark'

export interface Line {
  count: number
  price: number
}

export class Cart {
  readonly #store: Store<string, Line>

  private constructor(store: Store<string, Line>) {
    this.#store = store
  }

  static async open(storage: Storage): Promise<Cart> {
    return new Cart(await openStore<string, Line>({ storage, name: 'cart', mode: 'shared', ttlMs: 60_000 }))
  }

  add(sku: string, price: number): Promise<Line> {
    return this.#store.update(sku, (line = { count: 0, price }) => ({ ...line, count: line.count + 1 }))
  }

  async total(): Promise<number> {
    let total = 0
    for await (const { count, price } of this.#store.values()) total += count * price
    return total
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}
`,
  'cart/cart.test.ts': `import { memory } from 'tidemark/memory'
import { expect, test, vi } from 'vitest'
import { Cart } from './cart'

test('what is added is there when the cart is opened again', async () => {
  const storage = memory()
  const cart = await Cart.open(storage)
  await cart.add('tea', 3)
  await cart.add('tea', 3)
  await cart.close()
  const again = await Cart.open(storage)
  expect(await again.total()).toBe(6)
  await again.close()
})

test('two tabs fill one cart', async () => {
  const storage = memory()
  const tabs = [await Cart.open(storage), await Cart.open(storage)]
  await Promise.all(tabs.map((tab) => tab.add('tea', 3)))
  expect(await tabs[0]!.add('milk', 1)).toEqual({ count: 1, price: 1 })
  expect(await tabs[0]!.total()).toBe(7)
  await Promise.all(tabs.map((tab) => tab.close()))
})

test('a line expires by the clock of the test', async () => {
  vi.useFakeTimers()
  const cart = await Cart.open(memory())
  await cart.add('tea', 3)
  await vi.advanceTimersByTimeAsync(60_001)
  expect(await cart.total()).toBe(0)
  await cart.close()
  vi.useRealTimers()
})
`,
}
