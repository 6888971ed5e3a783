/** The command line on S3: every command on the S3 API of R2 in miniflare, and what it says where it can't go on. */
import { execFile, execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { openStore, systemClock, type Clock } from 'tidemark'
import { cli, parseLines, temporaryFolder, type Ran } from '../support/cli.js'
import { steadyClock } from '../support/example.js'
import { byFetch, placeAt, SECRET, startMiniflare, type S3Place } from '../support/s3-clients.js'
import { startS3Server, type S3Server } from '../support/s3-server.js'
import { forAdapter } from '../support/counting.js'

forAdapter('s3')

let real!: { place: S3Place; dispose(): Promise<void> }
let runs = 0
beforeAll(async () => {
  real = await startMiniflare()
})
afterAll(() => real.dispose())

/** The SDK's chain finds these keys and no file, no region, and no service of a machine in a cloud. */
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined)
  vi.stubEnv('AWS_ACCESS_KEY_ID', real.place.accessKeyId)
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', SECRET)
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
  vi.stubEnv('AWS_CONFIG_FILE', join(temporaryFolder(), 'none'))
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(temporaryFolder(), 'none'))
})
afterEach(() => {
  vi.unstubAllEnvs()
})

/** A command on the bucket of miniflare; it prints no secret. */
async function onS3(args: readonly string[], endpoint = real.place.endpoint): Promise<Ran> {
  return quiet(await cli([...args, '--endpoint', endpoint]))
}

function quiet(ran: Ran): Ran {
  for (const secret of [SECRET, 'Signature=', 'AWS4-HMAC']) expect(ran.out + ran.err).not.toContain(secret)
  return ran
}

/** A store with three versions, and its address. */
async function threeVersions(): Promise<string> {
  const prefix = `run-${runs++}`
  const store = await openStore({ storage: byFetch(real.place, prefix), name: 'orders', clock: steadyClock() })
  for (let i = 1; i <= 3; i++) {
    store.put('n', i)
    await store.commit()
  }
  await store.tag('three')
  await store.close()
  return `s3://${real.place.bucket}/${prefix}`
}

const valueIn = async (where: string, ...more: string[]): Promise<string> =>
  (await onS3(['get', where, 'n', '--json', ...more])).out.trim()

