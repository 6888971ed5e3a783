/**
 * Lists and deletions over objects. A listing of blobs shows neither entries nor anchors, whatever its prefix, and reads no page
 * of entries to skip them.
 */
import type { Answer, BlobInfo, Blobs, CallOptions, Log } from './contract.js'
import { entryKey, type ObjectStore } from './object-store.js'

/** The most keys that one list answers and one delete takes; what S3, R2 and the contract's default have in common. */
const PAGE = 1000

const ENTRY = /^(.+)\/log\/(\d{16})$/
const ANCHOR = /\/anchor$/

export async function listBlobs(
  objects: ObjectStore,
  prefix: string,
  { after, limit = PAGE, signal }: Parameters<Blobs['list']>[1] = {},
): ReturnType<Blobs['list']> {
  const items: BlobInfo[] = []
  // One less than a page takes, so that the one too many which sets `more` needs no request of its own.
  const most = Math.min(limit, PAGE - 1)
  for (let from = after; ;) {
    const page = await objects.list(prefix, { after: from, limit: most - items.length + 1, signal })
    let skipped: string | undefined
    for (const item of page.items) {
      const path = ENTRY.exec(item.name)?.[1]
      // The colon is the character after the digits: a listing after it begins behind the last entry.
      if (path !== undefined) skipped = `${path}/log/:`
      else if (!ANCHOR.test(item.name)) items.push(item)
    }
    const { time, more } = page
    if (items.length > most) return { time, items: items.slice(0, most), more: true }
    if (!more) return { time, items, more: false }
    from = later(page.items.at(-1)?.name, skipped)
  }
}

export async function listEntries(
  objects: ObjectStore,
  path: string,
  from: number,
  { limit = Infinity, signal }: Parameters<Log['list']>[1] = {},
): Promise<Answer & { numbers: number[] }> {
  const numbers: number[] = []
  for (let after = entryKey(path, Math.max(from, 1) - 1); ;) {
    const page = await objects.list(`${path}/log/`, { after, limit: Math.min(limit - numbers.length, PAGE), signal })
    for (const { name } of page.items) numbers.push(Number(name.slice(-16)))
    if (!page.more || numbers.length >= limit) return { time: page.time, numbers }
    after = page.items.at(-1)?.name ?? after
  }
}

export function removeEntries(
  objects: ObjectStore,
  path: string,
  numbers: readonly number[],
  options?: CallOptions,
): Promise<Answer> {
  return removeAll(
    objects,
    numbers.map((n) => entryKey(path, n)),
    options,
  )
}

export async function destroyLog(objects: ObjectStore, path: string, options?: CallOptions): Promise<Answer> {
  const { numbers, time } = await listEntries(objects, path, 1, options)
  return numbers.length === 0 ? { time } : removeEntries(objects, path, numbers, options)
}

/** Paths of the logs that hold an entry. */
export async function listLogs(
  objects: ObjectStore,
  prefix: string,
  { signal }: CallOptions = {},
): Promise<Answer & { paths: string[] }> {
  const paths: string[] = []
  for (let after: string | undefined; ;) {
    const page = await objects.list(prefix, { after, limit: PAGE, signal })
    for (const { name } of page.items) {
      const path = ENTRY.exec(name)?.[1]
      if (path !== undefined && path !== paths.at(-1) && path.startsWith(prefix)) paths.push(path)
    }
    // The order of keys is not that of paths: `a-b/log/…` comes before `a/log/…`.
    if (!page.more) return { time: page.time, paths: paths.sort() }
    const last = page.items.at(-1)?.name
    // When the page ended under the log found last, the rest of it is skipped: no log lies beneath another, and `0` is
    // the character after `/`. Otherwise logs may follow at once.
    const found = paths.at(-1)
    after = last?.startsWith(`${found}/`) ? `${found}0` : last
  }
}

/** The later of two places in a listing. */
function later(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a > b ? a : b
}

export async function removeAll(objects: ObjectStore, keys: readonly string[], options?: CallOptions): Promise<Answer> {
  let answer: Answer = {}
  for (let i = 0; i < keys.length; i += PAGE) answer = await objects.delete(keys.slice(i, i + PAGE), options)
  return answer
}
