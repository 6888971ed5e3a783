/** A folder as a stranger has it: the package unpacked from its tarball, beside the packages that a web app is made with. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, createReadStream, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, extname, join, normalize } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { root, run } from './blocks.js'

/** Nothing is fetched: these are links to what is installed here. Of the peers only those of a React app are there. */
const INSTALLED = [
  'fflate',
  '@noble/hashes',
  'idb',
  '@types/node',
  'react',
  'react-dom',
  '@types/react',
  '@types/react-dom',
  '@testing-library/dom',
  '@testing-library/react',
  'jsdom',
  'typescript',
  'vite',
  'vitest',
]
/** Vite serves a setup file of tests only from the folder itself. */
const COPIED = ['fake-indexeddb']
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }

export interface Stranger {
  readonly folder: string
  /** Where the folder is served. */
  readonly url: string
  /** Writes files, given by their paths in the folder. */
  write(files: Readonly<Record<string, string>>): void
  /** Runs a program, given by its path in the folder, and returns what it said. It throws when the program fails. */
  node(file: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<string>
}

/** Makes the folder before the tests of a file, serves it on loopback, and removes it afterwards. */
export function stranger(): Stranger {
  let folder = ''
  let url = ''
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, 'http://localhost')
    const file = join(folder, normalize(pathname))
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) {
      // No page of these tests has an icon, and Chromium asks for one.
      response.writeHead(pathname === '/favicon.ico' ? 204 : 404).end()
      return
    }
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' })
    createReadStream(file).pipe(response)
  })

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidemark-stranger-'))
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }))
    unpack(join(folder, 'node_modules/tidemark'))
    for (const name of INSTALLED) {
      const link = join(folder, 'node_modules', name)
      mkdirSync(dirname(link), { recursive: true })
      symlinkSync(join(root, 'node_modules', name), link, 'junction')
    }
    for (const name of COPIED) {
      cpSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true })
    }
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }, 180_000)
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true, force: true })
  })

  return {
    get folder() {
      return folder
    },
    get url() {
      return url
    },
    write(files) {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        writeFileSync(join(folder, path), text)
      }
    },
    async node(file, args, env) {
      const { code, output } = await run(process.execPath, [file, ...args], folder, { ...foreign(), ...env })
      if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}:\n${output}`)
      return output
    },
  }
}

function unpack(target: string): void {
  execFileSync(process.execPath, [join(root, '.ci/setup.mjs'), '--build'], { stdio: 'inherit' })
  mkdirSync(target, { recursive: true })
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', target]
  const [packed] = JSON.parse(execFileSync('npm', args, { cwd: root }).toString()) as [{ filename: string }]
  const tarball = join(target, packed.filename)
  execFileSync('tar', ['-xzf', tarball, '-C', target, '--strip-components=1'])
  rmSync(tarball)
}

/** Takes away what Vitest tells its own processes: a build reads NODE_ENV, and another Vitest its settings. */
function foreign(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) =>
    /^(VITE|NODE_ENV$|DEV$|PROD$|MODE$|BASE_URL$|SSR$|TEST$)/.test(name),
  )
  return Object.fromEntries(names.map((name) => [name, undefined]))
}
