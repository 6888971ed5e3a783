/** What holds for a group as a whole is what the newest member that said anything of it has said. */
import { expect, test } from 'vitest'
import { inWorld } from '../../support/groups.js'

test('a member that joins changes what it gives, and nothing else', async () => {
  await inWorld(async (world) => {
    await world.create(1)
    const standbys: Record<string, number> = {}
    let isOver = false
    const member = (name: string, more: object) =>
      world.member(name, more, async (group, me) => {
        await world.until(() => {
          standbys[name] = group.assignment()[0]!.standbys.length
          return isOver
        }, me)
        await group.leave()
      })
    const members = [member('a', { standbys: 0 })]
    await world.until(() => standbys['a'] === 0)
    members.push(member('b', { moves: 3 }))
    await world.until(() => standbys['b'] === 0)
    members.push(member('c', { standbys: 2 }))
    await world.until(() => ['a', 'b', 'c'].every((name) => standbys[name] === 2))
    members.push(member('d', {}))
    await world.until(() => standbys['d'] === 2)
    members.push(member('e', { standbys: 1 }))
    await world.until(() => ['a', 'b', 'c', 'd', 'e'].every((name) => standbys[name] === 1))
    isOver = true
    await Promise.all(members.map(({ done }) => done))
    expect(await world.counts()).toEqual([20, 20, 20, 20])
  })
})
