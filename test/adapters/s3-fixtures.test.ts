/** Answers that servers are known to give, as fixtures: lists, deletions, conditions, and what errors may quote. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Storage } from 'tidemark'
import { s3Fetch, type SigningInit } from 'tidemark/s3-fetch'
import { redacted } from '../../adapters/s3-common/redact.js'
import { eachAdapter } from '../support/counting.js'
import { bySdk, clientFor, placeAt, s3Adapters, SECRET } from '../support/s3-clients.js'
import { startS3Server, type S3Server } from '../support/s3-server.js'

interface Canned {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** A storage whose requests are answered from a list, and what was asked. */
function answering(...answers: Canned[]): { storage: Storage; asked: { url: string; init: SigningInit }[] } {
  const asked: { url: string; init: SigningInit }[] = []
  const storage = s3Fetch({
    url: 'https://host/bucket',
    prefix: 'p',
    fetch: (url, init) => {
      asked.push({ url, init })
      const { status = 200, headers = {}, body = '' } = answers.shift()!
      return Promise.resolve(new Response(status === 204 ? null : body, { status, headers }))
    },
  })
  return { storage, asked }
}

const object = (key: string): string =>
  `<Contents><Key>${key}</Key><Size>3</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>`
const listed = (keys: string[], more: string): Canned => ({
  body: `<ListBucketResult>${keys.map(object).join('')}${more}</ListBucketResult>`,
})
const WHOLE = '<IsTruncated>false</IsTruncated>'
const MORE = '<IsTruncated>true</IsTruncated><NextContinuationToken>a/b+c=</NextContinuationToken>'

describe('lists', () => {
  test('a page may be empty although others follow', async () => {
    const { storage, asked } = answering(listed([], MORE), listed(['p/a/s'], WHOLE))
    const { items, more } = await storage.blobs.list('')
    expect([items, more]).toEqual([[{ name: 'a/s', size: 3, time: Date.UTC(2026, 0, 2, 3, 4, 5) }], false])
    expect(asked[1]!.url).toContain('continuation-token=a%2Fb%2Bc%3D')
  })

  test('names are read as they are written in XML', async () => {
    const { storage } = answering(listed(['p/a/&amp;&#38;&#x26;&lt;'], WHOLE))
    expect((await storage.blobs.list('')).items[0]!.name).toBe('a/&&&<')
  })

  test.each<[string, Canned]>([
    ['out of order', listed(['p/b', 'p/a'], WHOLE)],
    ['twice the same', listed(['p/a', 'p/a'], WHOLE)],
    ['of other names than it was asked for', listed(['q/a'], WHOLE)],
  ])('a list %s is refused: the bucket is of another kind', async (_, answer) => {
    await expect(answering(answer).storage.blobs.list('')).rejects.toMatchObject({ code: 'STORAGE_UNSAFE' })
  })

  test.each<[string, Canned]>([
    ['cut', { body: '<ListBucketResult><Contents><Key>p/a</Key><Size>3</Size></Contents>' }],
    ['a page of something else', { body: '<html><body>welcome</body></html>' }],
    ['without a word on whether more follows', listed(['p/a'], '')],
    [
      'of objects without a size',
      { body: `<ListBucketResult><Contents><Key>p/a</Key></Contents>${WHOLE}</ListBucketResult>` },
    ],
    ['empty', {}],
    ['with an entity of its own', listed(['p/&evil;'], WHOLE)],
    ['from a cache', { ...listed(['p/a'], WHOLE), headers: { age: '9' } }],
  ])('a list that is %s is no shorter list', async (_, answer) => {
    await expect(answering(answer).storage.blobs.list('')).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      retryable: true,
    })
  })
})

describe('deletions of many', () => {
  const names = ['a/0/id/seg/1', 'a/0/id/seg/2']
  const failed = (code: string): Canned => ({
    body: `<DeleteResult><Error><Key>p/${names[1]}</Key><Code>${code}</Code><Message>m</Message></Error></DeleteResult>`,
  })

  test('what could not be deleted is an error that names it', async () => {
    await expect(answering(failed('InternalError')).storage.blobs.delete(names)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      retryable: true,
      message: expect.stringContaining(names[1]!) as string,
    })
    await expect(answering(failed('AccessDenied')).storage.blobs.delete(names)).rejects.toMatchObject({
      retryable: false,
      message: expect.stringContaining('s3:DeleteObject') as string,
    })
  })

  test('what is absent is deleted', async () => {
    await answering(failed('NoSuchKey')).storage.blobs.delete(names)
  })

  test.each([400, 405, 501])(
    'a server that does not know them (%i) is asked for each, now and later',
    async (status) => {
      const { storage, asked } = answering({ status }, ...Array.from({ length: 4 }, () => ({ status: 204 })))
      await storage.blobs.delete(names)
      await storage.blobs.delete(names)
      expect(asked.map(({ init }) => init.method)).toEqual(['POST', 'DELETE', 'DELETE', 'DELETE', 'DELETE'])
    },
  )
})

