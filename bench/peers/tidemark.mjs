import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'

/** As a user opens it; `resident` and `cacheBytes` come from the work that is measured. */
export async function open(folder, { cacheBytes, resident, maintenance = true } = {}) {
  const options = {
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
    ...(resident === undefined ? {} : { resident }),
    ...(maintenance ? {} : { checkpoint: { entries: 1 << 20, bytes: 1 << 30 } }),
  }
  const store = await openStore({ storage: nodeFs(folder), name: 'bench', mode: 'exclusive', ...options })
  return {
    put: (key, value) => store.put(key, value),
    commit: () => store.commit(),
    commitAt: (offset) => store.commit({ offsets: { events: offset } }),
    /** One key, durable when it resolves. */
    set: (key, value) => {
      store.put(key, value)
      return store.commit()
    },
    get: (key) => store.get(key),
    getSync: (key) => store.getSync(key),
    async scan() {
      let rows = 0
      for await (const _ of store.entries()) rows++
      return rows
    },
    close: () => store.close(),
  }
}