describe('on s3://', () => {
  test('what only reads, reads', async () => {
    const where = await threeVersions()
    expect(await onS3(['get', where, 'n'])).toEqual({ code: 0, out: '3\n', err: '' })
    expect(await valueIn(where, '--at', '3')).toBe('2')
    expect((await onS3(['scan', where])).out).toContain('n')
    expect((await onS3(['inspect', where])).out).toMatch(/^store {7}orders/)
    expect(parseLines((await onS3(['versions', where, '--json'])).out).length).toBe(3)
    expect((await onS3(['diff', where, '2', '4'])).out).toContain('n')
    expect(await onS3(['verify', where])).toMatchObject({ code: 0, err: '' })
  })

  test('what writes, writes', async () => {
    const where = await threeVersions()
    expect((await onS3(['restore', where, '2', '--json'])).code).toBe(0)
    expect(await valueIn(where)).toBe('1')
    expect((await onS3(['tag', where, 'second', '--at', '3'])).code).toBe(0)
    expect(await valueIn(where, '--at', 'second')).toBe('2')
    expect((await onS3(['untag', where, 'second'])).code).toBe(0)
    expect((await onS3(['fork', where, 'what-if', '--at', 'three'])).code).toBe(0)
    expect(await valueIn(where, '--store', 'what-if')).toBe('3')
    expect(await onS3(['get', where, 'n'])).toEqual({ code: 0, out: '1\n', err: '' })
    expect((await onS3(['stores', where])).out).toMatch(/\norders .*\nwhat-if .* orders\n$/)
    expect((await onS3(['put', where, 'n', '7'])).code).toBe(0)
    expect(await valueIn(where)).toBe('7')
    expect((await onS3(['delete', where, 'n'])).code).toBe(0)
    expect((await onS3(['backups', where])).out).toMatch(/^backup .*\nthree /)
    expect((await onS3(['maintain', where, '--store', 'orders'])).code).toBe(0)
    expect((await onS3(['maintain', where, '--store', 'orders', '--dry-run'])).out).toContain('A dry run')
    expect((await onS3(['verify', where, '--store', 'orders'])).code).toBe(0)
    expect((await onS3(['destroy', where, '--store', 'what-if', '--yes'])).code).toBe(0)
    expect((await onS3(['get', where, 'n', '--store', 'what-if'])).err).toMatch(/NOT_FOUND/)
  })

  test('versions are copied out of it, into it and within it', async () => {
    const where = await threeVersions()
    const files = temporaryFolder()
    const folder = join(files, 'copy')
    expect((await onS3(['push', where, folder])).out).toMatch(/^Version 4 is version 1 in /)
    expect((await cli(['get', folder, 'n'])).out).toBe('3\n')
    const there = `s3://${real.place.bucket}/run-${runs++}`
    expect((await onS3(['push', folder, there, '--tag', 'daily'])).code).toBe(0)
    expect(await valueIn(there, '--at', 'daily')).toBe('3')
    expect((await onS3(['push', folder, there])).out).toContain('already')
    const third = `s3://${real.place.bucket}/run-${runs++}`
    expect((await onS3(['pull', third, where, '--at', '2'])).code).toBe(0)
    expect(await valueIn(third)).toBe('1')
    expect((await onS3(['pull', join(files, 'pulled'), where])).code).toBe(0)
    expect((await cli(['get', join(files, 'pulled'), 'n'])).out).toBe('3\n')
    const zip = join(files, 'orders.zip')
    expect((await onS3(['export', where, zip])).code).toBe(0)
    const fourth = `s3://${real.place.bucket}/run-${runs++}`
    expect((await onS3(['import', fourth, zip])).code).toBe(0)
    expect(await valueIn(fourth)).toBe('3')
  })

  test('the other side of a copy may have another endpoint', async () => {
    const where = await threeVersions()
    const other = await startS3Server()
    const there = 's3://bucket/x'
    expect((await onS3(['push', where, there, '--to-endpoint', other.url, '--to-region', 'eu-1'])).code).toBe(0)
    expect(other.requests.some(({ headers }) => headers.authorization?.includes('/eu-1/s3/'))).toBe(true)
    expect((await onS3(['get', there, 'n'], other.url)).out).toBe('3\n')
    const back = `s3://${real.place.bucket}/run-${runs++}`
    expect((await onS3(['pull', back, there, '--from-endpoint', other.url])).code).toBe(0)
    expect(await valueIn(back)).toBe('3')
    await other.close()
  })

  test('keys and the region come from the files of a profile, too', async () => {
    const where = await threeVersions()
    const folder = temporaryFolder()
    const keys = `aws_access_key_id = ${real.place.accessKeyId}\naws_secret_access_key = ${SECRET}`
    writeFileSync(join(folder, 'credentials'), `[mine]\n${keys}\n`)
    writeFileSync(join(folder, 'config'), '[profile mine]\nregion = auto\n')
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined)
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined)
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'))
    vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'))
    vi.stubEnv('AWS_PROFILE', 'mine')
    expect(await valueIn(where)).toBe('3')
  })

  test('the command ends by itself, and writes nothing but its answer', async () => {
    const where = await threeVersions()
    const root = join(import.meta.dirname, '../..')
    execFileSync(process.execPath, [join(root, '.ci/setup.mjs'), '--build'], { stdio: 'inherit' })
    const program = join(root, 'dist/cli.js')
    const ran = await new Promise<[unknown, string, string]>((resolve) => {
      const args = [program, 'get', where, 'n', '--endpoint', real.place.endpoint]
      execFile(process.execPath, args, { timeout: 170_000 }, (error, out, err) => resolve([error, out, err]))
    })
    expect(ran).toEqual([null, '3\n', ''])
  })
})

