/**
 * Sends requests by the commands of the AWS SDK. The SDK signs, finds the endpoint and the credentials, and reads XML. A
 * middleware of our own sees the status and the headers that come back.
 *
 * The SDK repeats requests that fail in passing, three times by default. That would be wrong for a put with a condition: the
 * second attempt could be refused because of the object of the first one. The middleware sits inside of the repetition, and
 * hides such errors in one that is not repeated.
 */
import { TidemarkError } from '../../src/errors.js'
import { redacted } from '../s3-common/redact.js'
import type { ListedItem, S3Reply, S3Request, Transport } from '../s3-common/transport.js'

/** The part of the `S3Client` of `@aws-sdk/client-s3` that is used here. */
export interface S3ClientLike {
  /** Sends a command of the SDK and resolves to its output. */
  send(command: never, options?: never): Promise<unknown>
}

type Sdk = typeof import('@aws-sdk/client-s3')
type Raw = { readonly statusCode: number; readonly headers: Readonly<Record<string, string>> }

/** The observations of the middleware in one call. */
interface Seen {
  sent: boolean
  raw?: Raw
}

/** Hides an error from the SDK's repetition, which would look at a `cause` as well. */
class Unrepeated extends Error {
  readonly hidden: unknown

  constructor(hidden: unknown) {
    super('A conditional write is not repeated.')
    this.hidden = hidden
  }
}

export function sdkTransport(client: S3ClientLike, bucket: string): Transport {
  let sdk: Promise<Sdk> | undefined

  async function send(request: S3Request, signal: AbortSignal | undefined): Promise<S3Reply> {
    sdk ??= load()
    stayWithHost(client)
    const command = commandFor(await sdk, bucket, request)
    const seen: Seen = { sent: false }
    const once = request.op === 'put' && (request.ifMatch ?? request.ifNoneMatch) !== undefined
    command.middlewareStack.add(watching(seen, once), { step: 'finalizeRequest', priority: 'low', name: 'tidemark' })
    try {
      const output = await (client as { send(c: unknown, o: unknown): Promise<object> }).send(
        command,
        signal === undefined ? {} : { abortSignal: signal },
      )
      return await replyOf(request, output, seen)
    } catch (thrown) {
      const error: unknown = thrown instanceof Unrepeated ? thrown.hidden : thrown
      const refusal = refusalOf(error)
      if (refusal) return refusal
      // Nothing was sent: credentials or an endpoint are missing, or nobody listens there.
      if (!seen.sent || isUnreached(error)) {
        if (signal?.aborted) throw error
        throw new TidemarkError(
          'STORAGE_UNAVAILABLE',
          's3 could not send a request; check the endpoint, the region and the credentials.',
          { cause: redacted(error) },
        )
      }
      throw error
    }
  }

  return { name: 's3', send }
}

async function load(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-s3')
  } catch (cause) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      's3 needs the package @aws-sdk/client-s3: npm install @aws-sdk/client-s3',
      {
        cause,
      },
    )
  }
}

interface Handler {
  updateHttpClientConfig?(key: string, value: unknown): void
  httpHandlerConfigs?(): { readonly requestInit?: (request: unknown) => object }
}

const staying = new WeakSet<object>()

/**
 * Keeps the client from following redirections. Where the SDK sends by `fetch` (browsers, edge functions), that would follow one
 * to wherever it points, and send the body of a put along. It would be of no use: any other host refuses the signature. Node's
 * handler follows none, and does not know this setting.
 */
function stayWithHost(client: S3ClientLike): void {
  const handler = (client as { config?: { requestHandler?: Handler } }).config?.requestHandler
  if (typeof handler?.updateHttpClientConfig !== 'function' || staying.has(handler)) return
  staying.add(handler)
  const given = handler.httpHandlerConfigs?.().requestInit
  handler.updateHttpClientConfig('requestInit', (request: unknown) => ({ ...given?.(request), redirect: 'manual' }))
}

type Stack = { add(middleware: unknown, options: object): void }

