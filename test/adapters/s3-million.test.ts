/** The cost of reading one key when a large state is opened cold on S3. */
import { expect, test } from 'vitest'
import { metered, openStore, type Storage } from 'tidemark'
import { handleOf } from '../../src/store/handles.js'
import { extent } from '../support/extent.js'
import { byFetch, placeAt } from '../support/s3-clients.js'
import { startS3Server } from '../support/s3-server.js'
import { forAdapter } from '../support/counting.js'

forAdapter('s3Fetch')

const KEYS = extent(1_000_000, 40_000)
const PER_COMMIT = KEYS / 10

test(`one key of a fully compacted store of ${KEYS} keys is read cold by at most 2 range reads and 128 KiB`, async () => {
  const server = await startS3Server()
  const storage = (): Storage => byFetch(placeAt(server.url), 'million')
  const writer = await openStore({ storage: storage(), name: 's' })
  const scattered = (i: number): number => (i * 7_919) % KEYS
  const keyOf = (i: number): string => `user:${i}`
  for (let i = 0; i < KEYS; i++) {
    const n = scattered(i)
    writer.put(keyOf(n), { number: n, name: `user ${n % 1_000}`, active: n % 3 === 0 })
    if ((i + 1) % PER_COMMIT === 0) await writer.commit()
  }
  await writer.checkpoint()
  for (let round = 0; round < 5; round++) await writer.maintain()
  const { manifest, tail } = handleOf(writer).state
  const changes = tail.filter(({ memtable, references }) => memtable ?? references)
  expect([manifest.runs.length, changes.length]).toEqual([1, 0])
  const segments = manifest.runs[0]!.length
  await writer.close()

  const costs: string[] = []
  for (const n of [0, 1, Math.floor(KEYS / 3), KEYS - 1, KEYS + 5]) {
    const counted = metered(storage())
    const store = await openStore({ storage: counted, name: 's', mode: n % 2 === 0 ? 'follower' : 'exclusive' })
    const before = counted.usage()
    const value = (await store.get(keyOf(n))) as { number: number } | undefined
    const after = counted.usage()
    expect(value?.number).toBe(n < KEYS ? n : undefined)
    const gets = after.requests.get - before.requests.get
    const bytes = after.bytesRead - before.bytesRead
    costs.push(`${gets} reads, ${bytes} bytes`)
    expect(gets).toBeLessThanOrEqual(2)
    expect(bytes).toBeLessThanOrEqual(128 << 10)
    expect(after.requests.put + after.requests.list).toBe(before.requests.put + before.requests.list)
    await store.close()
  }
  console.log(`${KEYS} keys in ${segments} segments; one key read cold: ${costs.join('; ')}`)
  await server.close()
})
