/** An entry that was acknowledged and is in doubt: who was to take it over has died between its marker and its file. */
import { expect, test } from 'vitest'
import { openStore, type Store } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { nodeFileSystem } from '../../adapters/node-fs/file-system.js'
import { gate } from '../support/shared.js'
import { temporaryFolder } from '../support/storages.js'
import { forAdapter } from '../support/counting.js'

forAdapter('nodeFs')

/** A claimer looks, `act` happens, and then it makes its marker and dies. */
async function dieAfterMarker(folder: string, act: () => Promise<void>): Promise<void> {
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
  await act()
  way.open()
  await expect.poll(() => isDead).toBe(true)
}

test.each(['exclusive', 'shared'] as const)('an opener finds it, and owns the store: %s', async (mode) => {
  const folder = temporaryFolder()
  const first = await openStore({ storage: nodeFs(folder), name: 's', mode })
  first.put('a', 1)
  await first.commit()
  await dieAfterMarker(folder, async () => {
    first.put('b', 2)
    await first.commit()
  })
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

test('a follower that the anchor sends to it is told to try again, and not that the store is damaged', async () => {
  const folder = temporaryFolder()
  const first = await openStore({ storage: nodeFs(folder), name: 's' })
  first.put('a', 1)
  await first.commit()
  await dieAfterMarker(folder, async () => {
    first.put('b', 2)
    await first.commit()
    await first.checkpoint()
  })
  const follow = (): Promise<Store> => openStore({ storage: nodeFs(folder), name: 's', mode: 'follower' })
  await expect(follow()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
  await (await openStore({ storage: nodeFs(folder), name: 's' })).close()
  const follower = await follow()
  expect(await follower.get('b')).toBe(2)
  await follower.close()
  await first.close()
})

async function idIn(folder: string): Promise<string> {
  const { paths } = await nodeFs(folder).logs('s/')
  return paths[0]!.split('/').at(-1)!
}
