/** Members that join and leave: how many shards move, and how long it takes; and what idle members ask for. */
import { joinGroup, rescale } from 'tidemark/group'
import { openStore } from 'tidemark'
import { countedStorage } from './storage.mjs'

const PARTITIONS = 64
const MEMBERS = 4
const THIRDS = 12
const QUIET_LEASES = 6
/** S3's, in dollars. */
const PUT = 5e-6
const GET = 4e-7
const LEASE = 15
const MONTH = 30 * 86_400

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export async function measureMembers(url, { leaseMs }) {
  const figures = {}
  for (const standbys of [0, 1]) {
    const name = `members-${standbys}`
    const { storage } = countedStorage(url)
    const store = await openStore({ storage, name, partitions: PARTITIONS })
    await store.close()
    await rescale({ storage, name }, { shards: PARTITIONS })
    const members = []
    const join = async () => {
      const counted = countedStorage(url)
      const options = {
        storage: counted.storage,
        name,
        partitions: PARTITIONS,
        leaseMs,
        standbys,
        coolMs: 0,
        moves: 16,
      }
      members.push({ ...counted, group: await joinGroup({ ...options, logger: false }) })
    }
    for (let i = 0; i < MEMBERS; i++) await join()
    await settled(members, standbys)
    const of = standbys === 0 ? 'without standbys' : 'with a standby of each shard'
    if (standbys === 0) Object.assign(figures, await joinAndLeave(members, join))
    // Until standbys are told that nothing is written.
    await sleep(leaseMs * QUIET_LEASES)
    for (const { counts } of members) counts()
    await sleep((leaseMs / 3) * THIRDS)
    const idle = members.map(({ counts }) => counts())
    const mean = (kind) => idle.reduce((sum, taken) => sum + taken[kind], 0) / idle.length / THIRDS
    figures[`idle ${of}: swaps per member and third of a lease`] = mean('put')
    figures[`idle ${of}: reads`] = mean('get')
    figures[`idle ${of}: $ per member and month at a lease of ${LEASE} s`] =
      ((mean('put') * PUT + mean('get') * GET) * MONTH) / (LEASE / 3)
    await Promise.all(members.map(({ group }) => group.leave()))
  }
  return figures
}

async function joinAndLeave(members, join) {
  const before = ownersOf(members[0].group)
  const joined = performance.now()
  await join()
  await settled(members)
  const after = ownersOf(members[0].group)
  const figures = {
    [`a member joins ${MEMBERS}: shards of ${PARTITIONS} moved`]: movedBetween(before, after),
    'a member joins: ms until all is settled': performance.now() - joined,
  }
  const leaving = performance.now()
  const { group } = members.pop()
  const { length } = group.status().owned
  await group.leave()
  await settled(members)
  return {
    ...figures,
    [`a member leaves, with so many shards`]: length,
    'a member leaves: shards moved': movedBetween(after, ownersOf(members[0].group)),
    'a member leaves: ms until all is settled': performance.now() - leaving,
  }
}

function ownersOf(group) {
  return new Map(group.assignment().map(({ id, owner }) => [id, owner]))
}

function movedBetween(before, after) {
  return [...after].filter(([id, owner]) => before.get(id) !== owner).length
}

/** Until every shard has its owner, which serves it, and none is on its way; the loads differ by one at most. */
async function settled(members, standbys = 0) {
  for (;;) {
    await sleep(20)
    const [{ group }] = members
    const shards = group.assignment()
    const loads = members.map(({ group: own }) => own.status().owned.length)
    const isWhole = loads.reduce((sum, load) => sum + load, 0) === PARTITIONS
    if (
      isWhole &&
      Math.max(...loads) - Math.min(...loads) <= 1 &&
      shards.every(({ next, owner, standbys: own }) => owner && !next && own.length === standbys)
    )
      return
  }
}
