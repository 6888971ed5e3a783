/** The S3 server of the tests, for programs that Node runs as they are: the demo of groups and bench. */
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

/**
 * On loopback, with a bucket "bucket". It keeps no list of the requests; `decide` sees each of them.
 *
 * @param {{ decide?: (request: { method: string, key: string }) => object | string | undefined }} [options]
 * @returns {Promise<{ url: string, objects: Map<string, { bytes: Uint8Array }>, close(): Promise<void> }>}
 */
export async function startS3({ decide } = {}) {
  const input = fileURLToPath(new URL('s3-server.ts', import.meta.url))
  const bundle = await rolldown({ input, platform: 'node', logLevel: 'silent' })
  const { output } = await bundle.generate({ format: 'esm' })
  await bundle.close()
  const { startS3Server } = await import(`data:text/javascript,${encodeURIComponent(output[0].code)}`)
  const server = await startS3Server({
    decide(request) {
      server.requests.length = 0
      return decide?.(request)
    },
  })
  return server
}