describe('reads', () => {
  const read = (answer: Canned): Promise<unknown> =>
    answering(answer, answer).storage.blobs.get('a/s', { range: { offset: 2, length: 4 } })

  test('a server that ignores a range sends more, of which the range is taken', async () => {
    expect(await read({ headers: { etag: '"x-1"' }, body: 'abcdefgh' })).toMatchObject({
      bytes: new TextEncoder().encode('cdef'),
    })
  })

  test.each<[string, Canned]>([
    ['begins elsewhere', { status: 206, headers: { etag: '"x"', 'content-range': 'bytes 0-3/8' }, body: 'abcd' }],
    [
      'is shorter, not at the end',
      { status: 206, headers: { etag: '"x"', 'content-range': 'bytes 2-3/8' }, body: 'cd' },
    ],
    ['is longer than asked for', { status: 206, headers: { etag: '"x"' }, body: 'cdefgh' }],
    ['is not as long as it says', { status: 206, headers: { etag: '"x"', 'content-length': '5' }, body: 'cdef' }],
    ['comes without an ETag', { status: 206, headers: { 'content-range': 'bytes 2-5/8' }, body: 'cdef' }],
  ])('a part that %s is not returned', async (_, answer) => {
    await expect(read(answer)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })

  test('a body is held against its CRC32 where the answer has one, and against its MD5 unless it is encrypted', async () => {
    const get = (headers: Record<string, string>): Promise<unknown> => {
      const answer = { headers: { etag: '"x"', ...headers }, body: '123456789' }
      return answering(answer, answer).storage.blobs.get('a/s')
    }
    // The check value of CRC-32.
    expect(await get({ 'x-amz-checksum-crc32': 'y/Q5Jg==' })).toMatchObject({
      bytes: new TextEncoder().encode('123456789'),
    })
    const twice = { headers: { etag: '"x"', 'x-amz-checksum-crc32': 'AAAAAA==' }, body: '123456789' }
    const { storage, asked } = answering(twice, { ...twice, body: '12345678X' })
    await expect(storage.blobs.get('a/s')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    expect(asked.length).toBe(2)
    const encrypted = { etag: `"${'0'.repeat(32)}"`, 'x-amz-server-side-encryption': 'aws:kms' }
    await get(encrypted)
  })
})

eachAdapter(s3Adapters, '%s', (make) => {
  let ceph!: S3Server
  beforeAll(async () => {
    ceph = await startS3Server({ dialect: 'ceph' })
  })
  afterAll(() => ceph.close())

  test('of writers that race on Ceph one wins, and to those who are told 500 it is unknown', async () => {
    const storage = make(placeAt(ceph.url), 'race')
    const bodies = Array.from({ length: 16 }, (_, i) => new Uint8Array([i]))
    const log = storage.log('a/0/id')
    const creates = await Promise.all(bodies.map((body) => log.append(1, body, 1)))
    expect(creates.filter(({ outcome }) => outcome === 'committed').length).toBe(1)
    expect(creates.some(({ outcome }) => outcome === 'unknown')).toBe(true)
    const anchor = storage.anchor('a/0/anchor')
    await anchor.swap(undefined, new Uint8Array([99]), 0)
    const { token } = await anchor.read()
    const swaps = await Promise.all(bodies.map((body) => anchor.swap(token, body, 0)))
    expect(swaps.filter(({ outcome }) => outcome === 'committed').length).toBe(1)
    for (const body of bodies) expect((await log.append(1, body, 1)).outcome).toBe('lost')
  })

  test('a store that is opened without ListBucket says which permission is missing', async () => {
    const server = await startS3Server()
    // S3 answers a key that may read and write objects, and not list, that an absent object is forbidden.
    server.decide = ({ method, key, query }) => {
      const absent = method === 'GET' && !server.objects.has(key)
      return absent || query.has('list-type') ? { status: 403, code: 'AccessDenied' } : undefined
    }
    const opening = openStore({ storage: make(placeAt(server.url), 'x'), name: 's' })
    await expect(opening).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      retryable: false,
      message: expect.stringContaining('s3:ListBucket') as string,
    })
    expect(server.objects.size).toBe(0)
    await server.close()
  })

  test('a machine whose clock is wrong is told so', async () => {
    const server = await startS3Server()
    server.decide = () => ({ status: 403, code: 'RequestTimeTooSkewed' })
    const storage = make(placeAt(server.url), 'x')
    const writing = storage.log('a/0/id').append(1, new Uint8Array(1), 1)
    await expect(writing).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    await expect(storage.blobs.get('a/s')).rejects.toMatchObject({
      message: expect.stringContaining('clock') as string,
    })
    await server.close()
  })
})

