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
    await using store = await openStore<string, Link>({ storage: r2(env.BUCKET), name: 'links', mode: 'shared' })
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

/** A unit test, as `code` has it. */
export const unitTest = (code: string): Readonly<Record<string, string>> => ({
  'unit-test/tsconfig.json': tsconfig({
    module: 'ESNext',
    moduleResolution: 'bundler',
    lib: ['ES2022'],
    types: [],
    noEmit: true,
    skipLibCheck: true,
  }),
  'unit-test/vitest.config.ts': `export default { test: { root: 'unit-test' } }
`,
  'unit-test/cart.test.ts': code,
})
