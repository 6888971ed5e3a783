// @ts-check
/**
 * A member of the group: it counts the flights of the partitions that it owns, until it is told to leave, or is killed. This is
 * all that a program needs; the rest tells the supervisor what happens.
 */
import { joinGroup } from 'tidemark/group'
import { count } from './count.mjs'
import { openNotes } from './notes.mjs'
import { storageAt } from './place.mjs'
import { flightsOver, PARTITIONS, readPartitions } from './source.mjs'

/** @typedef {{ name: string, place: string, notes: string, limit: number, start: number, ms: number, leaseMs: number }} Settings */

/** @type {Settings} */
const { name, place, notes, limit, start, ms, leaseMs } = JSON.parse(process.argv[2])
const flights = flightsOver(readPartitions(limit), { start, ms })
const { storage, usage } = storageAt(place)
const noted = openNotes(notes)

const group = await joinGroup({
  storage,
  name: 'flights',
  partitions: PARTITIONS,
  job: 'flights-group',
  info: { name },
  leaseMs,
  standbys: 1,
  moves: 8,
  coolMs: leaseMs,
  logger: false,
})
tell('joined')

process.on('message', (message) => void does(/** @type {{ act: string, shards?: number }} */ (message)))
// Without a supervisor there is nobody to count for.
const orphaned = () => process.exit(1)
process.on('disconnect', orphaned)
// Ctrl-C reaches the supervisor too, which ends this process.
process.on('SIGINT', () => {})

await group.run(
  flights,
  async ({ offset, value }, state) => {
    noted.begin(state.number, Number(offset))
    await count(value, state)
  },
  { everyMs: 300, onProgress: ({ shard, version }) => tell('committed', { shard, version }) },
)
tell('left')
process.off('disconnect', orphaned)
process.disconnect()

/** What the supervisor asks for. @param {{ act: string, shards?: number }} message */
async function does({ act, shards }) {
  try {
    if (act === 'leave') await group.leave()
    if (act === 'rescale') await group.rescale({ shards })
    tell(act === 'usage' ? 'usage' : 'done', { act })
  } catch (error) {
    tell('failed', { act, error: String(error) })
  }
}

/** @param {string} event @param {object} [detail] */
function tell(event, detail = {}) {
  if (process.connected) process.send({ event, at: Date.now(), usage: usage(), ...detail })
}
