/** A member in a process of its own, for failovers: it counts ticks, and tells of each commit, until it is killed. */
import { joinGroup } from 'tidemark/group'
import { countedStorage, countTick, ticks } from './storage.mjs'

const { url, name, partitions, leaseMs, standbys } = JSON.parse(process.argv[2])
process.on('disconnect', () => process.exit(1))
const options = { storage: countedStorage(url).storage, name, partitions, leaseMs, standbys, coolMs: 0, logger: false }
const group = await joinGroup({ ...options, moves: partitions })
await group.run(ticks(partitions, { everyMs: 150 }), countTick, {
  everyMs: 150,
  onProgress: ({ shard, version, offsets }) => {
    process.send({ time: Date.now(), shard, version, positions: offsets.ticks })
  },
})
