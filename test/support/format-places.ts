/** Reads what adapters and archives have of their own by docs/format.md alone: files of a folder, rows of a database, archives. */
import { createHash } from 'node:crypto'
import { crc32, inflateRawSync } from 'node:zlib'
import { Fields, hex, must, textOf } from './format-fields.js'
import { ObjectReader } from './format-reader.js'
import type { Objects, Rows } from './packed.js'

export class FormatReader extends ObjectReader {
  /** The files of a folder: logs in files of their own, anchors by generations, blobs. */
  files(files: Objects): void {
    const objects = new Map<string, Uint8Array>()
    const logs = new Map<string, Map<string, Uint8Array>>()
    for (const [path, bytes] of files) {
      const [, log, file = ''] = /^(.*)\/@log\/([^/]+)$/.exec(path) ?? []
      const [, anchor] = /^(.*\/anchor)@\d{16}$/.exec(path) ?? []
      if (log !== undefined) logs.set(log, (logs.get(log) ?? new Map<string, Uint8Array>()).set(file, bytes))
      else if (anchor !== undefined) {
        // The highest generation comes last, and counts.
        if (bytes.length > 0) objects.set(anchor, bytes)
        else objects.delete(anchor)
        this.note(bytes.length > 0 ? 'file: anchor' : 'file: removed anchor')
      } else if (/\/@[0-9a-f]{16}$/.test(path)) this.note('file: being written')
      else if (/\/@[0-9a-f]{16}\.Name-that-is-as-long-as-that-of-a-log-File[1-4]$/.test(path)) this.note('file: probe')
      else {
        must(!path.includes('@'), `${path} is no name.`)
        objects.set(path, bytes)
        this.note('file: blob')
      }
    }
    for (const [log, names] of logs) {
      for (const [n, bytes] of this.#log(names)) objects.set(`${log}/log/${String(n).padStart(16, '0')}`, bytes)
    }
    this.objects(new Map([...objects].sort(([a], [b]) => (a < b ? -1 : 1))))
  }

  /** The entries of a log. */
  #log(names: ReadonlyMap<string, Uint8Array>): Map<number, Uint8Array> {
    const entries = new Map<number, Uint8Array>()
    let trim = 0
    for (const [name, bytes] of names) {
      const [kind = '', ...rest] = name.split('.')
      const pattern = { owner: /^\d{16}$/, temp: /^\d{16}\.[0-9a-f]{16}$/, trim: /^\d{16}$/ }[kind]
      must((pattern ?? /^\d{16}\.\d{8}\.\d{16}\.[0-9a-f]{8}$/).test(rest.join('.')), `${name} is no name.`)
      this.note(`file: ${kind}`)
      if (kind === 'owner') {
        const [, text = '', sum] = /^(\d{16} \d{16}) ([0-9a-f]{8})\n$/.exec(textOf(bytes)) ?? []
        must(crc32(text) === Number.parseInt(sum!, 16), `${name} has a bad checksum.`)
      } else if (kind === 'trim') {
        must(bytes.length === 0, `${name} is not empty.`)
        trim = Math.max(trim, Number(rest[0]))
        this.note(trim > 0 && 'file: trim above 0')
      } else if (kind !== 'temp') must(/^(log|past)$/.test(kind), `${name} is no name.`)
    }
    const byOrder = [...names]
      .filter(([name]) => /^(log|past)/.test(name))
      .sort(([a], [b]) => (a.slice(-51) < b.slice(-51) ? -1 : 1))
    for (const [i, [name, bytes]] of byOrder.entries()) {
      must(name.startsWith('log') === (i === byOrder.length - 1), `${name} is the last file, or is not.`)
      const [, g, seq, first, id] = name.split('.') as [string, string, string, string, string]
      const file = this.#logFile(bytes, name, [Number(g), Number(seq), Number(first)], id)
      for (const n of entries.keys()) if (n >= Number(first)) entries.delete(n)
      for (const [n, entry] of file) entries.set(n, entry)
    }
    for (const n of entries.keys()) if (n <= trim) entries.delete(n)
    return entries
  }