describe('an s3:// place that is of no use is an error of one sentence', () => {
  let server!: S3Server
  const silent: Server = createServer((socket) => void socket.on('error', () => {}))
  beforeAll(async () => {
    server = await startS3Server()
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  })
  afterEach(() => {
    server.decide = undefined
  })
  afterAll(async () => {
    await server.close()
    silent.close()
  })

  async function refused(args: readonly string[], clock?: Clock): Promise<string> {
    const { code, out, err } = quiet(await cli(args, { clock }))
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^tidemark: [A-Z_]+: [^\n]*\n$/)
    return err
  }

  test.each([
    's3://',
    's3:///prefix',
    's3://B?X-Amz-Signature=sEcReT-kEy-0123456789',
    's3://AKID:sEcReT-kEy-0123456789@bucket/prefix',
    's3://bucket/a?X-Amz-Signature=sEcReT-kEy-0123456789',
    's3://bucket//a',
    's3://bucket/../a',
  ])('%s', async (where) => {
    expect(await refused(['inspect', where, '--endpoint', server.url])).toContain('INVALID_ARGUMENT')
    expect(server.requests.length).toBe(0)
  })

  test.each(['host', 'ftp://host', `https://AKID:${SECRET}@host`, `https://host/?key=${SECRET}`, 'http://[', ''])(
    'with the endpoint %s',
    async (endpoint) => {
      const err = await refused(['inspect', 's3://bucket/a', '--endpoint', endpoint])
      expect(err).toMatch(/INVALID_ARGUMENT: --endpoint \(or AWS_ENDPOINT_URL\) is the URL/)
    },
  )

  test('without a region', async () => {
    expect(await refused(['inspect', 's3://bucket/a'])).toMatch(/INVALID_ARGUMENT.*--region.*AWS_REGION/)
    expect(await refused(['inspect', 's3://bucket/a', '--region', 'no region'])).toMatch(/INVALID_ARGUMENT.*--region/)
  })

  test('without credentials', async () => {
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined)
    const err = await refused(['inspect', 's3://bucket/a', '--endpoint', server.url])
    expect(err).toMatch(/STORAGE_UNAVAILABLE: No AWS credentials/)
  })

  test('with wrong credentials', async () => {
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', `not ${SECRET}`)
    const err = await refused(['inspect', 's3://bucket/a', '--endpoint', real.place.endpoint])
    expect(err).toMatch(/STORAGE_UNAVAILABLE: s3 answered 403/)
    server.decide = () => ({ status: 403, code: 'InvalidAccessKeyId' })
    expect(await refused(['get', 's3://bucket/a', 'k', '--store', 'x', '--endpoint', server.url])).toMatch(
      /Check the access key/,
    )
    server.decide = () => ({ status: 403, code: 'AccessDenied' })
    expect(await refused(['inspect', 's3://bucket/a', '--endpoint', server.url])).toMatch(/s3:ListBucket/)
  })

  test('in a bucket that does not exist, also to write to', async () => {
    for (const command of [['inspect'], ['import', '--store', 'x'], ['import'], ['stores'], ['put', '--store', 'x']]) {
      const [name = '', ...more] = command
      const file = name === 'import' ? [join(temporaryFolder(), 'x.zip')] : name === 'put' ? ['k', '1'] : []
      const args = [name, 's3://nowhere/a', ...file, ...more, '--endpoint', server.url]
      expect(await refused(args)).toMatch(/INVALID_ARGUMENT: .*NoSuchBucket.*Create the bucket/)
    }
  })

  test('with nothing in it', async () => {
    const err = await refused(['inspect', 's3://bucket/empty', '--endpoint', server.url])
    expect(err).toBe('tidemark: NOT_FOUND: There is no store in s3://bucket/empty; check the path.\n')
    expect(server.objects.size).toBe(0)
  })

  test('where nobody listens', async () => {
    const gone = await startS3Server()
    await gone.close()
    expect(await refused(['inspect', 's3://bucket/a', '--endpoint', gone.url])).toMatch(/STORAGE_UNAVAILABLE/)
  })

  test('where nothing is answered: it ends after ten seconds', async () => {
    const { port } = silent.address() as AddressInfo
    // Ten seconds pass in a tenth of one.
    const hasty: Clock = { ...systemClock, timer: (ms, run, options) => systemClock.timer(ms / 100, run, options) }
    const err = await refused(['inspect', 's3://bucket/a', '--endpoint', `http://127.0.0.1:${port}`], hasty)
    expect(err).toMatch(/STORAGE_UNAVAILABLE: The bucket did not answer within 10 s/)
  })

  test('that fails again and again: it gives up', async () => {
    server.decide = () => ({ status: 503, code: 'SlowDown' })
    expect(await refused(['inspect', 's3://bucket/a', '--endpoint', server.url])).toMatch(/STORAGE_UNAVAILABLE.*503/)
  })

  test('where something else than S3 answers', async () => {
    server.decide = () => ({ status: 404 })
    expect(await refused(['inspect', 's3://bucket/a', '--endpoint', server.url])).toMatch(/404.*Check the endpoint/)
  })

  test('that points to another host', async () => {
    server.decide = () => ({ status: 301, code: 'PermanentRedirect' })
    expect(await refused(['inspect', 's3://bucket/a', '--endpoint', server.url])).toMatch(/another host.*region/)
  })
})

test('what fails in passing is asked again', async () => {
  const server = await startS3Server()
  const storage = byFetch(placeAt(server.url), 'x')
  const store = await openStore({ storage, name: 'orders' })
  store.put('n', 1)
  await store.commit()
  await store.close()
  let seen = 0
  server.decide = () => (seen++ % 3 === 1 ? { status: 503 } : undefined)
  expect((await onS3(['get', 's3://bucket/x', 'n'], server.url)).out).toBe('1\n')
  await server.close()
})
