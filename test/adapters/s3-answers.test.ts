/** How both transports take each answer of a server; and that no error tells a secret. */
import { eachAdapter } from '../support/counting.js'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { isTidemarkError, type Storage } from 'tidemark'
import { s3 } from 'tidemark/s3'
import { s3Fetch } from 'tidemark/s3-fetch'
import { awsFor, byFetch, bySdk, clientFor, placeAt, s3Adapters, SECRET } from '../support/s3-clients.js'
import { startS3Server, type S3Fault, type S3Server } from '../support/s3-server.js'

const bytes = new TextEncoder().encode('the bytes')
const BLOB = 'a/0/id/seg/s'
let server!: S3Server
let runs = 0

beforeAll(async () => {
  server = await startS3Server()
})
afterAll(() => server.close())
afterEach(() => {
  server.decide = undefined
})

/** The first request that `when` names gets the fault, the others do not. */
function failOnce(fault: S3Fault, method: string): void {
  server.decide = (seen) => {
    if (seen.method !== method) return undefined
    server.decide = undefined
    return fault
  }
}

function always(fault: S3Fault, method?: string): void {
  server.decide = (seen) => (method === undefined || seen.method === method ? fault : undefined)
}

/** The text of an error, with everything that hangs on it. */
function everything(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = Object.getOwnPropertyNames(error).filter((name) => name !== 'stack' && name !== 'cause')
  const parts = own.map((name) => JSON.stringify((error as never)[name]))
  return [...parts, error.stack, error.cause === undefined ? '' : everything(error.cause)].join('\n')
}

function expectNoSecret(error: unknown): void {
  const said = everything(error)
  for (const secret of [SECRET, 'Signature=', 'Credential=', 'AWS4-HMAC', 'AKIDTIDEMARK'])
    expect(said).not.toContain(secret)
}

async function thrown(promise: Promise<unknown>): Promise<{ code: string; retryable: boolean; message: string }> {
  const error: unknown = await promise.then(
    () => expect.unreachable('it should have failed'),
    (e: unknown) => e,
  )
  expectNoSecret(error)
  if (!isTidemarkError(error)) throw error
  return error
}

const UNKNOWN: [string, S3Fault][] = [
  ['409 ConditionalRequestConflict', { status: 409, code: 'ConditionalRequestConflict' }],
  ['408', { status: 408 }],
  ['400 RequestTimeout', { status: 400, code: 'RequestTimeout' }],
  ['429', { status: 429, code: 'TooManyRequests' }],
  ['500, and it is there', { status: 500, code: 'InternalError', applied: true }],
  ['500, as Ceph answers a race', { status: 500, code: 'UnknownError' }],
  ['502 of a proxy', { status: 502 }],
  ['503 SlowDown', { status: 503, code: 'SlowDown' }],
  ['504 of a proxy, and it is there', { status: 504, applied: true }],
  ['200 of something in between', { status: 200 }],
  ['202 of something in between', { status: 202 }],
  ['a connection that ends before', 'hang-up'],
  ['a reply that is lost', 'reply-lost'],
]

const REFUSED: [string, S3Fault, string, boolean, RegExp][] = [
  ['403', { status: 403, code: 'AccessDenied' }, 'STORAGE_UNAVAILABLE', false, /s3:PutObject/],
  ['403 of an expired token', { status: 403, code: 'ExpiredToken' }, 'STORAGE_UNAVAILABLE', true, /Renew/],
  ['403 of a wrong signature', { status: 403, code: 'SignatureDoesNotMatch' }, 'STORAGE_UNAVAILABLE', false, /secret/],
  ['400 BadDigest', { status: 400, code: 'BadDigest' }, 'STORAGE_UNAVAILABLE', true, /damaged/],
  ['400 EntityTooLarge', { status: 400, code: 'EntityTooLarge' }, 'INVALID_ARGUMENT', false, /larger/],
  ['400 of another kind', { status: 400, code: 'InvalidRequest' }, 'STORAGE_UNAVAILABLE', false, /InvalidRequest/],
  ['404 of the bucket', { status: 404, code: 'NoSuchBucket' }, 'INVALID_ARGUMENT', false, /Create the bucket/],
  ['413', { status: 413 }, 'INVALID_ARGUMENT', false, /larger/],
  ['501', { status: 501, code: 'NotImplemented' }, 'STORAGE_UNSAFE', false, /conditional writes/],
  ['507', { status: 507, code: 'XMinioStorageFull' }, 'QUOTA', false, /no space/],
  ['301', { status: 301, code: 'PermanentRedirect' }, 'STORAGE_UNAVAILABLE', false, /another host/],
]

