/**
 * A consumer of four partitions: adds up what each customer has ordered, and sends a notice when somebody reaches a limit. The sums,
 * the notices and the place in each partition are in one commit. Kill it at any moment: the next run goes on behind its last commit,
 * no order counts twice, and no notice is lost.
 *
 *     node demo/consumer.mjs ./orders ./sums       reads ./orders/0.ndjson to ./orders/3.ndjson, and waits for more
 *     printf '%s\n' '{"customer":"ada","amount":700}' >> ./orders/2.ndjson
 *
 * A broker keeps the events of one customer in one partition, and so does who writes these files. Here each file is a partition.
 */
import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { consume } from 'tidemark/stream'
import { ndjsonFile } from 'tidemark/stream/node'

const [topic = './orders', folder = './sums'] = process.argv.slice(2)
const PARTITIONS = 4
const LIMIT = 1_000
const LOOK_AGAIN_MS = 200

// SIGTERM and the first Ctrl-C end the run in good order: what is handled is committed.
const ending = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => ending.abort())

await mkdir(topic, { recursive: true })
const partitions = Array.from({ length: PARTITIONS }, (_, i) => join(topic, `${i}.ndjson`))
await Promise.all(partitions.map((file) => appendFile(file, '')))
const files = partitions.map((file) => ndjsonFile(file, { key: 'customer' }))

/** Each partition is read from its own position. At the end of its file it waits for new lines. */
const orders = {
  name: 'orders',
  partitions: PARTITIONS,
  async *read(partition, from, options) {
    let [next, fingerprint] = [from, options.fingerprint]
    while (!options.signal.aborted) {
      let last
      for await (const event of files[partition].read(0, next, { ...options, fingerprint })) yield (last = event)
      if (last) [next, fingerprint] = [last.next, last.fingerprint()]
      await setTimeout(LOOK_AGAIN_MS, undefined, { signal: options.signal }).catch(() => undefined)
    }
  },
}

/** Comes after the commit, and at least once. Whoever reads the notices drops an id that was there before. */
const sink = {
  async deliver(outputs) {
    const lines = outputs.map(({ id, value }) => `${JSON.stringify({ id, ...value })}\n`)
    await appendFile(join(folder, 'notices.ndjson'), lines.join(''))
  },
}

/** @type {import('tidemark').Store<string, number>} */
const store = await openStore({ storage: nodeFs(folder), name: 'sums', partitions: PARTITIONS, job: 'sums-v1' })
console.log(store.version > 0 ? `goes on from version ${store.version}` : 'begins')
try {
  const { events } = await consume(
    store,
    orders,
    // The source has as many partitions as the store: `sums` is the one with the number of the event's.
    async ({ key, value }, sums, emit) => {
      const before = (await sums.get(key)) ?? 0
      const sum = before + value.amount
      sums.put(key, sum)
      if (before < LIMIT && sum >= LIMIT) emit({ customer: key, sum })
    },
    { sink, everyEvents: 500, everyMs: 1_000, signal: ending.signal, onProgress: tell },
  )
  console.log(`${events} orders in this run`)
} finally {
  await store.close()
}

function tell({ events, version }) {
  console.log(`version ${version}: ${events} orders in this run`)
}
