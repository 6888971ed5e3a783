/** Splits and merges a store of so many MiB: bytes and requests at rest, and pauses while its owner commits. */
import { randomBytes } from 'node:crypto'
import { openStore } from 'tidemark'
import { joinGroup, rescale } from 'tidemark/group'
import { median } from '../data.mjs'
import { countedStorage, countTick, ticks } from './storage.mjs'

const PARTITIONS = 64
const ROW = 64 * 1024
const STEPS = [3, 64]

export async function measureRescale(url, { mib }) {
  const name = 'big'
  const { storage, counts } = countedStorage(url)
  await fill(storage, name, mib)
  const figures = { 'MiB of segments written to fill it': counts().segmentsWritten / 2 ** 20 }
  await rescale({ storage, name }, { shards: 8 })
  counts()
  let before = 8
  for (const shards of STEPS) {
    await rescale({ storage, name }, { shards })
    const { segmentsWritten, segmentsRead, requests, written, read } = counts()
    const step = `${before} → ${shards}`
    figures[`${step} at rest: bytes of segments written`] = segmentsWritten
    figures[`${step} at rest: bytes of segments read`] = segmentsRead
    figures[`${step} at rest: requests`] = requests
    figures[`${step} at rest: other bytes written and read`] = written + read - segmentsWritten - segmentsRead
    before = shards
  }
  await rescale({ storage, name }, { shards: 8 })
  return { ...figures, ...(await whileCommitting(url, name)) }
}

/** Each partition's rows in a commit of their own: no segment overlaps another one, so that none is merged. */
async function fill(storage, name, mib) {
  const store = await openStore({ storage, name, partitions: PARTITIONS, deflateLevel: 0 })
  const rows = (mib * 2 ** 20) / ROW / PARTITIONS
  for (let i = 0; i < PARTITIONS; i++) {
    for (let j = 0; j < rows; j++) store.partition(i).put(`row-${j}`, new Uint8Array(randomBytes(ROW)))
    await store.commit()
  }
  await store.checkpoint()
  await store.close()
}

/** Pauses: from the last commit to partitions in the shard that ends to the first one in what follows on it. */
async function whileCommitting(url, name) {
  const { storage, counts } = countedStorage(url)
  const group = await joinGroup({ storage, name, partitions: PARTITIONS, logger: false })
  const last = Array(PARTITIONS).fill(undefined)
  let pauses = []
  const onProgress = ({ shard }) => {
    const at = performance.now()
    const former = last.slice(shard.first, shard.last + 1).filter((commit) => commit && commit.id !== shard.id)
    if (former.length > 0) pauses.push(at - Math.max(...former.map((commit) => commit.at)))
    last.fill({ id: shard.id, at }, shard.first, shard.last + 1)
  }
  const running = group.run(ticks(PARTITIONS, { everyMs: 500 }), countTick, { everyMs: 100, onProgress })
  const have = (shards) => new Set(last.map((commit) => commit?.id)).size === shards && !last.includes(undefined)
  const until = async (is) => {
    while (!is()) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const figures = {}
  await until(() => have(8))
  let before = 8
  for (const shards of STEPS) {
    pauses = []
    counts()
    await group.rescale({ shards })
    const { segmentsWritten } = counts()
    await until(() => have(shards))
    figures[`${before} → ${shards} while committing: pause of a shard, median ms`] = median(pauses)
    figures[`${before} → ${shards} while committing: the longest, ms`] = Math.max(...pauses)
    figures[`${before} → ${shards} while committing: bytes of segments written`] = segmentsWritten
    before = shards
  }
  await group.leave()
  await running
  return figures
}
