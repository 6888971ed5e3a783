/** Random lives of stores that are split and merged, by what is opened, listed, compared, restored and followed of their past. */
import { test } from 'vitest'
import { memory } from 'tidemark/memory'
import { extent } from '../support/extent.js'
import { PLACES } from '../support/sharded.js'
import { pastLives } from '../support/shards-past-life.js'

test('the past of shards is what the oracle says', { timeout: 300_000 }, () =>
  pastLives(() => memory(), extent(200, 15), 40),
)

test.each(PLACES.slice(1))('the same on %s', { timeout: 300_000 }, (_, make) => pastLives(make, extent(30, 3), 30))
