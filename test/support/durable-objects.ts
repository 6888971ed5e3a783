/** Durable Objects of ours in real workerd, and questions to them. */
import type { Miniflare, MiniflareOptions } from 'miniflare'
import { WHOLE } from './extent.js'
import { startWorker } from './workerd.js'

export type Kind = 'sql' | 'keys' | 'bucket'

export interface Objects {
  readonly worker: Miniflare
  /** Has an object do something (durable-object-worker.ts); an answer that is no 200 is thrown. */
  ask(kind: Kind, name: string, act: string, query?: Readonly<Record<string, string | number>>): Promise<unknown>
}

export async function startObjects(options: Partial<MiniflareOptions> = {}): Promise<Objects> {
  const worker = await startWorker('durable-object-worker.ts', {
    durableObjects: {
      SQL: { className: 'SqlObject', useSQLite: true },
      KEYS: { className: 'KeysObject', useSQLite: false },
    },
    r2Buckets: ['BUCKET'],
    bindings: { WHOLE },
    ...options,
  } as Partial<MiniflareOptions>)
  return {
    worker,
    async ask(kind, name, act, query = {}) {
      const search = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]))
      const response = await worker.dispatchFetch(`http://worker/${kind}/${name}/${act}?${search}`)
      const answer = (await response.json()) as { failed?: string }
      if (response.status !== 200) throw new Error(answer.failed)
      return answer
    },
  }
}
