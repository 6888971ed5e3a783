/** Section A of the model of OWNERS.md with the real code: random members, and every decision is checked. */
import { test } from 'vitest'
import { assign } from '../../src/group/assign.js'
import { comeAndGo, deaths, rescaling } from '../support/assignment-runs.js'
import { extent } from '../support/extent.js'

const SEEDS = extent(5_000, 500)
const FEWER = extent(5_000, 160)

test(`members that come and go get what is fair, by the fewest moves, all deciding alike: ${SEEDS} seeds`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) comeAndGo(assign, seed)
}, 600_000)

test(`members that shards kill: suspects are apart, parked ones at nobody: ${FEWER} seeds`, () => {
  for (let seed = 1; seed <= FEWER; seed++) deaths(assign, seed)
}, 600_000)

test(`targets are reached while members come and go: ${FEWER} seeds`, () => {
  for (let seed = 1; seed <= FEWER; seed++) rescaling(assign, seed)
}, 600_000)
