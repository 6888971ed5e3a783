/** The errors of the command line when it cannot do what it was asked, and its words about itself. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore, TidemarkError, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { describe, expect, test } from 'vitest'
import { cli, filesOf, temporaryFolder } from '../support/cli.js'

async function folderWith(...names: string[]): Promise<string> {
  const folder = temporaryFolder()
  for (const name of names) {
    const store = await openStore({ storage: nodeFs(folder), name })
    store.put('k', name)
    await store.commit()
    await store.close()
  }
  return folder
}

describe('the place of a store', () => {
  test('needs no name when there is one store', async () => {
    const folder = await folderWith('orders')
    expect((await cli(['get', folder, 'k'])).out).toBe('"orders"\n')
  })

  test('is that of the oldest store when there are several, and it is said that there are others', async () => {
    const folder = await folderWith('orders', 'a-b', 'a')
    const { code, out, err } = await cli(['get', folder, 'k'])
    expect([code, out]).toEqual([0, '"orders"\n'])
    expect(err).toBe('tidemark: This is about "orders", the oldest of 3 stores; --store names another one.\n')
    for (const name of ['orders', 'a-b', 'a']) {
      expect((await cli(['get', folder, 'k', '--store', name])).out).toBe(`"${name}"\n`)
    }
  })

  test('is told apart from what an interrupted probe left behind', async () => {
    const storage = memory()
    const left = storage.log(`ghost/0/probe-${'0'.repeat(16)}/entries`)
    await left.claim(1, new Uint8Array(1), 1)
    const absent = await cli(['inspect', 'memory'], { open: () => storage })
    expect(absent.err).toBe('tidemark: NOT_FOUND: There is no store in memory; check the path.\n')
    await (await openStore({ storage, name: 'orders' })).close()
    expect((await cli(['inspect', 'memory'], { open: () => storage })).out).toContain('store       orders')
  })

  test.each(['missing', 'file', 'file/below', 'empty'])('that is %s is an error of one sentence', async (where) => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'file'), '')
    mkdirSync(join(folder, 'empty'))
    const before = filesOf(folder)
    const { code, out, err } = await cli(['inspect', where], { cwd: folder })
    expect([code, out]).toEqual([1, ''])
    const sentences: Record<string, string> = {
      missing: 'NOT_FOUND: There is no folder missing; check the path.',
      file: 'INVALID_ARGUMENT: file is a file; give the folder that holds the store.',
      'file/below': 'NOT_FOUND: There is no folder file/below; check the path.',
      empty: 'NOT_FOUND: There is no store in empty; check the path.',
    }
    expect(err).toBe(`tidemark: ${sentences[where]}\n`)
    expect(filesOf(folder)).toEqual(before)
  })

  test('is a folder or a bucket, and no other address; a password in one is not repeated', async () => {
    const { code, out, err } = await cli(['inspect', 'https://ada:secret@host/state'])
    expect([code, out]).toEqual([1, ''])
    expect(err).toBe(
      'tidemark: INVALID_ARGUMENT: What begins with "https:" is read as an address, and there are none but s3://bucket/prefix; a folder of such a name is given as ./https:…\n',
    )
  })

  test('without the store that was named makes none', async () => {
    const folder = await folderWith('orders')
    const before = filesOf(folder)
    const { code, err } = await cli(['inspect', folder, '--store', 'other'])
    expect([code, err]).toEqual([
      1,
      'tidemark: NOT_FOUND: There is no store "other" in this storage; check its name and place.\n',
    ])
    expect(filesOf(folder)).toEqual(before)
  })
})

describe('an error', () => {
  test('is one object on stderr with --json', async () => {
    const folder = await folderWith('orders')
    const { code, out, err } = await cli(['get', folder, 'absent', '--json'])
    expect([code, out]).toEqual([1, ''])
    expect(JSON.parse(err)).toEqual({
      error: { code: 'NOT_FOUND', message: 'There is no key "absent" in store "orders".' },
    })
    expect(err.trimEnd()).not.toContain('\n')
  })

  test('names the tables that there are', async () => {
    const folder = await folderWith('orders')
    const { code, err } = await cli(['scan', folder, '--table', 'absent'])
    expect([code, err]).toEqual([
      1,
      'tidemark: NOT_FOUND: Store "orders" has no table "absent"; it has the default one.\n',
    ])
  })

  test.each(['{', '{"$date":null}', '{"$bytes":1}', '{"a":1}', '[{}]'])('meets a key that is %s', async (json) => {
    const folder = await folderWith('orders')
    const { code, err } = await cli(['get', folder, '--json-key', json])
    expect(code).toBe(1)
    expect(err).toMatch(/^tidemark: INVALID_ARGUMENT: .*key.*\n$/)
  })

  test('meets a partition that does not exist', async () => {
    const { err } = await cli(['get', await folderWith('orders'), 'k', '--partition', '1'])
    expect(err).toBe('tidemark: INVALID_ARGUMENT: --partition: a whole number from 0 to 0 is expected, not 1.\n')
  })

  test('after some lines comes after these lines', async () => {
    const storage = memory()
    const store = await openStore({ storage, name: 'orders', checkpoint: { entries: 1000 } })
    for (let i = 0; i < 100; i++) await store.commit()
    await store.close()
    // Reads of entries fail once the store is open, which reads its tail as a whole.
    const failing: Storage = {
      ...storage,
      log: (path, options) => {
        const log = storage.log(path, options)
        const read: typeof log.read = async (n, o) => {
          if (n === 50) throw new TidemarkError('STORAGE_UNAVAILABLE', 'The disk is gone.')
          return log.read(n, o)
        }
        return { ...log, read }
      },
    }
    const { code, out, err } = await cli(['versions', 'memory', '--json'], { open: () => failing })
    expect(code).toBe(1)
    expect(out.split('\n').length).toBeGreaterThan(30)
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'STORAGE_UNAVAILABLE' } })
  })

  test('of tidemark itself says where it happened', async () => {
    const open = (): Storage => {
      throw new TypeError('a fault')
    }
    const { code, err } = await cli(['inspect', 'memory'], { open })
    expect(code).toBe(1)
    expect(err).toMatch(/^tidemark: INTERNAL: TypeError: a fault.*cli\/errors/)
  })
})

describe('wrong usage', () => {
  test.each([
    [['get', '.', 'k', '--bogus'], "unknown option '--bogus'", 'get'],
    [['scan'], "missing required argument 'where'", 'scan'],
    [['scan', '.', '--limit', 'many'], "option '--limit <number>' argument 'many' is invalid. A whole number", 'scan'],
    [['versions', '.', '--gte', '-1'], "argument '-1' is invalid", 'versions'],
    [['inspect', '.', 'more'], 'too many arguments', 'inspect'],
    [['get', '.'], 'give one key, as text or with --json-key', 'get'],
    [['get', '.', 'k', '--json-key', '1'], 'give one key, as text or with --json-key', 'get'],
  ])('%j says what is wrong and where help is', async (args, message, command) => {
    const { code, out, err } = await cli(args)
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('tidemark: INVALID_ARGUMENT: ')
    expect(err).toContain(message)
    expect(err).toContain(`Run "tidemark ${command} --help" to see what it takes.\n`)
  })

  test('names the command that was probably meant', async () => {
    const { code, err } = await cli(['inspct', '.'])
    expect(code).toBe(1)
    expect(err).toBe(
      'tidemark: INVALID_ARGUMENT: unknown command \'inspct\'; (Did you mean inspect?)\nRun "tidemark --help" to see what there is.\n',
    )
  })

  test('is not what nothing at all is: help', async () => {
    const { code, out, err } = await cli([])
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^Usage: tidemark/)
    expect(out).toBe((await cli(['--help'])).out)
  })

  test('is an object with --json', async () => {
    for (const args of [['scan', '--json'], ['--json'], ['scan', '.', '--json', '--limit', 'x']]) {
      const { code, err } = await cli(args)
      expect(code).toBe(1)
      expect(JSON.parse(err)).toMatchObject({ error: { code: 'INVALID_ARGUMENT' } })
    }
  })
})

describe('tidemark', () => {
  test('says its version', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
      version: string
    }
    expect(await cli(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })

  test('helps, as a whole and with each command', async () => {
    const { code, out } = await cli(['--help'])
    expect(code).toBe(0)
    expect(out).toMatch(/^Usage: tidemark/)
    for (const command of 'stores inspect versions verify get scan diff put delete restore tag untag fork push pull backups export import maintain destroy'.split(
      ' ',
    )) {
      expect(out).toContain(`\n  ${command}`)
      expect((await cli([command, '--help'])).out).toMatch(new RegExp(`^Usage: tidemark ${command} .*<where>`))
    }
  })
})
