/** A tab that is a member of a group; the test calls these functions. */
import { openStore } from 'tidemark'
import { joinGroup } from 'tidemark/group'
import { indexedDb } from 'tidemark/indexeddb'

const name = 'tabs'
const partitions = 6
const leaseMs = 1_500

/** So many events in each partition, one after another. */
function source(events) {
  return {
    name: 'events',
    partitions,
    async *read(_, from = 0) {
      for (let offset = from; offset < events; offset++) {
        await new Promise((resolve) => setTimeout(resolve, 10))
        yield { offset, value: offset }
      }
    },
  }
}

let group

globalThis.join = async (events) => {
  group = await joinGroup({ storage: indexedDb('group'), name, partitions, leaseMs, info: document.title })
  const handler = async (event, state) => {
    state.put('count', ((await state.get('count')) ?? 0) + 1)
    state.put(`event ${event.offset}`, ((await state.get(`event ${event.offset}`)) ?? 0) + 1)
  }
  globalThis.running = group.run(source(events), handler, { everyMs: 50 })
  globalThis.running.catch((error) => console.error(error))
}
globalThis.split = () => group.rescale({ shards: partitions })
globalThis.owned = () => group.status().owned.length
globalThis.leave = () => group.leave()

/** How many events each partition has counted, and how many of them more than once. */
globalThis.counted = async () => {
  const store = await openStore({ storage: indexedDb('group'), name, mode: 'follower' })
  const counts = []
  let twice = 0
  for (let p = 0; p < partitions; p++) {
    counts.push((await store.partition(p).get('count')) ?? 0)
    for await (const [, times] of store.partition(p).entries({ prefix: 'event ' })) if (times > 1) twice++
  }
  await store.close()
  return { counts, twice }
}
