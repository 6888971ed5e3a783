/**
 * Serves an inspector on loopback. Only who knows the address, which holds a secret, is answered, and only under the names of this
 * machine: a page of somebody else cannot reach it under a name of its own that leads here.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { invalid, TidemarkError } from '../errors.js'
import { READING, WRITING, type InspectorSource } from '../inspector/source.js'

const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>Tidemark</title><script type="module" src="page.js"></script></head>
<body><main><h1>Tidemark</h1><tidemark-inspector src="api/"></tidemark-inspector></main></body>
</html>
`
const PROGRAM = `import { defineInspector } from './inspector.js'
defineInspector()
const sheet = new CSSStyleSheet()
sheet.replaceSync('body { max-width: 70rem; margin: 0 auto; background: light-dark(#fff, #16181d); font-family: system-ui, sans-serif } h1 { margin: 1rem 1rem 0; font-size: 1.25rem }')
document.adoptedStyleSheets = [sheet]
`
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
}
const BUILT = /^(inspector|chunks\/[\w-]+)\.js$/
const LONGEST_CALL = 1 << 16

export interface Served {
  readonly address: string
  close(): Promise<void>
}

export async function serveInspector(source: InspectorSource, port: number, mayWrite: boolean): Promise<Served> {
  const secret = randomBytes(24).toString('base64url')
  const calls: readonly string[] = mayWrite ? [...READING, ...WRITING] : READING
  let hosts: readonly string[] = []
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) return void response.destroy()
      send(response, 400, 'application/json', JSON.stringify({ error: (error as Error).message }))
    })
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, given = '', ...rest] = (request.url ?? '').split('/')
    const isFromHere = hosts.includes(request.headers.host ?? '')
    if (!isFromHere || !isSame(given, secret)) return send(response, 403, 'text/plain', 'Forbidden')
    const path = rest.join('/')
    if (request.method === 'POST' && rest[0] === 'api') return call(request, response, rest[1] ?? '')
    if (request.method !== 'GET') return send(response, 405, 'text/plain', 'Not allowed')
    if (path === '') return send(response, 200, 'text/html', PAGE)
    if (path === 'page.js') return send(response, 200, 'text/javascript', PROGRAM)
    // The element, and the parts that it is built of; their names hold no dot that leads elsewhere.
    const built = BUILT.test(path) && (await readFile(join(builtFolder(), path)).catch(() => undefined))
    if (built) return send(response, 200, 'text/javascript', built)
    if (path === 'api/events') return tell(response)
    return send(response, 404, 'text/plain', 'Not found')
  }

  async function call(request: IncomingMessage, response: ServerResponse, name: string): Promise<void> {
    const { origin, 'content-type': type } = request.headers
    // Another site's page may send a form, but neither this type nor this origin.
    if (origin !== `http://${request.headers.host}` || type !== 'application/json') {
      return send(response, 403, 'text/plain', 'Forbidden')
    }
    if (!calls.includes(name)) throw new TidemarkError('READ_ONLY', `"${name}" is not served here.`)
    const given = JSON.parse(await textOf(request)) as unknown[]
    const act = source[name as keyof InspectorSource] as (...given: readonly unknown[]) => Promise<unknown>
    send(response, 200, 'application/json', JSON.stringify({ value: (await act(...given)) ?? null }))
  }

  /** Events without end: a line for each newer version. */
  function tell(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    const stop = source.watch(() => void response.write('data: changed\n\n'))
    response.on('close', stop)
  }

  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  } catch (cause) {
    throw invalid(`Port ${port} cannot be used; leave --port out, and a free one is taken.`, cause)
  }
  const { port: actual } = server.address() as AddressInfo
  hosts = [`127.0.0.1:${actual}`, `localhost:${actual}`]
  return {
    address: `http://127.0.0.1:${actual}/${secret}/`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function send(response: ServerResponse, status: number, type: string, body: string | Uint8Array): void {
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8` }).end(body)
}

function isSame(given: string, secret: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(secret)]
  return a.length === b.length && timingSafeEqual(a, b)
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > LONGEST_CALL) throw new TidemarkError('INVALID_ARGUMENT', 'The call is too long.')
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

/** The folder of the built element, found by the package's own name. */
function builtFolder(): string {
  return dirname(createRequire(import.meta.url).resolve('tidemark/inspector'))
}
