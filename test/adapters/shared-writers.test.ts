/** Many writers of one store on a real S3 server. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isTidemarkError, openStore, retrying, type Store } from 'tidemark'
import { extent } from '../support/extent.js'
import { byFetch, startMiniflare, type S3Place } from '../support/s3-clients.js'
import { forAdapter } from '../support/counting.js'

forAdapter('s3Fetch')

const WRITERS = extent(50, 10)
const EACH = extent(10, 1)

let real!: { place: S3Place; dispose(): Promise<void> }
beforeAll(async () => {
  real = await startMiniflare()
})
afterAll(() => real.dispose())

test(`${WRITERS} writers by s3Fetch() that increment one key until each has ${EACH} acknowledged count to ${WRITERS * EACH}`, async () => {
  const started = performance.now()
  const seen = { conflicts: 0 }
  const open = (): Promise<Store<string, number>> =>
    openStore<string, number>({ storage: retrying(byFetch(real.place, 'many')), name: 'counter', mode: 'shared' })
  const first = await open()
  const stores = [first, ...(await Promise.all(Array.from({ length: WRITERS - 1 }, open)))]
  await Promise.all(
    stores.map(async (store) => {
      for (let acknowledged = 0; acknowledged < EACH;) {
        try {
          await store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) ?? 0) + 1))
          acknowledged++
        } catch (error) {
          if (!isTidemarkError(error) || error.code !== 'CONFLICT') throw error
          seen.conflicts++
        }
      }
    }),
  )
  await first.refresh()
  expect(await first.get('n')).toBe(WRITERS * EACH)
  const { requests } = first.metrics()
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(
    `${WRITERS * EACH} increments by ${WRITERS} writers in ${seconds} s, ${seen.conflicts} times out of tries; one of them sent ${requests.put} puts and ${requests.get} gets`,
  )
  await Promise.all(stores.map((each) => each.close()))
}, 180_000)
