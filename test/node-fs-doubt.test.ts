/** An entry that was acknowledged and is in doubt: who was to take it over has died between its marker and its file. */
import { expect, test } from 'vitest'
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { nodeFileSystem } from '../adapters/node-fs/file-system.js'
import { gate } from './support/shared.js'
import { temporaryFolder } from './support/storages.js'

test.each(['exclusive', 'shared'] as const)('an opener finds it, and owns the store: %s', async (mode) => {
  const folder = temporaryFolder()
  const first = await openStore({ storage: nodeFs(folder), name: 's', mode })
  first.put('a', 1)
  await first.commit()
  const real = nodeFileSystem()
  const way = gate()
  way.shut()
  let [isMarking, isDead] = [false, false]
  const dying = {
    ...real,
    link: async (from: string, to: string) => {
      isMarking ||= to.includes('/owner.')
      if (isMarking) await way.passed
      return real.link(from, to)
    },
    rename: (from: string, to: string) => {
      isDead ||= to.includes('/log.')
      return isDead ? new Promise<void>(() => undefined) : real.rename(from, to)
    },
  }
  const claims = nodeFs(folder, { fs: dying }).log(`s/0/${await idIn(folder)}`)
  void claims.claim((await claims.list(1)).numbers.at(-1)! + 1, new Uint8Array(1), 1)
  await expect.poll(() => isMarking).toBe(true)
  // It has looked before, and its marker comes after that.
  first.put('b', 2)
  await first.commit()
  way.open()
  await expect.poll(() => isDead).toBe(true)
  for (let i = 0; i < 2; i++) {
    const again = await openStore({ storage: nodeFs(folder), name: 's', mode })
    // Those that share take nothing over before they write.
    if (mode === 'exclusive') expect(await again.get('b')).toBe(2)
    again.put('c', i)
    await again.commit()
    expect(await again.get('b')).toBe(2)
    await again.close()
  }
  await first.close()
})

async function idIn(folder: string): Promise<string> {
  const { paths } = await nodeFs(folder).logs('s/')
  return paths[0]!.split('/').at(-1)!
}
