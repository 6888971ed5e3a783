/** workerd is killed in the middle of commits of Durable Objects, and started again on the same folder. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Random } from '../../src/testing/random.js'
import { forAdapter } from '../support/counting.js'
import { startObjects, type Kind } from '../support/durable-objects.js'
import { extent } from '../support/extent.js'
import { temporaryFolder } from '../support/storages.js'

forAdapter('durableObject')

const KILLS = extent(40, 4)
/** A start takes a second, and several on a busy machine. */
const TIMEOUT = 60_000 + KILLS * 30_000
const KINDS: readonly Kind[] = ['sql', 'keys', 'bucket']

/** The processes of workerd that this one has started. */
function workers(): Set<number> {
  const found = new Set<number>()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      if (/^Name:\s+workerd/m.test(status) && status.includes(`PPid:\t${process.pid}\n`)) found.add(Number(pid))
    } catch {
      // It has ended meanwhile.
    }
  }
  return found
}

test(
  `nothing acknowledged is missing after workerd was killed ${KILLS} times in the middle of commits`,
  async () => {
    const random = new Random(17)
    const persist = { durableObjectsPersist: temporaryFolder(), r2Persist: temporaryFolder() }
    const acknowledged = new Map<Kind, Set<string>>(KINDS.map((kind) => [kind, new Set()]))
    let cut = 0
    for (let kill = 0; kill <= KILLS; kill++) {
      const others = workers()
      const objects = await startObjects(persist)
      const [pid] = [...workers()].filter((each) => !others.has(each))
      for (const [kind, keys] of acknowledged) {
        const found = (await objects.ask(kind, 'killed', 'read')) as { keys: string[] }
        expect([...keys].filter((key) => !found.keys.includes(key))).toEqual([])
      }
      if (kill < KILLS) {
        let isAlive = true
        let done = 0
        const enough = 5 + random.below(30)
        // Many at once of each kind, until so many were acknowledged; what is then on its way is cut.
        const writing = KINDS.flatMap((kind) =>
          Array.from({ length: 4 }, async (_, writer) => {
            for (let i = 0; isAlive; i++) {
              const key = `key-${kill}-${writer}-${i}`
              try {
                await objects.ask(kind, 'killed', 'set', { key })
              } catch {
                cut++
                return
              }
              acknowledged.get(kind)!.add(key)
              if (++done === enough) {
                process.kill(pid!, 'SIGKILL')
                isAlive = false
              }
            }
          }),
        )
        await Promise.all(writing)
      }
      await objects.worker.dispose()
    }
    for (const keys of acknowledged.values()) expect(keys.size).toBeGreaterThan(0)
    expect(cut).toBeGreaterThan(KILLS)
  },
  TIMEOUT,
)
