/**
 * Pauses in round trips, which do not depend on the machine: in virtual time, where every request takes one round trip and nothing
 * else takes any. A pause is what lies between two commits beyond the round trip of the second one.
 */
import { joinGroup } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { metered } from 'tidemark'
import { simulate } from 'tidemark/testing'
import { countTick } from './storage.mjs'

const TRIP = 100
const PARTITIONS = 64
const OPTIONS = {
  seed: 1,
  delayMs: [TRIP / 2, TRIP / 2],
  slow: { chance: 0, ms: 0 },
  maxSteps: 10_000_000,
}

export async function measureTrips() {
  return { ...(await rescaling()), ...(await handoff()) }
}

/** Events that are always there: a partition commits as quickly as it can. */
const source = (clock) => ({
  name: 'ticks',
  partitions: PARTITIONS,
  async *read(partition, from, { signal }) {
    for (let offset = Number(from ?? 0); !signal.aborted; offset++) {
      yield { offset, key: partition, value: offset }
      await wait(clock, 10)
    }
  },
})

const wait = (clock, ms) => new Promise((resolve) => void clock.timer(ms, resolve))

/** When each shard has committed last; `pauses` are those between a shard and what follows on it, or its next owner. */
function watch(sim) {
  const last = Array(PARTITIONS).fill(undefined)
  const seen = { pauses: [], last }
  return {
    seen,
    onProgress:
      (member) =>
      ({ shard }) => {
        const at = sim.clock.monotonic()
        const own = last.slice(shard.first, shard.last + 1).filter(Boolean)
        const former = own.filter((commit) => commit.id !== shard.id || commit.member !== member)
        if (former.length > 0) seen.pauses.push((at - Math.max(...former.map((commit) => commit.at))) / TRIP - 1)
        last.fill({ id: shard.id, member, at }, shard.first, shard.last + 1)
      },
  }
}

async function rescaling() {
  const { value } = await simulate(OPTIONS, async (sim) => {
    const storage = metered(memory())
    const { seen, onProgress } = watch(sim)
    const figures = {}
    const actor = sim.actor('a', async (me) => {
      const { clock } = me
      const options = { storage: me.storage(storage), name: 's', partitions: PARTITIONS, clock, logger: false }
      const group = await joinGroup(options)
      const running = group.run(source(clock), countTick, { everyMs: 0, onProgress: onProgress('a') })
      await until(clock, () => seen.last.every(Boolean))
      let before = 1
      for (const shards of [8, 3, 64]) {
        seen.pauses.length = 0
        await group.rescale({ shards })
        await until(clock, () => new Set(seen.last.map(({ id }) => id)).size === shards)
        figures[`${before} → ${shards} by the owner: longest pause, round trips`] = Math.max(...seen.pauses)
        before = shards
      }
      await group.leave()
      await running
    })
    await actor.done
    return figures
  })
  return value
}

async function handoff() {
  const { value } = await simulate(OPTIONS, async (sim) => {
    const storage = memory()
    const { seen, onProgress } = watch(sim)
    let isOver = false
    const member = (name, body) =>
      sim.actor(name, async (me) => {
        const { clock } = me
        const options = { storage: me.storage(storage), name: 's', partitions: PARTITIONS, clock, logger: false }
        const group = await joinGroup(options)
        const running = group.run(source(clock), countTick, { everyMs: 0, onProgress: onProgress(name) })
        await body(group, clock)
        await group.leave()
        await running
      })
    const first = member('a', async (group, clock) => {
      await until(clock, () => seen.last.every(Boolean) && group.members().length === 2)
      await wait(clock, 10_000)
      seen.pauses.length = 0
    })
    const second = member('b', (_group, clock) => until(clock, () => isOver))
    await first.done
    await until(sim.clock, () => seen.pauses.length > 0)
    isOver = true
    await second.done
    return { 'planned handoff: pause, round trips of 100 ms': Math.max(...seen.pauses) }
  })
  return value
}

async function until(clock, is) {
  while (!is()) await wait(clock, 10)
}
