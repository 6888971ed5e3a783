import { describe, test } from 'vitest'
import { extent } from '../support/extent.js'
import { rivals } from '../support/rivals.js'

const SEEDS = extent(300, 30)

describe('writers that take a store from one another, beside a follower, with stalls, crashes and clocks an hour off', () => {
  test(`lose, double and invent nothing: ${SEEDS} seeds`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) await rivals(seed)
  })
})
