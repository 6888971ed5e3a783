/** The suites that every adapter has to pass, on a PostgreSQL server that the tests start, and on PGlite, which needs none. */
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStore, type Storage } from 'tidemark'
import { postgres, type PostgresClient } from 'tidemark/postgres'
import { eachAdapter, suiteTest, type AdapterRow } from '../support/counting.js'
import { extent, WHOLE } from '../support/extent.js'
import { startPostgres, type PostgresServer } from '../support/postgres-server.js'
import { temporaryFolder } from '../support/storages.js'
import { FEW_LOSSES, MORE_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'
import { until } from '../support/until.js'

let server: PostgresServer
let pool: PostgresClient
let embedded: PGlite
let runs = 0

beforeAll(async () => {
  const began = [startPostgres(), PGlite.create()] as const
  ;[server, embedded] = await Promise.all(began)
  pool = server.pool()
})
afterAll(async () => {
  await embedded.close()
  await server.stop()
})

const rows: readonly AdapterRow[] = [
  { adapter: 'postgres', make: () => postgres(pool, { prefix: `run_${runs++}_` }) },
  { adapter: 'pglite', make: () => postgres(embedded, { prefix: `run_${runs++}_` }) },
]
eachAdapter(rows, '%s', (make, adapter) =>
  allSuites({
    test: suiteTest(adapter),
    make,
    share: { writes: extent(5, 60), reads: extent(60, 720) },
    loss: WHOLE ? MORE_LOSSES : FEW_LOSSES,
  }),
)

test('two stores on one PGlite hear of each other', { meta: { adapter: 'pglite' } }, async () => {
  const storage = (): Storage => postgres(embedded, { schema: 'heard' })
  const open = () => openStore<string, number>({ storage: storage(), name: 'a', mode: 'shared' })
  const [a, b] = [await open(), await open()]
  await a.set('a', 1)
  await until(() => b.version === a.version)
  expect(b.version).toBe(a.version)
  expect(await b.get('a')).toBe(1)
  await a.close()
  await b.close()
})

test('PGlite that is served on a socket is reached by a Pool', { meta: { adapter: 'pglite' } }, async () => {
  const folder = temporaryFolder()
  const served = new PGLiteSocketServer({ db: embedded, path: `${folder}/.s.PGSQL.5432` })
  await served.start()
  const one = new pg.Pool({ host: folder, user: 'postgres', database: 'postgres', max: 1 })
  const store = await openStore<string, number>({ storage: postgres(one, { schema: 'served' }), name: 'a' })
  await store.set('a', 1)
  expect(await store.get('a')).toBe(1)
  await store.close()
  await one.end()
  await served.stop()
})
