/** The conformance suite on our own S3 server, in its two dialects; suites.test.ts has the real one. */
import { eachAdapter } from '../support/counting.js'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Storage } from 'tidemark'
import { storageSuite } from 'tidemark/testing'
import { placeAt, s3Adapters } from '../support/s3-clients.js'
import { startS3Server, type S3Server } from '../support/s3-server.js'

let storages = 0
const fresh = (make: (prefix: string) => Storage) => (): Storage => make(`run-${storages++}`)

const onlyFetch = s3Adapters.slice(1)

describe.each([
  ['the rules of AWS', {}, s3Adapters],
  // These are about what lies behind the transport.
  ['the dialect of Ceph', { dialect: 'ceph' }, onlyFetch],
  ['a server that deletes only one object at a time', { deleteMany: false }, onlyFetch],
  ['a server whose time is not to be seen', { skewMs: undefined }, onlyFetch],
] as const)('%s', (_, options, adapters) => {
  let server!: S3Server
  beforeAll(async () => {
    server = await startS3Server(options)
  })
  afterAll(() => server.close())
  eachAdapter(adapters, '%s', (make) => {
    storageSuite({ test, create: fresh((prefix) => make(placeAt(server.url), prefix)) })
  })
})
