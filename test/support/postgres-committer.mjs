// A process that commits to PostgreSQL without pause and reports each version once it is acknowledged. Its argument is JSON: the
// options of a Pool, the prefix of the tables, and the mode. Plain JavaScript on the built package, as a user's program would be.
import { writeSync } from 'node:fs'
import pg from 'pg'
import { openStore } from 'tidemark'
import { postgres } from 'tidemark/postgres'

const { config, prefix, mode } = JSON.parse(process.argv[2])
const report = (line) => writeSync(1, `${line}\n`)
const storage = postgres(new pg.Pool(config), { prefix })
const retain = { versions: 1_000_000 }
const store = await openStore({ storage, name: 'killed', mode, logger: false, checkpoint: { entries: 8 }, retain })
const reached = Number(store.offsets.i ?? 0)
report(`opened ${reached} ${store.version}`)
for (let i = reached + 1; ; i++) {
  store.put(`k${i % 50}`, { i })
  store.put(['last', i % 3], i)
  const { version } = await store.commit({ offsets: { i } })
  report(`committed ${i} ${version}`)
}