function commandFor(sdk: Sdk, Bucket: string, request: S3Request): { middlewareStack: Stack } {
  switch (request.op) {
    case 'get':
      return new sdk.GetObjectCommand({ Bucket, Key: request.key, Range: request.range })
    case 'put':
      return new sdk.PutObjectCommand({
        Bucket,
        Key: request.key,
        Body: request.bytes,
        ContentLength: request.bytes.length,
        ContentMD5: request.md5,
        ContentType: 'application/octet-stream',
        IfMatch: request.ifMatch,
        IfNoneMatch: request.ifNoneMatch,
      })
    case 'list':
      return new sdk.ListObjectsV2Command({
        Bucket,
        Prefix: request.prefix,
        StartAfter: request.after,
        MaxKeys: request.limit,
        ContinuationToken: request.continuation,
      })
    case 'delete':
      return new sdk.DeleteObjectCommand({ Bucket, Key: request.key })
    case 'deleteMany':
      return new sdk.DeleteObjectsCommand({
        Bucket,
        Delete: { Quiet: true, Objects: request.keys.map((Key) => ({ Key })) },
      })
  }
}

function watching(seen: Seen, once: boolean) {
  return (next: (args: unknown) => Promise<{ response?: unknown }>) =>
    async (args: unknown): Promise<unknown> => {
      seen.sent = true
      try {
        const result = await next(args)
        seen.raw = result.response as Raw
        return result
      } catch (error) {
        throw once && mayBeRepeated(error) ? new Unrepeated(error) : error
      }
    }
}

/** Whether the SDK might repeat a request that may have been served. It may repeat a refusal, such as that of a wrong clock. */
function mayBeRepeated(error: unknown): boolean {
  const { name } = error as { name?: string }
  const status = statusOf(error) ?? 0
  return (
    status < 400 || status >= 500 || status === 408 || status === 429 || /timeout|slowdown|throttl/i.test(name ?? '')
  )
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode
}

async function replyOf(request: S3Request, output: object, { raw }: Seen): Promise<S3Reply> {
  // Browsers say status 0 of a redirection that is not followed.
  const status = (raw?.statusCode ?? statusOf(output) ?? 200) || 307
  const { Body, ETag } = output as { Body?: { transformToByteArray(): Promise<Uint8Array> }; ETag?: string }
  const headers = headerOf(raw)
  const header = (name: string): string | undefined => headers(name) ?? (name === 'etag' ? ETag : undefined)
  const reply = { status, header, body: new Uint8Array(0) }
  switch (request.op) {
    case 'get': {
      // A plain copy, because Node gives a Buffer, whose `slice` shares memory.
      const body = Body ? new Uint8Array(await Body.transformToByteArray()) : reply.body
      return { ...reply, body }
    }
    case 'list': {
      const {
        Contents = [],
        IsTruncated,
        NextContinuationToken,
      } = output as {
        Contents?: { Key?: string; Size?: number; LastModified?: Date }[]
        IsTruncated?: boolean
        NextContinuationToken?: string
      }
      const items = Contents.map(({ Key = '', Size = 0, LastModified }): ListedItem => ({
        key: Key,
        size: Size,
        time: LastModified?.getTime(),
      }))
      return { ...reply, listed: { items, truncated: IsTruncated === true, continuation: NextContinuationToken } }
    }
    case 'deleteMany': {
      const { Errors = [] } = output as { Errors?: { Key?: string; Code?: string }[] }
      return { ...reply, failed: Errors.map(({ Key = '', Code = '' }) => ({ key: Key, code: Code })) }
    }
    default:
      return reply
  }
}

/** The reply of an error by which the server refused. An error in a reply of 200 is no refusal: that reply was cut off. */
function refusalOf(error: unknown): S3Reply | undefined {
  const status = statusOf(error)
  if (status === undefined || status < 300) return undefined
  const { name, message, $response } = error as { name: string; message: string; $response?: Raw }
  // The SDK makes up a name when there is no body.
  const code = /^(Unknown|UnknownError|Error|\d+)$/.test(name) ? undefined : name
  return { status, header: headerOf($response), body: new Uint8Array(0), code, message }
}

function headerOf(raw: Raw | undefined): (name: string) => string | undefined {
  return (name) => raw?.headers?.[name]
}

function isUnreached(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN'
}
