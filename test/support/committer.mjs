// A process that commits without pause and reports each version once it is acknowledged: `node committer.mjs <folder> <mode>`.
// Plain JavaScript on the built package, as a user's program would be. Lines on standard output are written synchronously.
import { writeSync } from 'node:fs'
import { isTidemarkError, openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'

const [folder, mode, id = ''] = process.argv.slice(2)
/** The increments of a process that writes together with others. */
const INCREMENTS = 40
const report = (line) => writeSync(1, `${line}\n`)
const open = async () => {
  for (;;) {
    try {
      // The whole history is looked at in the end.
      const retain = { versions: 1_000_000 }
      const options = { storage: nodeFs(folder), name: 'killed', logger: false, checkpoint: { entries: 8 }, retain }
      return await openStore({ ...options, mode: mode === 'shared' ? 'shared' : 'exclusive' })
    } catch (error) {
      // Rivals that open at the same moment may be told to try again.
      if (!isTidemarkError(error) || (error.code !== 'CONFLICT' && error.code !== 'UNKNOWN_OUTCOME')) throw error
    }
  }
}

let store = await open()
const reached = Number(store.offsets.i ?? 0)
report(`opened ${reached} ${store.version}`)

if (mode === 'alone') {
  for (let i = reached + 1; ; i++) {
    store.put(`k${i % 50}`, { i })
    store.put(['last', i % 3], i)
    const { version } = await store.commit({ offsets: { i } })
    report(`committed ${i} ${version}`)
  }
} else if (mode === 'shared') {
  for (let i = 0; i < INCREMENTS; i++) {
    try {
      await store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) ?? 0) + 1))
      report('added')
    } catch (error) {
      report(`${error.code} ${error.message}`)
    }
  }
  await store.close()
} else {
  // Rivals: each commits until another one takes the store over, rests a little, and takes it back.
  let i = 0
  const end = Date.now() + Number(mode)
  while (Date.now() < end) {
    const label = `${id} ${++i}`
    try {
      store.put(id, i)
      const { version } = await store.commit({ label })
      report(`committed ${version} ${label}`)
    } catch (error) {
      if (!isTidemarkError(error) || (error.code !== 'FENCED' && error.code !== 'UNKNOWN_OUTCOME')) throw error
      report(`${error.code} ${label}`)
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
      await store.close()
      store = await open()
    }
  }
  await store.close()
}