test('an SDK that sends by fetch, as in browsers, follows no redirection either', async () => {
  // By a variable, as it is no dependency of ours.
  const handlers = '@smithy/fetch-http-handler'
  const { FetchHttpHandler } = (await import(handlers)) as { FetchHttpHandler: new (config: object) => never }
  // Node's fetch, unlike those of browsers, trips over a length that is given.
  const customFetch = (request: Request): Promise<Response> => {
    const headers = new Headers(request.headers)
    headers.delete('content-length')
    return fetch(new Request(request, { headers }))
  }
  const [server, other] = [await startS3Server(), await startS3Server()]
  const requestHandler = new FetchHttpHandler({ customFetch })
  const storage = bySdk(placeAt(server.url), 'x', clientFor(placeAt(server.url), { requestHandler }))
  await storage.blobs.put('a/0/id/seg/s', new Uint8Array([1]))
  expect((await storage.blobs.get('a/0/id/seg/s')).bytes).toEqual(new Uint8Array([1]))
  for (const status of [301, 302, 307, 308]) {
    server.decide = () => ({ status, code: 'Moved', headers: { location: `${other.url}/bucket/stolen` } })
    const { blobs } = storage
    for (const call of [
      () => storage.log('a/0/id').append(1, new Uint8Array([1]), 1),
      () => blobs.put('a/0/id/seg/t', new Uint8Array([1])),
      () => blobs.get('a/0/id/seg/s'),
      () => blobs.list(''),
    ])
      await expect(call()).rejects.toMatchObject({ message: expect.stringContaining('another host') as string })
  }
  expect(other.requests).toEqual([])
  await Promise.all([server.close(), other.close()])
})

test.each([
  `GET https://AKID:${SECRET}@host/bucket/a failed`,
  `GET https://host/bucket/a?X-Amz-Credential=AKID&X-Amz-Signature=${SECRET} failed`,
  `headers: {"authorization":"AWS4-HMAC-SHA256 Credential=AKID/20260101, Signature=${SECRET}"}`,
  `Authorization: Bearer ${SECRET}`,
  `x-amz-security-token: ${SECRET}`,
  `{"x-amz-security-token": "${SECRET}"}`,
  `aws_secret_access_key = ${SECRET}`,
  `{"accessKeyId":"AKID","secretAccessKey":"${SECRET}","sessionToken":"${SECRET}"}`,
  `AWS4-HMAC-SHA256\n20260101T000000Z\n${SECRET}`,
  `Headers.set: "${SECRET}\n${SECRET}" is an invalid header value.`,
  `{"request":"{\\"authorization\\":\\"${SECRET}\\"}"}`,
  `invalid header: ['authorization', '${SECRET}']`,
  `the header said Basic ${SECRET}`,
  `X-Amz-Signature%3D${SECRET}`,
  `<SecretAccessKey>${SECRET}</SecretAccessKey>`,
])('an error that quotes %j is passed on without the secret', (message) => {
  const cause = Object.assign(new Error(message), { $response: { headers: { authorization: SECRET } } })
  const copy = redacted(Object.assign(new Error('outer', { cause }), { request: message }))
  const said = [copy, copy.cause as Error].map((e) => `${e.message} ${e.stack} ${JSON.stringify(e)}`).join('\n')
  expect(said).toContain('outer')
  expect(said).not.toContain(SECRET)
})

test('an error that cannot be read, or that hides a secret in its name, is passed on without it', () => {
  const unreadable = Object.defineProperty({}, 'message', {
    get: () => {
      throw new Error(SECRET)
    },
  })
  for (const error of [unreadable, Object.assign(new Error('x'), { name: `Bearer ${SECRET}`, code: `${SECRET} ` })]) {
    const copy = redacted(error)
    expect([copy.name, copy.code, copy.message].join('\n')).not.toContain(SECRET)
  }
})

test.each([
  undefined,
  'text',
  {},
  { status: 200 },
  { status: 200, headers: { etag: '"x"' }, arrayBuffer: () => undefined },
])('a fetch that returns %j leaves a put unknown, and a read unavailable', async (returned) => {
  const storage = s3Fetch({ fetch: () => Promise.resolve(returned as never), url: 'https://host/bucket' })
  expect(await storage.log('a/0/id').append(1, new Uint8Array(1), 1)).toMatchObject({
    outcome: 'unknown',
    settle: true,
  })
  await expect(storage.blobs.get('a/0/id/seg/s')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
})