eachAdapter(s3Adapters, '%s', (make, adapter) => {
  let storage!: Storage
  const create = () => storage.log('a/0/id').append(1, bytes, 1)
  const anchor = () => storage.anchor('a/0/anchor')
  const sdk = adapter === 's3'

  beforeEach(() => {
    storage = make(placeAt(server.url), `run-${runs++}`)
  })

  test.each(UNKNOWN)('a create or swap is unknown after %s, and is sent once', async (_, fault) => {
    await anchor().swap(undefined, bytes, 0)
    const { token } = await anchor().read()
    for (const send of [create, () => anchor().swap(token, new Uint8Array([1]), 0)]) {
      failOnce(fault, 'PUT')
      const before = server.requests.length
      const answer = await send()
      expect(answer).toMatchObject({ outcome: 'unknown', settle: true })
      expectNoSecret('cause' in answer ? answer.cause : undefined)
      expect(server.requests.length - before).toBe(1)
      // Sent again it is settled.
      expect(['committed', 'lost']).toContain((await send()).outcome)
    }
  })

  test.each(REFUSED)('a create or swap is refused by %s', async (_, fault, code, retryable, says) => {
    always(fault, 'PUT')
    for (const send of [create, () => anchor().swap('"1"', bytes, 0), () => storage.blobs.put(BLOB, bytes)]) {
      const error = await thrown(send())
      expect(error).toMatchObject({ code, retryable })
      expect(error.message).toMatch(says)
    }
    server.decide = undefined
    expect((await storage.log('a/0/id').read(1)).bytes).toBe(undefined)
  })

  test('a segment of which something in between says that it is stored is not', async () => {
    for (const status of [200, 202, 204]) {
      failOnce({ status }, 'PUT')
      expect(await thrown(storage.blobs.put(BLOB, bytes))).toMatchObject({
        code: 'STORAGE_UNAVAILABLE',
        retryable: true,
      })
      await storage.blobs.put(BLOB, bytes)
    }
  })

  test('a swap of what is gone is lost; a 404 for what is there says nothing', async () => {
    expect((await anchor().swap('"00000000000000000000000000000000"', bytes, 0)).outcome).toBe('lost')
    await anchor().swap(undefined, bytes, 0)
    const { token } = await anchor().read()
    failOnce({ status: 404, code: 'NoSuchKey' }, 'PUT')
    expect(await anchor().swap(token, bytes, 0)).toMatchObject({ outcome: 'unknown', settle: true })
    expect((await anchor().swap(token, bytes, 0)).outcome).toBe('committed')
  })

  test.each<[string, S3Fault]>([
    ['cut', 'cut-body'],
    ['shorter than stored', 'short-body'],
    ['damaged', 'damaged-body'],
  ])('a body that is %s is read again, and never returned', async (_, fault) => {
    await storage.blobs.put(BLOB, bytes)
    failOnce(fault, 'GET')
    const first = await storage.blobs.get(BLOB).catch((error: unknown) => error)
    if (first instanceof Error) expect(first).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    else expect(first).toMatchObject({ bytes })
    if (fault === 'damaged-body') return
    always(fault, 'GET')
    const ranged = storage.blobs.get(BLOB, { range: { offset: 2, length: 4 } })
    expect(await thrown(ranged)).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
  })

  test('a body may come slowly', async () => {
    await storage.blobs.put(BLOB, bytes)
    always({ slow: 200 }, 'GET')
    expect((await storage.blobs.get(BLOB)).bytes).toEqual(bytes)
  })

  test('a cache that answers is no storage', async () => {
    always('cached-404', 'GET')
    expect((await thrown(storage.blobs.get(BLOB))).message).toMatch(/cache/)
  })

  test('a 404 that is not S3 does not mean absent', async () => {
    always({ status: 404 }, 'GET')
    expect(await thrown(storage.blobs.get(BLOB))).toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    always({ status: 404, code: 'NoSuchBucket' }, 'GET')
    expect(await thrown(storage.blobs.get(BLOB))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('403 for what is absent names the permission that is missing', async () => {
    always({ status: 403, code: 'AccessDenied' }, 'GET')
    const forbidden = await thrown(storage.log('a/0/id').read(1))
    expect(forbidden).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
    expect(forbidden.message).toContain('s3:ListBucket')
    server.decide = ({ query }) => (query.has('list-type') ? undefined : { status: 403, code: 'AccessDenied' })
    expect((await thrown(storage.log('a/0/id').read(1))).message).toContain('s3:GetObject')
    always({ status: 403, code: 'AccessDenied' }, 'GET')
    expect((await thrown(storage.blobs.list(''))).message).toContain('s3:ListBucket')
    always({ status: 403, code: 'AccessDenied' })
    expect((await thrown(storage.blobs.delete(['x/y']))).message).toContain('s3:DeleteObject')
  })

  test('a list that is cut is no shorter list', async () => {
    for (let i = 0; i < 9; i++) await storage.blobs.put(`${BLOB}${i}`, bytes)
    for (const fault of ['cut-body', 'short-body'] as const) {
      always(fault, 'GET')
      expect(await thrown(storage.blobs.list(''))).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    }
  })

  test('the time of an answer is that of the server', async () => {
    const hour = 3_600_000
    for (const skewMs of [hour, undefined]) {
      const skewed = await startS3Server({ skewMs })
      const { time } = await make(placeAt(skewed.url), 'x').log('a/0/id').append(1, bytes, 1)
      if (skewMs === undefined) expect(time).toBe(undefined)
      else expect(Math.abs(time! - Date.now() - hour)).toBeLessThan(60_000)
      await skewed.close()
    }
  })

  test('weak ETags, and ETags that are no hashes, are as good as others', async () => {
    for (const etags of ['weak', 'number'] as const) {
      const other = await startS3Server({ etags })
      const at = make(placeAt(other.url), 'x').anchor('a/0/anchor')
      await at.swap(undefined, bytes, 0)
      const read = await at.read()
      expect(read.bytes).toEqual(bytes)
      expect(read.token).toMatch(/^"/)
      expect((await at.swap(read.token, new Uint8Array([2]), 0)).outcome).toBe('committed')
      expect((await at.swap(read.token, new Uint8Array([3]), 0)).outcome).toBe('lost')
      await other.close()
    }
  })

  test('nobody listens: a read fails, and a create has not happened or is unknown', async () => {
    const gone = await startS3Server()
    await gone.close()
    const away = make(placeAt(gone.url), 'x')
    expect(await thrown(away.blobs.get(BLOB))).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    const writing = away.log('a/0/id').append(1, bytes, 1)
    // Nobody knows how often a fetch has tried.
    if (sdk) expect(await thrown(writing)).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    else expect(await writing).toMatchObject({ outcome: 'unknown', settle: true })
  })

  test('nothing is sent to the host that a redirection names', async () => {
    const other = await startS3Server()
    for (const status of [301, 302, 307, 308]) {
      always({ status, code: 'TemporaryRedirect', headers: { location: `${other.url}/bucket/stolen` } })
      const { blobs } = storage
      for (const call of [create, () => blobs.get(BLOB), () => blobs.list(''), () => blobs.delete([BLOB])]) {
        expect((await thrown(call())).message).toContain('another host')
      }
    }
    expect(other.requests).toEqual([])
    await other.close()
  })
})

test('a default client repeats what may be repeated, and nothing else', async () => {
  const storage = bySdk(placeAt(server.url), `run-${runs++}`)
  failOnce({ status: 503, code: 'SlowDown' }, 'PUT')
  await storage.blobs.put(BLOB, bytes)
  failOnce({ status: 500, code: 'InternalError' }, 'GET')
  expect((await storage.blobs.get(BLOB)).bytes).toEqual(bytes)
})

test('a client without credentials has sent nothing', async () => {
  const credentials = () => Promise.reject(new Error(`no ${SECRET}?token=${SECRET}`.replace(SECRET, 'key')))
  const client = clientFor(placeAt(server.url), { credentials })
  const storage = bySdk(placeAt(server.url), 'x', client)
  const before = server.requests.length
  expect(await thrown(storage.log('a/0/id').append(1, bytes, 1))).toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  expect(server.requests.length).toBe(before)
})

test('a fetch that signs by the query, and quotes it in its errors, tells nothing through ours', async () => {
  const quoting = s3Fetch({
    fetch: (url) =>
      Promise.reject(new Error(`request to ${url}?X-Amz-Signature=${SECRET}&X-Amz-Credential=AKIDTIDEMARK failed`)),
    url: `${server.url}/bucket`,
  })
  await thrown(quoting.blobs.get(BLOB))
  const answer = await quoting.log('a/0/id').append(1, bytes, 1)
  expect(answer.outcome).toBe('unknown')
  expectNoSecret('cause' in answer && answer.cause)
})

test('a fetch that follows redirections all the same is found out', async () => {
  const following = s3Fetch({
    fetch: async (url, init) => {
      const response = await awsFor(placeAt(server.url)).fetch(url, init)
      return { status: 200, redirected: true, headers: response.headers, arrayBuffer: () => response.arrayBuffer() }
    },
    url: `${server.url}/bucket`,
  })
  expect((await thrown(following.blobs.get(BLOB))).message).toContain('another host')
})

test('prefixes of every kind are part of the key, and nothing else', async () => {
  for (const make of [bySdk, byFetch]) {
    const prefix = 'a b/+%2F\'()*!&<>"~/x'.replace(' ', '_')
    const storage = make(placeAt(server.url), prefix)
    for (const n of [0, 1, 2]) await storage.blobs.put(`${BLOB}${n}`, bytes)
    expect(server.objects.has(`${prefix}/${BLOB}0`)).toBe(true)
    expect((await storage.blobs.list('')).items.map(({ name }) => name)).toEqual([0, 1, 2].map((n) => `${BLOB}${n}`))
    expect((await storage.blobs.get(`${BLOB}1`)).bytes).toEqual(bytes)
    await storage.blobs.delete([`${BLOB}0`, `${BLOB}1`, `${BLOB}2`])
    expect((await storage.blobs.list('')).items).toEqual([])
  }
})

const place = placeAt('http://localhost')
const client = clientFor(place)

test.each<[string, () => Storage]>([
  ['no client', () => s3({ client: {} as never, bucket: 'b' })],
  ['no bucket', () => s3({ client, bucket: '' })],
  ['a prefix that begins with a slash', () => s3({ client, bucket: 'b', prefix: '/a' })],
  ['a prefix that climbs', () => s3({ client, bucket: 'b', prefix: 'a/../b' })],
  ['an option that there is not', () => s3({ client, bucket: 'b', region: 'x' } as never)],
  ['a port that is none', () => s3Fetch({ fetch: globalThis.fetch as never, url: 'http://host:99999/bucket' })],
  ['a bucket with a path', () => s3({ client, bucket: 'bucket/state' })],
  ['no fetch', () => s3Fetch({ fetch: undefined as never, url: 'https://host/bucket' })],
  ['a URL without a scheme', () => s3Fetch({ fetch: fetch as never, url: 'host/bucket' })],
  ['a URL with a user', () => s3Fetch({ fetch: fetch as never, url: `https://user:${SECRET}@host/bucket` })],
  ['a URL with a query', () => s3Fetch({ fetch: fetch as never, url: `https://host/b?X-Amz-Signature=${SECRET}` })],
])('%s is refused with a sentence', (_, make) => {
  try {
    make()
    expect.unreachable()
  } catch (error) {
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expectNoSecret(error)
  }
})
