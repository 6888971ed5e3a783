/** Many members that come and go at random: the group comes to rest within two leases of the last change, with every shard at work. */
import { test } from 'vitest'
import { extent } from '../support/extent.js'
import { comingAndGoing } from '../support/coming-and-going.js'

const SEEDS = extent(30, 1)

test(`20 members that come and go for ten minutes settle within two leases: ${SEEDS} seeds`, async () => {
  const failed: string[] = []
  for (let seed = 1; seed <= SEEDS && failed.length < 3; seed++) {
    await comingAndGoing(seed).catch((error: unknown) => failed.push(`seed ${seed}: ${String(error).slice(0, 2000)}`))
  }
  if (failed.length > 0) throw new Error(`The first seeds that fail:\n${failed.join('\n')}`)
}, 600_000)
