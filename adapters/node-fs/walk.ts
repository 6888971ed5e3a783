/**
 * Lists the whole tree, in the order of whole names.
 *
 * Among the names of a folder, a folder counts as its name and a '/'. Walking down in that order meets whole names in their
 * order: `a-b` comes before `a/b`. Names are ASCII, so that the order of code units is the order of code points. Folders that
 * cannot hold a wanted name are not opened. Symbolic links are neither blobs nor folders here.
 */
import { throwIfAborted } from '../../src/errors.js'
import type { BlobInfo } from '../../src/storage/contract.js'
import { errno, isAbsent } from './errors.js'
import type { FileSystem } from './file-system.js'
import { LOG_FOLDER, isSegment } from './names.js'
import { syncForReading, type Root } from './root.js'

/** The first `limit` blobs under `prefix` that come after `after`. `more` says that there are others. */
export async function listFiles(
  fs: FileSystem,
  root: Root,
  prefix: string,
  after: string,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<{ items: BlobInfo[]; more: boolean }> {
  const items: BlobInfo[] = []
  const enter = (folder: string): boolean =>
    overlaps(folder, prefix) && (after === '' || folder > after || after.startsWith(folder))
  for await (const { folder, name } of walk(fs, root, '', enter, signal)) {
    const whole = folder + name
    if (name.endsWith('/') || !whole.startsWith(prefix) || whole <= after) continue
    if (items.length >= limit) return { items, more: true }
    const stat = await fs.lstat(root.place(whole)).catch(unlessAbsent)
    if (stat?.kind === 'file') items.push({ name: whole, size: stat.size, time: Math.floor(stat.modifiedMs) })
  }
  return { items, more: false }
}

/** The paths of the logs under `prefix` of which `holdsEntries` says, by the names in their folders, that they have entries. */
export async function listLogs(
  fs: FileSystem,
  root: Root,
  prefix: string,
  holdsEntries: (names: readonly string[]) => boolean,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const paths: string[] = []
  for await (const { folder, name } of walk(fs, root, '', (below) => overlaps(below, prefix), signal)) {
    const path = folder.slice(0, -1)
    if (name !== `${LOG_FOLDER}/` || !path.startsWith(prefix)) continue
    const names = await fs.names(root.place(folder + LOG_FOLDER)).catch(unlessAbsent)
    if (names && holdsEntries(names)) paths.push(path)
  }
  return paths.sort()
}

/**
 * Every name in the tree that a blob could have, and the folders of logs. The name of a folder ends in '/'. Folders of logs, and
 * those that `enter` refuses, are named and not opened.
 */
async function* walk(
  fs: FileSystem,
  root: Root,
  folder: string,
  enter: (folder: string) => boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ folder: string; name: string }> {
  throwIfAborted(signal)
  if (folder === '' && !(await root.has(''))) return
  const entries = (await fs.entries(root.place(folder)).catch(unlessAbsent)) ?? []
  // A process may have unlinked a file and died before it synced. That file must not come back after a power loss.
  await syncForReading(fs, root.place(folder)).catch(unlessAbsent)
  const names: string[] = []
  for (const { name, kind } of entries) {
    if (kind === 'file' && isSegment(name)) names.push(name)
    else if (kind === 'directory' && (isSegment(name) || name === LOG_FOLDER)) names.push(`${name}/`)
  }
  for (const name of names.sort()) {
    yield { folder, name }
    const below = folder + name
    if (name.endsWith('/') && name !== `${LOG_FOLDER}/` && enter(below)) yield* walk(fs, root, below, enter, signal)
  }
}

/** Whether names that begin with `folder` can begin with `prefix`. */
function overlaps(folder: string, prefix: string): boolean {
  return folder.startsWith(prefix) || prefix.startsWith(folder)
}

function unlessAbsent(error: unknown): undefined {
  if (!isAbsent(error) && errno(error) !== 'ENOTDIR') throw error
}
