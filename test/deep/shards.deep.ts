/** What groups are made of, in virtual time, as long as there is time: shards, their past, leases, assignment, and members by the dozen. */
import { expect, test } from 'vitest'
import { memory } from 'tidemark/memory'
import { assign } from '../../src/group/assign.js'
import { comeAndGo, deaths, rescaling } from '../support/assignment-runs.js'
import { comingAndGoing } from '../support/coming-and-going.js'
import { runInTurn } from '../support/in-turn.js'
import { lives } from '../support/lives.js'
import { rescaledEvents } from '../support/rescaled-events.js'
import { rescaledVersions } from '../support/rescaled-versions.js'
import { pastLives } from '../support/shards-past-life.js'

test('shards, leases and assignment keep what they promise, for as many seeds as there is time for', async () => {
  const seeds = await runInTurn({
    shards: rescaledEvents,
    'shards that are collected': rescaledVersions,
    'the past of shards': (seed) => pastLives(() => memory(), 1, 40, seed),
    leases: lives,
    assignment: (seed) => {
      for (const run of [comeAndGo, deaths, rescaling]) run(assign, seed)
    },
    'members that come and go': comingAndGoing,
  })
  expect(seeds).toBeGreaterThan(5)
}, 2_000_000_000)
