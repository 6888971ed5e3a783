/** What the random members of `AssignmentWorld` go through, and what has to hold at the end. */
import { expect } from 'vitest'
import type { assign } from '../../src/group/assign.js'
import { evenCuts } from '../../src/engine/shards/plan.js'
import type { Blame } from '../../src/group/transitions.js'
import { AssignmentWorld } from './assignment-world.js'

type Decide = typeof assign

/** Members come, leave and die: shards have owners, loads become even, and nothing moves that need not. */
export function comeAndGo(decide: Decide, seed: number): void {
  const world = new AssignmentWorld(decide, seed, { standbys: seed % 3 })
  const { random } = world
  world.join()
  for (let act = 0; act < 8; act++) {
    const one = world.takers[random.below(world.takers.length)]!.id
    const before = world.moves
    const lot = world.takers.length === 1 ? 0 : random.next()
    if (lot < 0.5) world.join()
    else if (lot < 0.75) world.die(one)
    else world.leave(one)
    world.rest()
    if (world.moves - before > world.state.shards.size) expect.fail(`${world.moves - before} moves after one change`)
  }
  world.settle()
  world.checkFair()
  joinTakesItsShare(world)
  world.settle()
  leaveMovesItsOwn(world)
}

function joinTakesItsShare(world: AssignmentWorld): void {
  world.now += 400
  const before = world.moves
  const id = world.join()
  const { weight } = world.state.members.get(id)!
  const total = world.takers.reduce((sum, member) => sum + member.weight, 0)
  const share = Math.ceil((world.state.shards.size * weight) / total)
  for (let round = 0; round < 40 && world.step(1); round++);
  const moves = world.moves - before
  if (moves > share) expect.fail(`a join moves ${moves} of ${world.state.shards.size} shards, ${share} are its share`)
  const has = [...world.state.shards.values()].filter(({ owner }) => owner === id).length
  if (has !== moves) expect.fail(`a join moves ${moves} shards, ${has} of them to who joined`)
}

function leaveMovesItsOwn(world: AssignmentWorld): void {
  if (world.takers.length < 2) return
  world.now += 400
  const { moves, handoffs } = world
  const id = world.takers[0]!.id
  const owned = [...world.state.shards.values()].filter(({ owner }) => owner === id).length
  world.leave(id)
  world.rest()
  if (world.state.members.has(id)) expect.fail('who leaves has not left')
  expect([world.handoffs - handoffs, world.moves - moves], 'handoffs and moves after a leave').toEqual([owned, 0])
  world.settle()
  expect(world.moves - moves, 'moves after a leave and a time to cool down').toBe(0)
}

const BLAMES: readonly Blame[] = ['none', 'commits', 'nothing', 'trial']

/** Shards kill their owners: suspects are kept apart and parked, and nothing else stands still. */
export function deaths(decide: Decide, seed: number): void {
  const world = new AssignmentWorld(decide, seed, { standbys: seed % 2 })
  const { random } = world
  for (let i = 0; i < 3; i++) world.join()
  for (let act = 0; act < 20; act++) {
    world.step()
    if (random.chance(0.4) || world.takers.length < 3) world.join()
    else if (random.chance(0.3)) world.leave(world.takers[random.below(world.takers.length)]!.id)
    else world.die(world.takers[random.below(world.takers.length)]!.id, () => BLAMES[random.below(4)]!)
  }
  for (let round = 0; round < 60; round++) world.step(1)
  expect(world.due).toEqual([])
}

/** Targets are reached, whoever comes and goes. */
export function rescaling(decide: Decide, seed: number): void {
  const partitions = 8 + (seed % 57)
  const world = new AssignmentWorld(decide, seed, { partitions, standbys: seed % 2 }, 1 + (seed % 8))
  const { random } = world
  for (let i = 0; i < 1 + (seed % 4); i++) world.join()
  for (let target = 0; target < 3; target++) {
    world.aim(evenCuts(1 + random.below(partitions), partitions))
    for (let round = 0; world.state.target; round++) {
      if (round > 600) expect.fail(`the target ${world.state.target.cuts.join()} is never reached`)
      world.step()
      world.rescale()
      const lot = round < 100 ? random.next() : 1
      if (lot < 0.05) world.join()
      if (world.takers.length === 1) continue
      if (lot > 0.05 && lot < 0.1) world.die(world.takers[0]!.id)
      if (lot > 0.1 && lot < 0.15) world.leave(world.takers[0]!.id)
    }
  }
  world.settle()
  world.checkFair()
}
