// @ts-check
/** Builds the page with vite, and serves it on loopback beside a bucket of its own. */
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { startBucket } from './bucket.mjs'

const HERE = fileURLToPath(new URL('.', import.meta.url))
/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
}
/** Memory that page and worker share needs an isolated page; nothing is loaded from elsewhere. */
const HEADERS = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cache-control': 'no-store',
}

/**
 * @param {{ port?: number }} options
 */
export async function startSite({ port = 0 } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-page-'))
  try {
    await buildPage(folder)
    const bucket = await startBucket()
    const server = createServer((request, response) => void serve(folder, bucket.url, request, response))
    try {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    } catch (error) {
      await bucket.close()
      throw error
    }
    const address = /** @type {import('node:net').AddressInfo} */ (server.address())
    return {
      url: `http://127.0.0.1:${address.port}/`,
      bucket,
      async close() {
        server.closeAllConnections()
        server.close()
        await bucket.close()
        await rm(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** @param {string} folder */
async function buildPage(folder) {
  await build({
    root: HERE,
    base: './',
    configFile: false,
    logLevel: 'error',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    worker: { format: 'es' },
    build: { outDir: folder, emptyOutDir: true, target: 'es2022' },
  })
  const flights = new URL('../data/flights-20k.json', import.meta.resolve('vega-datasets'))
  await copyFile(fileURLToPath(flights), join(folder, 'flights.json'))
}

/**
 * @param {string} folder
 * @param {string} s3
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function serve(folder, s3, { url = '/', method }, response) {
  if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405).end()
  const { pathname } = new URL(url, 'http://localhost')
  if (pathname === '/config.json') {
    return void response.writeHead(200, { ...HEADERS, 'content-type': TYPES['.json'] }).end(JSON.stringify({ s3 }))
  }
  const path = join(folder, normalize(pathname === '/' ? '/index.html' : pathname))
  const bytes = path.startsWith(folder) ? await readFile(path).catch(() => undefined) : undefined
  if (bytes === undefined) return void response.writeHead(404, HEADERS).end()
  response.writeHead(200, { ...HEADERS, 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(bytes)
}
