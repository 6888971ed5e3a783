/**
 * What Faust tests of its assignors, told anew: whatever the numbers of partitions, replicas and clients, each partition has one active
 * client and its replicas elsewhere; added clients take, removed ones give, all others keep what they have; and it ends, however few
 * there are to choose from. Not here: topics, as a group has one set of partitions; that clients without state for a partition may
 * have it at once, as owners move by themselves when they are warm.
 */
import { expect, test } from 'vitest'
import { assign } from '../../../src/group/assign.js'
import { AssignmentWorld } from '../../support/assignment-world.js'
import { extent } from '../../support/extent.js'

const SEEDS = Array.from({ length: extent(400, 25) }, (_, i) => i + 1)

/** Some shards, some members, some standbys, at rest. */
function some(seed: number, standbys = seed % 4): AssignmentWorld {
  const world = new AssignmentWorld(assign, seed, { partitions: 1 + ((seed * 37) % 97), standbys, moves: 64 })
  const count = 1 + ((seed * 13) % 41)
  for (let i = 0; i < count; i++) world.join({ weight: 1 })
  world.settle()
  return world
}

function ownersOf(world: AssignmentWorld): Map<string, string> {
  return new Map([...world.state.shards.values()].map(({ id, owner }) => [id, owner!]))
}

function check(world: AssignmentWorld): void {
  const { shards, members, settings } = world.state
  for (const { owner, next, standbys } of shards.values()) {
    expect(members.has(owner!) && next === undefined).toBe(true)
    expect(new Set([owner, ...standbys]).size).toBe(1 + Math.min(settings.standbys, members.size - 1))
  }
  const loads = [...members.keys()].map((id) => [...shards.values()].filter(({ owner }) => owner === id).length)
  expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)
}

test('each shard has one owner and its standbys at others, whatever the numbers', () => {
  for (const seed of SEEDS) check(some(seed))
})

test('it comes to rest when more standbys are asked for than there are members', () => {
  for (const seed of SEEDS) check(some(seed, 8))
})

test('who is added takes, and nobody else gains anything', () => {
  for (const seed of SEEDS) {
    const world = some(seed)
    const before = ownersOf(world)
    const added = new Set(Array.from({ length: 1 + (seed % 5) }, () => world.join({ weight: 1 })))
    world.settle()
    check(world)
    for (const [id, owner] of ownersOf(world)) expect(owner === before.get(id) || added.has(owner)).toBe(true)
  }
})

test('who is removed gives, and nobody else loses anything', () => {
  for (const seed of SEEDS) {
    const world = some(seed)
    const gone = world.takers.map(({ id }) => id).slice(1, 1 + (seed % 5))
    const before = ownersOf(world)
    const standbys = new Map([...world.state.shards.values()].map((shard) => [shard.id, shard.standbys]))
    for (const id of gone) world.die(id)
    world.step(0)
    for (const [id, owner] of ownersOf(world)) {
      const was = before.get(id)!
      const warm = standbys.get(id)!.filter((standby) => !gone.includes(standby))
      if (!gone.includes(was)) expect(owner).toBe(was)
      else if (warm.length > 0) expect(warm).toContain(owner)
    }
    world.settle()
    check(world)
  }
})