  #logFile(bytes: Uint8Array, what: string, place: readonly number[], start: string): Map<number, Uint8Array> {
    const body = this.body(bytes.subarray(0, 60), 'log file', what)
    const id = body.raw(16)
    must(hex(id).startsWith(start), `${what} has another id.`)
    must(String([body.unsigned(8), body.unsigned(8), body.unsigned(8)]) === String(place), `${what} has another place.`)
    body.end()
    const f = new Fields(bytes, what)
    f.raw(56)
    let before = f.unsigned(4)
    must(f.unsigned(4) === 0, `${what} has no zeros behind its header.`)
    const entries = new Map<number, Uint8Array>()
    /** The last entry of the tail with which the file begins. */
    let tail = 0
    for (let n = place[2]!; f.left() > 0; n++) {
      const at = f.at
      const [sum, size] = [f.unsigned(4), f.unsigned(4)]
      if (size === 0) break
      const record = bytes.subarray(at + 4, at + size)
      must(sum === crc32(record, crc32(id)), `${what} has a bad record ${n}.`)
      must(f.unsigned(4) === before && f.unsigned(4) === 0 && f.unsigned(8) === n, `${what} has no record ${n}.`)
      const [synced, writer] = [f.unsigned(8), f.unsigned(8)]
      tail ||= synced
      entries.set(n, f.raw(size - 40))
      const padding = (8 - (size % 8)) % 8
      must(
        f.raw(padding).every((byte) => byte === 0),
        `${what} has no zeros behind record ${n}.`,
      )
      const isTail = n <= tail
      must(isTail ? synced === tail : synced < n && synced >= tail, `${what} has a wrong record ${n}.`)
      this.note(
        isTail ? 'record of the tail' : synced === n - 1 ? 'record of the owner' : 'record in relaxed durability',
      )
      this.note(writer < place[0]! && 'record taken over', padding > 0 && 'record padded')
      before = sum
    }
    must(
      bytes.subarray(f.at).every((byte) => byte === 0),
      `${what} does not end in zeros.`,
    )
    this.note(f.left() > 0 && 'file: room')
    return entries
  }

  /** The rows of a database. */
  rows({ version, stores, objects, parts, about }: Rows): void {
    must(
      version === 1 && JSON.stringify(stores) === '{"about":null,"objects":"name","parts":null}',
      'It has other stores.',
    )
    const all = new Map<string, Uint8Array>()
    const anchors = new Map<string, number>()
    for (const { name, size, token, trim, within } of objects) {
      const own = parts.filter(([[of]]) => of === name)
      must(/^[0-9a-f]{32}$/.test(token), `${name} has no token.`)
      must(
        own.every(([[, part], { length }], i) => part === i && (i === own.length - 1 || length === 61_440)),
        `${name} has wrong parts.`,
      )
      must(
        (within === undefined) === own.length > 0 && (within !== undefined) === size <= 16_384,
        `${name} lies in the wrong place.`,
      )
      const bytes = within ?? Buffer.concat(own.map(([, part]) => part))
      must(bytes.length === size, `${name} has another size.`)
      all.set(name, new Uint8Array(bytes))
      this.note(within ? 'row: within its head' : own.length > 1 ? 'row: several parts' : 'row: one part')
      if (name.endsWith('/anchor')) anchors.set(name, trim)
      else must(trim === 0, `${name} has a trim number.`)
    }
    must(
      parts.every(([[name]]) => all.has(name)),
      'A part has no head.',
    )
    for (const [key, value] of about) {
      must(/^(id|synced)$/.test(key) && /^[0-9a-f]{32}$/.test(value), `${key} is no row.`)
      this.note(`row: ${key}`)
    }
    for (const [name, trim] of anchors) {
      const f = new Fields(all.get(name)!.subarray(32), name)
      must(f.varint() === trim, `${name} has another trim number.`)
      this.note(trim > 0 && 'row: trim')
    }
    this.objects(all)
  }

  /** An archive of `exportZip`. */
  archive(bytes: Uint8Array): void {
    const f = new Fields(bytes, 'The archive')
    const files: { name: string; offset: number; head: Uint8Array; content: Uint8Array }[] = []
    let offset = f.at
    let signature = f.unsigned(4)
    for (; signature === 0x04034b50; signature = f.unsigned(4)) {
      const head = f.raw(26)
      const h = new Fields(head, 'A local header')
      must(h.unsigned(2) === 20 && h.unsigned(2) === 0x0800, 'A local header is of another kind.')
      const method = h.unsigned(2)
      must(h.unsigned(2) === 0 && h.unsigned(2) === 0x0021, 'A local header has a date.')
      const [sum, packed, size, length, extra] = [4, 4, 4, 2, 2].map((each) => h.unsigned(each)) as number[]
      must(extra === 0, 'A local header has an extra field.')
      const name = textOf(f.raw(length!))
      const stored = f.raw(packed!)
      const content = method === 8 ? inflateRawSync(stored) : stored
      must((method === 8 || method === 0) && content.length === size && crc32(content) === sum, `${name} is damaged.`)
      this.note(method === 8 ? 'archive: deflated' : 'archive: stored')
      files.push({ name, offset, head, content })
      offset = f.at
    }
    for (const { name, offset: at, head } of files) {
      must(
        signature === 0x02014b50 && f.unsigned(2) === 20 && hex(f.raw(26)) === hex(head),
        `${name} is not in the directory.`,
      )
      must(f.unsigned(8) === 0 && f.unsigned(2) === 0 && f.unsigned(4) === at, `${name} has another place.`)
      must(textOf(f.raw(name.length)) === name, `${name} has another name.`)
      signature = f.unsigned(4)
    }
    const length = f.at - 4 - offset
    must(signature === 0x06054b50 && f.unsigned(4) === 0, 'The archive has no end.')
    must(f.unsigned(2) === files.length && f.unsigned(2) === files.length, 'The archive has another number of files.')
    must(f.unsigned(4) === length && f.unsigned(4) === offset && f.unsigned(2) === 0, 'The archive ends elsewhere.')
    f.end()
    this.#archived(files)
  }

  #archived(files: readonly { readonly name: string; readonly content: Uint8Array }[]): void {
    const [manifest, ...segments] = files.slice(0, -1)
    const last = files.at(-1)!
    must(manifest?.name === 'manifest' && last.name === 'metadata.json', 'The archive has other files.')
    const metadata = JSON.parse(textOf(last.content)) as Record<string, unknown>
    must(
      metadata['format'] === 'tidemark-version' && metadata['formatVersion'] === 1,
      'The archive is of another format.',
    )
    const infos = files.slice(0, -1).map(({ name, content }) => ({
      name,
      length: content.length,
      sha256: hex(createHash('sha256').update(content).digest()),
    }))
    must(JSON.stringify(metadata['files']) === JSON.stringify(infos), 'The metadata lists other files.')
    this.note(...Object.keys(metadata).map((name) => `metadata: ${name}`))
    this.pin(manifest.content, `${String(metadata['log'])}/pins/`)
    const byHash = new Map([...this.refs.values()].map((ref) => [`segments/${ref.hash}`, ref.name]))
    must(byHash.size === segments.length, 'The archive lacks segments.')
    for (const { name, content } of segments) this.segment(content, byHash.get(name)!)
    this.refs.clear()
  }
}
